"""auditwatch identity sessions: the sessions in logs, who opened them, and what is odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from alerting.plain import plain
from streams.commands.common import Unusable, config_option, settings_of, sources_line
from streams.commands.out import counted, counting, echo_columns, echo_json, json_option
from streams.commands.rules.given import answers, logs_of, logs_options, told_apart
from streams.load import declared
from streams.sessions import Link, Session, sessions_of
from streams.timeline import NobodySuch, similar, whose

SHOWN = 200


@click.command("sessions", epilog=sources_line, short_help="sessions, who opened them, what is odd about them")
@click.argument("words", metavar="[USER] [SOURCE=FILE]...", nargs=-1)
@config_option
@logs_options
@click.option("--flagged", is_flag=True, help="Only sessions with something odd about them.")
@json_option
def command(
    words: tuple[str, ...],
    config: Path | None,
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    flagged: bool,
    as_json: bool,
) -> None:
    """Show each session of files or the trail: whose, from where, and which session it was issued from.

    With USER only those used under one of their names, and those that they opened: a role session is its role's, and
    the record that issued it says who assumed the role. A flag is a reason to look, no proof: phones change networks,
    and a VPN changes countries.

    \b
    Examples:
      auditwatch identity sessions ada --since 7d
      auditwatch identity sessions --flagged okta=okta.jsonl cloudtrail=trail.jsonl.gz --context company.yml
    """
    sources, names = told_apart(words)
    if len(names) > 1:
        raise click.UsageError(f"one user at a time, not {' and '.join(plain(name, 60) for name in names)}")
    settings = settings_of(config)
    with answers():
        company = declared(context or settings.context)
        logs = logs_of(sources, settings, company, trail, (since, until))
        try:
            who = whose(company, names[0]) if names else ""
        except NobodySuch as error:
            raise Unusable(str(error)) from error
        with counting("reading") as tick:
            sessions = sessions_of(counted(logs.events(), tick))
        logs.complain()
    told = sessions.told()
    if who:
        told = _theirs(told, who)
    shown = [one for one in told if one.flags or not flagged]
    if as_json:
        for one in shown:
            echo_json(one)
    else:
        _show(told, shown, sessions.left_out)


def _theirs(told: Sequence[Session], who: str) -> list[Session]:
    """The sessions a principal used or opened.

    Raises:
        Unusable: there is none.
    """
    found = [one for one in told if who in one.principals or any(link.by == who for link in one.chain)]
    if found:
        return found
    near = similar(who, (name for one in told for name in one.principals))
    hint = f"did you mean {' or '.join(plain(name, 60) for name in near)}?" if near else "check --since, and --context"
    raise Unusable(f"no session of {plain(who, 60)!r} in these logs; {hint}")


def _show(told: Sequence[Session], shown: Sequence[Session], left_out: int) -> None:
    flagged = sum(bool(one.flags) for one in told)
    issued = sum(bool(one.chain) for one in told)
    click.echo(
        f"{len(told)} sessions; {issued} issued by a record in these logs, {flagged} with something odd about them"
    )
    if shown:
        echo_columns([_row(one) for one in shown[:SHOWN]])
    if len(shown) > SHOWN:
        click.echo(f"and {len(shown) - SHOWN} more (--json has all)")
    if left_out:
        click.echo(f"{left_out} events of further sessions were only counted")


def _row(one: Session) -> tuple[str, ...]:
    until = one.last[11:16] if one.last[:10] == one.first[:10] else f"{one.last[5:10]} {one.last[11:16]}"
    return (
        f"{one.first[:10]} {one.first[11:16]}-{until}",
        ",".join(one.sources),
        plain(one.id, 44),
        plain(" and ".join(one.principals) or "nobody", 100),
        one.identity,
        str(one.events),
        ",".join(one.countries) or "-",
        plain("; ".join(filter(None, (_chain(one.chain), _beside(one), _odd(one)))), 400),
    )


def _chain(chain: Sequence[Link]) -> str:
    """issued by aws:...role/ci in ASIA2 (AssumeRole, ...09:02Z) <- ada (AssumeRole, ...09:01Z)"""
    return "issued by " + " <- ".join(map(_step, chain)) if chain else ""


def _step(link: Link) -> str:
    return f"{link.by}{link.parent and ' in ' + link.parent} ({link.action}, {link.time[:16]}Z)"


def _beside(one: Session) -> str:
    return f"beside {', '.join(one.beside)} elsewhere" if one.beside else ""


def _odd(one: Session) -> str:
    return f"! {', '.join(one.flags)}" if one.flags else ""
