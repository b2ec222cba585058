"""auditwatch access grants: temporary access that is open now, and what was done in what has ended."""

from __future__ import annotations

from pathlib import Path

import click

from alerting.plain import plain
from audit.context import Context
from audit.event import MICROSECONDS, parse_rfc3339
from rules.access import access_of
from rules.paper import record_of
from streams.access_grants import Grants, Temporary
from streams.commands.common import Unusable, config_option, settings_of, sources_line
from streams.commands.out import counted, counting, echo_columns, echo_json
from streams.commands.rules.given import Logs, answers, logs_of, logs_options, now
from streams.load import declared

MINUTE = 60 * MICROSECONDS
DEEDS = 3


@click.command("grants", epilog=sources_line, short_help="temporary access: open, ended, and what was done in it")
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@config_option
@logs_options
@click.option("--open", "only", flag_value="open", help="Only what is open now.")
@click.option("--ended", "only", flag_value="ended", help="Only what has ended.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a grant.")
def command(
    sources: tuple[str, ...],
    config: Path | None,
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    only: str | None,
    as_json: bool,
) -> None:
    """List the context's temporary grants as they stand now: who holds what until when, approved by whom, and how much
    of it the logs show in use.

    \b
    Examples:
      auditwatch access grants --open --trail .auditwatch/trail --since 7d
      auditwatch access grants --ended cloudtrail=trail.jsonl.gz --context context/
      auditwatch access grants --json | jq 'select(.uses == 0)'
    """
    settings = settings_of(config)
    with answers():
        known = declared(context or settings.context)
        if not known.declared.temporary_grants:
            raise Unusable("the context has no temporary_grants: docs/authorization.md shows what they look like")
        grants = _seen(known, logs_of(sources, settings, known, trail, (since, until)))
    found = [each for each in grants.summary(now()) if only in (None, each.state)]
    if as_json:
        for each in found:
            echo_json(each)
    elif found:
        echo_columns([_HEAD, *map(_row, found)])
    else:
        click.echo("none")


def _seen(known: Context, logs: Logs) -> Grants:
    """What the logs show of everybody who was granted something."""
    access = access_of(known)
    grants = Grants(access)
    with counting("reading") as tick:
        for event in counted(logs.events(), tick):
            if event.actor.id in access.grants:
                record = record_of(event)
                grants.see(event, record, access.decide(event, record))
    logs.complain()
    return grants


def _row(grant: Temporary) -> list[str]:
    used = f"{grant.uses} times, last {_minute(grant.last)}" if grant.uses else "never"
    more = [f"{grant.failed} did not work"] if grant.failed else []
    more += [f"{grant.after_end} after its end"] if grant.after_end else []
    words = grant.user, grant.system, grant.role, grant.granted_by or "-", grant.ticket or "-", _state(grant)
    return [plain(word, 80) for word in words] + [", ".join([used, *more]), "; ".join(grant.deeds[:DEEDS]) or "-"]


def _state(grant: Temporary) -> str:
    if grant.state == "not begun":
        return f"begins {_minute(grant.start)}"
    if grant.state == "ended":
        return f"ended {_minute(grant.expires)}"
    left = max(0, parse_rfc3339(grant.expires) - now()) // MINUTE
    hours, minutes = divmod(left, 60)
    return f"open, ends in {f'{hours // 24} d {hours % 24} h' if hours >= 48 else f'{hours} h {minutes} min'}"


def _minute(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


_HEAD = ("WHO", "SYSTEM", "ROLE", "GRANTED BY", "TICKET", "STATE", "USED", "FOR WHAT")
