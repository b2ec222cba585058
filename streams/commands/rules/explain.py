"""auditwatch rules explain: why a rule matches an event, or why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from alerting.plain import plain
from audit.context import Context
from audit.event import AuditEvent, rfc3339
from rules.compile import RuleSet
from rules.condition import called
from rules.correlation import Correlation, feeds_of
from rules.explain import Explanation, Group, Part, Place, explain
from rules.explain_correlation import CorrelationExplanation, explain_correlation
from rules.find import find
from rules.rule import Rule
from rules.view import View
from streams.commands.common import Unusable, source_file
from streams.commands.out import echo_json, json_option
from streams.commands.rules.given import KNOWN, answers, context_option, now, rules_of, rules_option, view_of
from streams.commands.rules.table import Column, echo_table, heading, mark
from streams.load import declared
from streams.replay import EVENTS, Rejected, Source, events_of

LONGEST = 300


@click.command("explain")
@click.argument("rule", metavar="RULE")
@click.argument("events", metavar="EVENT-FILE")
@click.option("--source", type=click.Choice(sorted(KNOWN)), help="Whose records they are [default: the rule's source].")
@rules_option
@context_option
@click.option("--event", "event_id", help="Only the event of this id.")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1), help="Events to explain one by one.")
@json_option
def command(
    rule: str,
    events: str,
    source: str | None,
    rules: tuple[Path, ...],
    context: Path | None,
    event_id: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Why a rule matches an event, or why not: each test, where it looked, what it found, how near it came.

    RULE is an id, a file name, or a part of the title. EVENT-FILE holds raw records or AuditEvent lines (JSON lines,
    one record, `-`), or is SOURCE=FILE. Of a correlation: which events it counts, in which group, and how far each
    window came. Secrets in records are not shown. Exit code 1 when it matches none of the events.

    \b
    Examples:
      auditwatch rules explain "console login without mfa" event.json
      auditwatch rules explain root_used.yml cloudtrail=trail.jsonl.gz --event 5f8d9e0c-0d6d-4c6b-9a44-3f6a1a1f0c11
      auditwatch rules explain 3b0f2b56 okta=burst.jsonl --rules our-rules
    """
    with answers():
        loaded = rules_of(rules)
        one = find(loaded, rule)
        views = _views(loaded, one, events, source, declared(context))
        if event_id is not None:
            views = _only(views, event_id)
        hit = _tell(loaded, one, views, limit, as_json)
    if not hit:
        raise click.exceptions.Exit(1)


def _tell(loaded: RuleSet, one: Rule | Correlation, views: Iterator[View], limit: int, as_json: bool) -> bool:
    if isinstance(one, Correlation):
        told = explain_correlation(loaded, one, views)
        echo_json(_correlation_line(told)) if as_json else _show_correlation(told, limit)
        return told.fires
    hits = count = 0
    for count, view in enumerate(views, 1):
        answer = explain(one, view, loaded.excused(one.id, view.event, view.record))
        hits += answer.matches
        if count <= limit:
            echo_json(_line(answer)) if as_json else _show(answer, view.event)
    click.echo(f"{hits} of {count} events match" + (f", {limit} shown" if count > limit else ""), err=True)
    return hits > 0


def _views(
    loaded: RuleSet, one: Rule | Correlation, events: str, source: str | None, context: Context
) -> Iterator[View]:
    """The events, of the source that is named, else as AuditEvent lines if they are, else of the rule's own source."""
    name, _, path = events.partition("=")
    if name in KNOWN and path:
        source, events = source_file(events, KNOWN)
    if events != "-" and not Path(events).exists():
        raise Unusable(f"{events}: no such file")
    rejects: list[Rejected] = []
    for guess in [source] if source else [*_sources(loaded, one), EVENTS]:
        rejects.clear()
        found = events_of([Source(guess, events)], context, now(), rejects)
        first = list(islice(found, 1))
        if first or events == "-":
            yield from map(view_of, (*first, *found))
            break
        if not rejects:
            raise Unusable(f"{events}: no events in it")
    if rejects:
        what = f"{events}: {len(rejects)} records cannot be read (line {rejects[0].line}: {rejects[0].error})"
        raise Unusable(what + ("" if source else "; name their source with --source"))


def _only(views: Iterator[View], event_id: str) -> Iterator[View]:
    found = [view for view in views if view.event.id == event_id]
    if not found:
        raise Unusable(f"no event has the id {event_id}")
    return iter(found)


def _sources(loaded: RuleSet, one: Rule | Correlation) -> list[str]:
    if isinstance(one, Rule):
        return sorted(set(one.sources) & KNOWN)
    counted = {feed.rule_id for feed in feeds_of(one)}
    return sorted({source for rule in loaded.rules if rule.id in counted for source in rule.sources} & KNOWN)


def _show(answer: Explanation, event: AuditEvent) -> None:
    rule = answer.rule
    click.echo(f"{click.style(rule.title, bold=True)}  {rule.id}  {rule.path}")
    verdict = "matches" if answer.matches else "does not match"
    click.echo(f"{mark(answer.matches)} {verdict} {_safe(event.id)}  {rfc3339(event.time)}  {event.source}")
    if not answer.asked:
        why = "the rule is off" if rule.stage == "off" else f"it is asked only about {', '.join(rule.sources)}"
        click.echo(f"  not asked: {why}")
    if answer.excuse and answer.matches:
        click.echo(
            f"  excused by {answer.excuse.owner}: {answer.excuse.reason} ({answer.excuse.path}:{answer.excuse.line})"
        )
    _show_part(answer.tree, 1)
    click.echo()


def _show_part(part: Part, depth: int) -> None:
    indent = "  " * depth
    if isinstance(part, Group):
        click.echo(f"{indent}{mark(part.held)} {part.kind}")
        for inner in part.parts:
            _show_part(inner, depth + 1)
        return
    why = f"  {click.style(f'<- {_safe(part.why)}', fg='yellow')}" if part.why else ""
    click.echo(f"{indent}{mark(part.held)} {_safe(part.wants)}{why}")
    for place in part.places:
        if place.found:
            click.echo(f"{indent}    {_place(place, part.field)}")


def _place(place: Place, field: str) -> str:
    name = (
        place.path if called(place.path) == field and not place.path.startswith("auditwatch.") else f"in {place.path}"
    )
    return f"{name} = {_safe(', '.join(place.values))}"


def _safe(text: str) -> str:
    return plain(text, LONGEST)


def _show_correlation(told: CorrelationExplanation, limit: int) -> None:
    one = told.correlation
    click.echo(f"{click.style(one.title, bold=True)}  {one.id}  {one.path}")
    click.echo(f"{mark(told.fires)} {'fires' if told.fires else 'does not fire'}: it waits for {told.needs}")
    counted = [step for step in told.steps if not step.why]
    heading(f"{len(counted)} of {len(told.steps)} events count")
    columns = [Column("TIME"), Column("EVENT"), Column("RULE"), Column("GROUP"), Column("VALUE"), Column("WHY NOT")]
    steps = [*counted, *(step for step in told.steps if step.why)][: limit * 4]
    rows = [(rfc3339(s.time), s.event_id, s.rule, _group(s.group), s.value, s.why) for s in steps]
    echo_table(columns, rows)
    if told.groups:
        heading("windows, each at its fullest")
        columns = [Column("FIRES"), Column("GROUP"), Column("REACHED"), Column("FROM"), Column("TO"), Column("MISSING")]
        groups = sorted(told.groups, key=lambda group: (not group.fired, -group.matches))[: limit * 4]
        echo_table(
            columns,
            [
                (
                    "yes" if g.fired else "no",
                    _group(g.group),
                    g.reached,
                    rfc3339(g.first),
                    rfc3339(g.last),
                    ", ".join(g.missing),
                )
                for g in groups
            ],
        )


def _group(group: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{field} {value}" for field, value in group)


def _line(answer: Explanation) -> dict[str, Any]:
    excuse = answer.excuse
    return {
        "rule_id": answer.rule.id,
        "event_id": answer.event_id,
        "matches": answer.matches,
        "asked": answer.asked,
        "excused": {"owner": excuse.owner, "reason": excuse.reason, "path": excuse.path} if excuse else None,
        "tree": _part_line(answer.tree),
    }


def _part_line(part: Part) -> dict[str, Any]:
    if isinstance(part, Group):
        return {"kind": part.kind, "held": part.held, "parts": [_part_line(inner) for inner in part.parts]}
    return {
        "wants": part.wants,
        "held": part.held,
        "field": part.field,
        "present": part.present,
        "places": [{"path": one.path, "found": one.found, "values": one.values} for one in part.places],
        "why": part.why,
    }


def _correlation_line(told: CorrelationExplanation) -> dict[str, Any]:
    return {
        "rule_id": told.correlation.id,
        "fires": told.fires,
        "needs": told.needs,
        "events": [
            {
                "event_id": s.event_id,
                "time": rfc3339(s.time),
                "rule": s.rule,
                "group": dict(s.group),
                "value": s.value,
                "why": s.why,
            }
            for s in told.steps
        ],
        "groups": [
            {
                "group": dict(g.group),
                "matches": g.matches,
                "reached": g.reached,
                "first": rfc3339(g.first),
                "last": rfc3339(g.last),
                "missing": g.missing,
                "fires": g.fired,
            }
            for g in told.groups
        ],
    }
