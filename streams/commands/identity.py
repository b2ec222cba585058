"""auditwatch identity: whose the names in logs are, how that is known, and what ought to be declared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from alerting.plain import plain
from audit.event import AuditEvent, rfc3339
from streams.commands import identity_sessions
from streams.commands.common import Unusable, config_option, settings_of, sources_line
from streams.commands.out import counted, counting, echo_columns, echo_json, json_option
from streams.commands.rules.given import answers, logs_of, logs_options
from streams.identities import Account, Report, clues_of, proposals, report
from streams.load import declared

SHOWN = 15


@click.group()
def command() -> None:
    """Say whose the names in logs are: which person or service stands behind each, and how that is known."""


@command.command("report", epilog=sources_line, short_help="every account, resolved or not")
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@config_option
@logs_options
@click.option("--propose", is_flag=True, help="Print rows for the context's users instead, to be completed by hand.")
@json_option
def report_command(
    sources: tuple[str, ...],
    config: Path | None,
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    propose: bool,
    as_json: bool,
) -> None:
    """Show how surely the events of files or the trail are somebody's, and the accounts that are nobody's.

    Accounts used day and night without a browser are taken for programs: confirm them by declaring them with
    `kind: service` and an owner. Nothing is merged by a guess: an account that fits two people stays its own.

    \b
    Examples:
      auditwatch identity report okta=okta.jsonl github=audit.jsonl --context company.yml
      auditwatch identity report --since 7d --propose > new-accounts.yml
    """
    settings = settings_of(config)
    with answers():
        company = declared(context or settings.context)
        logs = logs_of(sources, settings, company, trail, (since, until))
        with counting("reading") as tick:
            found = report(counted(logs.events(), tick), company)
        logs.complain()
    if propose:
        click.echo(proposals(found.undeclared))
    elif as_json:
        for account in found.accounts:
            echo_json(account)
    else:
        _show(found)


@command.command("explain", epilog=sources_line, short_help="how one account was resolved")
@click.argument("name")
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@config_option
@logs_options
def explain_command(
    name: str,
    sources: tuple[str, ...],
    config: Path | None,
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
) -> None:
    """Show for each account of NAME (a principal or a vendor's name) what its newest record says and what followed.

    \b
    Examples:
      auditwatch identity explain ada cloudtrail=trail.jsonl.gz --context company.yml
    """
    settings = settings_of(config)
    with answers():
        company = declared(context or settings.context)
        logs = logs_of(sources, settings, company, trail, (since, until))
        newest: dict[tuple[str, str, str], AuditEvent] = {}
        with counting("reading") as tick:
            for event in counted(logs.events(), tick):
                if name in (event.actor.id, event.actor.name):
                    newest[event.source, event.actor.name, event.actor.id] = event
        logs.complain()
    if not newest:
        raise Unusable(
            f"no event of {plain(name, 80)!r} in these logs: `auditwatch identity report` shows whom there is"
        )
    for event in newest.values():
        actor = event.actor
        click.echo(
            f"{event.source} {plain(actor.name, 120)} -> {plain(actor.id, 120)} ({actor.kind}, {actor.identity})"
        )
        click.echo(f"  event {plain(event.id, 80)} of {rfc3339(event.time)}")
        for clue in clues_of(event, company):
            click.echo(f"  {plain(str(clue), 240)}")


command.add_command(identity_sessions.command)


def _show(found: Report) -> None:
    share = found.resolved / found.events if found.events else 0.0
    click.echo(f"{found.events} events of {len(found.accounts)} accounts; {share:.1%} are of somebody declared")
    echo_columns([("  " + kind, f"{count / found.events:6.1%}") for kind, count in found.identities.most_common()])
    _list("accounts that fit several people, or contradict themselves", found.ambiguous)
    _list("accounts of nobody declared (--propose writes rows for them)", found.undeclared)
    _list("people's accounts that a program uses: give the program one of its own", found.programs)
    if found.left_out:
        click.echo(f"\n{found.left_out} events of further accounts were only counted")


def _list(title: str, accounts: Sequence[Account]) -> None:
    if not accounts:
        return
    click.echo(f"\n{len(accounts)} {title}")
    rows = [
        (
            f"  {each.events}",
            each.source,
            "program" if each.program else each.kind,
            plain(each.principal, 100),
            _why(each),
        )
        for each in accounts[:SHOWN]
    ]
    echo_columns(rows)
    if len(accounts) > SHOWN:
        click.echo(f"  and {len(accounts) - SHOWN} more (--json has all)")


def _why(account: Account) -> str:
    return plain(" or ".join(account.people) or ("" if not account.declared else "; ".join(account.how)), 160)
