"""auditwatch rules health: which rules are noisy, stale, silent or cannot fire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from audit.event import AuditEvent, rfc3339
from rules.health import NOISY_PER_DAY, ExceptionHealth, Health, exceptions_health, health, judged
from rules.reach import seen_fields
from rules.unreachable import blocked
from streams.backtest import backtest
from streams.commands.common import config_option, settings_of
from streams.commands.out import counting, echo_json, json_option
from streams.commands.rules.given import answers, logs_of, logs_options, now, paths_of, rules_option, ticked, view_of
from streams.commands.rules.table import Column, echo_table, heading
from streams.commands.rules.verdicts import shown, verdict_line, verdicts_of, verdicts_option
from streams.load import load_detections


@click.command("health")
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@logs_options
@rules_option
@click.option(
    "--noisy", default=NOISY_PER_DAY, show_default=True, type=click.FloatRange(0), help="Fires a day that are too many."
)
@verdicts_option
@click.option("--all", "everything", is_flag=True, help="Show the rules that do well, too.")
@config_option
@json_option
def command(
    sources: tuple[str, ...],
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    rules: tuple[Path, ...],
    noisy: float,
    verdicts: Path | None,
    everything: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """How each rule does on files or the trail, worst first, and exceptions that have ended or hide nothing.

    \b
    noisy        fires more than --noisy times a day
    wrong        people found less than a fifth of its alerts real (five or more judged)
    cannot fire  events fit but for a field that none of them has
    stale        has fired, but not for a week and five of its usual gaps
    excused      exceptions take most of its matches away
    silent       what it looks for has not happened
    no events    nothing came of its sources

    \b
    Examples:
      auditwatch rules health --since 30d
      auditwatch rules health okta=okta.jsonl.gz cloudtrail=trail.jsonl.gz --rules our-rules --all
    """
    settings = settings_of(config)
    seen: dict[str, set[str]] = {}
    with answers():
        detections = load_detections(context or settings.context, paths_of(rules, settings), settings.models)
        logs = logs_of(sources, settings, detections.context, trail, (since, until))
        with counting("reading") as tick:

            def passed(chunk: Sequence[AuditEvent]) -> None:
                tick(len(chunk))
                for event in chunk:
                    seen_fields(view_of(event).record, seen.setdefault(event.source, set()))

            (test,) = backtest(logs.events(), [detections], on_events=passed)
        logs.complain()
        with counting("looking for rules that cannot fire") as tick:
            again = logs.events() if logs.again else iter(())
            cannot = blocked(detections.rules, seen, ticked(map(view_of, again), tick))
        told = verdicts_of(settings, verdicts)
    found = judged(health(detections.rules, test.tallies, test.span, cannot, noisy), told)
    ends = exceptions_health(detections.rules.exceptions, test.excuses, now())
    if as_json:
        for line in [*map(_line, found), *map(_exception_line, ends)]:
            echo_json(line)
        return
    _show([one for one in found if everything or one.state not in ("ok", "off")])
    _show_exceptions(ends)
    counts = Counter(one.state for one in found)
    summary = ", ".join(f"{count} {state}" for state, count in counts.items())
    click.echo(f"{test.span.events.total()} events over {test.span.days} days; {len(found)} rules: {summary}", err=True)


def _show_exceptions(ends: Sequence[ExceptionHealth]) -> None:
    if ends:
        heading("exceptions")
        rows = [(one.state, one.excuse.owner, one.why, f"{one.excuse.path}:{one.excuse.line}") for one in ends]
        echo_table([Column("STATE"), Column("OWNER"), Column("WHY"), Column("WHERE")], rows)


def _show(found: Sequence[Health]) -> None:
    columns = [
        Column("STATE"),
        Column("RULE"),
        Column("STAGE"),
        Column("FIRES", True),
        Column("A DAY", True),
        Column("USERS", True),
        Column("EXCUSED", True),
        Column("REAL", True),
        Column("LAST"),
        Column("WHY"),
    ]
    echo_table(columns, [_row(one) for one in found])


def _row(one: Health) -> tuple[object, ...]:
    stage = "" if one.rule.stage == "live" else one.rule.stage
    last = rfc3339(one.last)[:10] if one.fires else ""
    excused = f"{one.excused:.0%}" if one.excused else ""
    real = shown(one.verdicts)
    return one.state, one.rule.title, stage, one.fires, one.per_day, one.users, excused, real, last, one.why


def _line(one: Health) -> dict[str, object]:
    return {
        "rule_id": one.rule.id,
        "title": one.rule.title,
        "state": one.state,
        "stage": one.rule.stage,
        "why": one.why,
        "fires": one.fires,
        "fires_per_day": round(one.per_day, 2),
        "users": one.users,
        "noisiest": one.noisiest,
        "last": rfc3339(one.last) if one.fires else None,
        "excused": round(one.excused, 3),
        **verdict_line(one.verdicts),
    }


def _exception_line(one: ExceptionHealth) -> dict[str, object]:
    excuse = one.excuse
    return {
        "exception_id": excuse.id,
        "owner": excuse.owner,
        "state": one.state,
        "why": one.why,
        "path": excuse.path,
        "line": excuse.line,
    }
