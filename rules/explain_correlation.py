"""What a correlation makes of some events: which it counts, in which group, and how far each window came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit.event import MICROSECONDS
from audit.redact import redact
from rules.compile import RuleSet
from rules.condition import called
from rules.correlation import BETWEEN, SCALE, Correlation, Entry, Feed, Match, feeds_of, match_of
from rules.correlation_section import MEASURES, TEMPORAL
from rules.correlation_windows import fires
from rules.view import View

LONGEST_VALUE = 160
MOST_MATCHES = 2_000
"""Matches of a group, the newest, among which its fullest window is looked for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event on its way into a correlation; `why` it does not count, "" when it does.

    `group` pairs the fields it is grouped by with their values; `value` is what is counted or measured.
    """

    event_id: str
    time: int
    rule: str
    group: tuple[tuple[str, str], ...] = ()
    value: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group's window at its fullest: `reached` of what is needed, `missing` rules of a sequence, and whether it
    fired. `first` and `last` bound that window (microseconds)."""

    group: tuple[tuple[str, str], ...]
    matches: int
    reached: str
    first: int
    last: int
    missing: tuple[str, ...]
    fired: bool


@dataclass(frozen=True, slots=True)
class CorrelationExplanation:
    """What a correlation makes of events: each event, then each group. `needs` says in words what it waits for."""

    correlation: Correlation
    needs: str
    steps: tuple[Step, ...]
    groups: tuple[GroupState, ...]

    @property
    def fires(self) -> bool:
        """Whether it fires in any group when nothing follows these events."""
        return any(group.fired for group in self.groups)


def explain_correlation(rules: RuleSet, correlation: Correlation, views: Iterable[View]) -> CorrelationExplanation:
    """What the correlation makes of these events, in their order, and of nothing after them."""
    by_rule: dict[str, list[Feed]] = {}
    for feed in feeds_of(correlation):
        by_rule.setdefault(feed.rule_id, []).append(feed)
    titles = {rule.id: rule.title for rule in rules.rules}
    steps: list[Step] = []
    windows: dict[str, list[tuple[str, View, Match]]] = {}
    for view in views:
        counted = [rule.id for rule in rules.matching(view) if rule.id in by_rule]
        if not counted:
            steps.append(Step(view.event.id, view.event.time, "", why="none of the rules it counts matches"))
        for rule_id in counted:
            for feed in by_rule[rule_id]:
                step, match = _step(rules, correlation, feed, titles[rule_id], view)
                steps.append(step)
                if match:
                    windows.setdefault("" if correlation.nested else match.group, []).append((rule_id, view, match))
    groups = tuple(_state(correlation, titles, found) for found in windows.values())
    return CorrelationExplanation(correlation, _needs(correlation), tuple(steps), groups)


def _step(rules: RuleSet, correlation: Correlation, feed: Feed, title: str, view: View) -> tuple[Step, Match | None]:
    event = view.event
    match = match_of(feed, event, view.record)
    if match is None:
        wanted = ", ".join((*map(called, correlation.group_by), *map(called, correlation.fields)))
        return Step(
            event.id, event.time, title, why=f"the event lacks a field it is grouped or counted by: {wanted}"
        ), None
    group = _named(correlation, match.group)
    excuse = rules.excused(feed.correlation, event, view.record)
    if excuse is not None:
        return Step(event.id, event.time, title, group, why=f"excused by {excuse.owner}: {excuse.reason}"), None
    return Step(event.id, event.time, title, group, _value(match.entry)), match


def _named(correlation: Correlation, group: str) -> tuple[tuple[str, str], ...]:
    parts = group.split(BETWEEN) if correlation.group_by else []
    return tuple((called(field), _shown(part)) for field, part in zip(correlation.group_by, parts, strict=False))


def _value(entry: Entry) -> str:
    if isinstance(entry.value, int):
        return f"{entry.value / SCALE:g}"
    return _shown(entry.value.replace(BETWEEN, " / "))


def _shown(text: str) -> str:
    safe = redact(text)
    return safe if len(safe) <= LONGEST_VALUE else safe[: LONGEST_VALUE - 3] + "..."


def _state(correlation: Correlation, titles: dict[str, str], found: Sequence[tuple[str, View, Match]]) -> GroupState:
    window = _fullest(correlation, found)
    times = [view.event.time for _, view, _ in window]
    seen = {rule_id for rule_id, _, _ in window}
    wanted = dict.fromkeys(feed.rule_id for feed in feeds_of(correlation))
    missing = [titles[rule_id] for rule_id in wanted if rule_id not in seen] if correlation.kind in TEMPORAL else []
    return GroupState(
        group=() if correlation.nested else _named(correlation, found[0][2].group),
        matches=len(found),
        reached=_reached(correlation, window),
        first=min(times),
        last=max(times),
        missing=tuple(missing),
        fired=fires(correlation, [(rule_id, view.event, view.record) for rule_id, view, _ in found]),
    )


def _fullest(correlation: Correlation, found: Sequence[tuple[str, View, Match]]) -> list[tuple[str, View, Match]]:
    """The window that has most of what is counted: the matches within one timespan that ends with a match."""
    ordered = sorted(found, key=lambda one: one[1].event.time)[-MOST_MATCHES:]
    best: list[tuple[str, View, Match]] = []
    start = 0
    for end, (_, view, _) in enumerate(ordered):
        while ordered[start][1].event.time <= view.event.time - correlation.timespan:
            start += 1
        window = ordered[start : end + 1]
        if _count(correlation, window) > _count(correlation, best):
            best = window
    return best


def _count(correlation: Correlation, window: Sequence[tuple[str, View, Match]]) -> int:
    if correlation.kind == "value_count":
        return len({match.entry.value for _, _, match in window})
    if correlation.kind in TEMPORAL:
        return len({rule_id for rule_id, _, _ in window})
    return len({(view.event.source, view.event.id) for _, view, _ in window})


def _reached(correlation: Correlation, window: Sequence[tuple[str, View, Match]]) -> str:
    count = _count(correlation, window)
    if correlation.kind in MEASURES:
        values = [match.entry.value / SCALE for _, _, match in window if isinstance(match.entry.value, int)]
        return f"{len(values)} values, sum {sum(values):g}, mean {sum(values) / max(1, len(values)):g}"
    if correlation.kind == "value_count":
        return f"{count} distinct values of {correlation.field.removeprefix('auditwatch.')}"
    if correlation.kind in TEMPORAL:
        return f"{count} of {len({feed.rule_id for feed in feeds_of(correlation)})} rules"
    return f"{count} matches"


def _needs(correlation: Correlation) -> str:
    field = correlation.field.removeprefix("auditwatch.")
    scale = SCALE if correlation.kind in MEASURES else 1
    bounds = " and ".join(f"{op} {number / scale:g}" for op, number in correlation.bounds)
    what = {
        "event_count": f"matches {bounds}",
        "value_count": f"distinct values of {field} {bounds}",
        "temporal": "all of its rules, in any order" if not correlation.clauses else "its condition",
        "temporal_ordered": "all of its rules, in their order",
    }.get(correlation.kind, f"{correlation.kind} of {field} {bounds}")
    by = ", ".join(map(called, correlation.group_by))
    return f"{what} within {span_text(correlation.timespan)}" + (f" for the same {by}" if by else "")


def span_text(microseconds: int) -> str:
    """A stretch of time as rules write it: 1h30m."""
    seconds, text = microseconds // MICROSECONDS, ""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
