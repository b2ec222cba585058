"""Sigma correlations in event time: matches of one group counted in a sliding window, a fold.

Each entry of a window remembers the episode it belongs to: the time at which the threshold was first reached,
for as long as it stays reached. That makes a window a function of the matches in it, not of their arrival.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from audit.event import MICROSECONDS, AuditEvent, rfc3339
from audit.finding import Finding, Severity, Version, stable_id
from rules.fields import MISSING, Getter, View, texts
from rules.rule import RuleTest

LATENESS = 300 * MICROSECONDS
"""How late a match may come and still be counted as if it had come in order."""
MOST_ENTRIES = 500
MOST_EVENT_IDS = 1000
MOST_VALUE_LENGTH = 256
_SHOWN_VALUES = 8
_BETWEEN = "\x1f"

Kind = Literal["event_count", "value_count"]
Operator = Literal["gte", "gt", "eq"]
EntityKind = Literal["user", "ip", "session", "resource"]

_COMPARE = {"gte": ge, "gt": gt, "eq": eq}


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Counts matches of `rule_ids` per group over `timespan` (microseconds); `field` is what value_count counts.

    `groups` and `value` read the group-by fields and the counted field. `entity_kind` is what the first group-by
    field holds; a group that is no address, session or resource counts against the actor.
    """

    id: str
    name: str
    title: str
    severity: Severity
    risk: int
    attack: tuple[str, ...]
    author: str
    path: Path
    status: str
    description: str
    falsepositives: tuple[str, ...]
    runbook: tuple[str, ...]
    tests: tuple[RuleTest, ...]
    rule_ids: tuple[str, ...]
    group_by: tuple[str, ...]
    timespan: int
    kind: Kind
    field: str
    op: Operator
    threshold: int
    entity_kind: EntityKind
    groups: tuple[Getter, ...]
    value: Getter | None

    @property
    def most_entries(self) -> int:
        """How many matches a window keeps: enough to reach the threshold."""
        return max(MOST_ENTRIES, self.threshold + 1)


class Match(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One match on its way to the window of its group. `value` is what a value_count counts, "" otherwise."""

    correlation: str
    group: str
    entity: str
    time: int
    event_id: str
    source: str
    principal: str
    value: str


class Entry(NamedTuple):
    """A match in a window. `trigger` is the time its episode began, 0 when the threshold is not reached."""

    time: int
    source: str
    event_id: str
    principal: str
    value: str
    trigger: int


class Window(msgspec.Struct, array_like=True, frozen=True):
    """The matches of one group, by time; `evicted` counts those that had to go before their time or came too late."""

    entries: list[Entry] = []
    evicted: int = 0


def match_of(correlation: Correlation, event: AuditEvent, record: Mapping[str, Any]) -> Match | None:
    """The match as its window takes it, or None when the event lacks a field it is grouped or counted by."""
    view = View(event, record)
    group = [_one(get(view)) for get in correlation.groups]
    value = "" if correlation.value is None else _one(correlation.value(view))
    if value is None or None in group:
        return None
    joined = _BETWEEN.join(str(part) for part in group)
    return Match(
        correlation=correlation.id,
        group=joined,
        entity=_entity(correlation, event, joined),
        time=event.time,
        event_id=event.id,
        source=event.source,
        principal=event.actor.id,
        value=value,
    )


def fold(
    correlation: Correlation, window: Window | None, match: Match, version: Version
) -> tuple[Window, Finding | None]:
    """The window with the match in it, and the finding if its episode has reached the threshold.

    All matches of an episode give a finding of the same id, with what is known by then. A match already counted
    gives the same window and None. Neither argument is changed.
    """
    window = window or Window()
    entries = window.entries
    key = (match.time, match.source, match.event_id)
    position = bisect_left(entries, key)
    if position < len(entries) and entries[position][:3] == key:
        return window, None
    if entries and match.time <= entries[-1].time - correlation.timespan - LATENESS:
        return Window(entries, window.evicted + 1), None
    added = Entry(*key, match.principal, match.value, 0)
    entries = entries.copy()
    entries.insert(position, added)
    last = _settle(correlation, entries, position)
    finding = _finding(correlation, match, entries, last, version) if entries[last].trigger else None
    entries, evicted = _pruned(correlation, entries)
    return Window(entries, window.evicted + evicted), finding


def _settle(correlation: Correlation, entries: list[Entry], position: int) -> int:
    """Works out the episodes anew from `position` on; answers the last entry that the new one touches and fires."""
    end = entries[position].time + correlation.timespan
    last = position
    for at in range(position, len(entries)):
        entry = entries[at]
        trigger = _trigger(correlation, entries, at)
        if entry.time < end and trigger:
            last = at
        if entry.time >= end and trigger == entry.trigger:
            break
        if trigger != entry.trigger:
            entries[at] = entry._replace(trigger=trigger)
    return last


def _trigger(correlation: Correlation, entries: list[Entry], at: int) -> int:
    time = entries[at].time
    start = bisect_right(entries, time - correlation.timespan, 0, at, key=_time)
    if not _reached(correlation, entries, start, at):
        return 0
    before = entries[at - 1] if at > start else None
    return before.trigger or time if before else time


def _time(entry: Entry) -> int:
    return entry.time


def _reached(correlation: Correlation, entries: list[Entry], start: int, at: int) -> bool:
    """Whether the matches from `start` to `at`, both included, satisfy the condition."""
    count = at - start + 1
    if correlation.kind == "value_count":
        count = len({entry.value for entry in entries[start : at + 1]})
    return bool(_COMPARE[correlation.op](count, correlation.threshold))


def _pruned(correlation: Correlation, entries: list[Entry]) -> tuple[list[Entry], int]:
    """Without what no window and no episode can need again; and how many had to go for want of room."""
    watermark = entries[-1].time - LATENESS
    if entries[0].time <= watermark - correlation.timespan:
        settled = bisect_left(entries, watermark, key=_time) - 1
        trigger = entries[settled].trigger or watermark
        entries = entries[bisect_right(entries, min(watermark, trigger) - correlation.timespan, key=_time) :]
    too_many = len(entries) - correlation.most_entries
    if too_many <= 0:
        return entries, 0
    return _evicted(correlation, entries), correlation.most_entries // 10


def _evicted(correlation: Correlation, entries: list[Entry]) -> list[Entry]:
    """A tenth less. Oldest first; of a value_count those whose value came again later, or repeats hide the rest."""
    room = correlation.most_entries // 10
    if correlation.kind == "event_count":
        return entries[room:]
    latest = {entry.value: at for at, entry in enumerate(entries)}
    repeated = [at for at, entry in enumerate(entries) if latest[entry.value] != at][:room]
    going = set(repeated) or set(range(room))
    return [entry for at, entry in enumerate(entries) if at not in going]


def _finding(correlation: Correlation, match: Match, entries: Sequence[Entry], last: int, version: Version) -> Finding:
    trigger = entries[last].trigger
    first = bisect_right(entries, trigger - correlation.timespan, key=_time)
    episode = [entry for entry in entries[first:] if entry.time <= trigger or entry.trigger == trigger]
    principals = {entry.principal for entry in episode}
    return Finding(
        id=stable_id("correlation", correlation.id, match.group, trigger // correlation.timespan),
        time=trigger,
        kind="correlation",
        detection=correlation.id,
        title=correlation.title,
        severity=correlation.severity,
        risk=correlation.risk,
        principal=principals.pop() if len(principals) == 1 else "",
        entity=match.entity,
        event_ids=tuple(dict.fromkeys(entry.event_id for entry in episode))[:MOST_EVENT_IDS],
        reasons=_reasons(correlation, match, episode),
        attack=correlation.attack,
        version=version,
        author=correlation.author,
    )


def _reasons(correlation: Correlation, match: Match, episode: Sequence[Entry]) -> tuple[str, ...]:
    by = ", ".join(
        f"{field.removeprefix('auditwatch.')} {value}"
        for field, value in zip(correlation.group_by, match.group.split(_BETWEEN), strict=False)
    )
    span = f"from {rfc3339(episode[0].time)} to {rfc3339(episode[-1].time)}"
    counted = f"{len(episode)} matching events" + (f" for {by}" if by else "") + f", {span}"
    if correlation.kind == "event_count":
        return (counted,)
    values = list(dict.fromkeys(entry.value for entry in episode))
    more = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    field = correlation.field.removeprefix("auditwatch.")
    return counted, f"{len(values)} distinct values of {field}: {', '.join(values[:_SHOWN_VALUES])}{more}"


def _entity(correlation: Correlation, event: AuditEvent, group: str) -> str:
    if correlation.entity_kind == "user":
        return f"user:{event.actor.id}"
    return f"{correlation.entity_kind}:{group.partition(_BETWEEN)[0]}"


def _one(value: Any) -> str | None:
    """The value as one bounded text; None when there is none."""
    if value is MISSING or value is None:
        return None
    found = texts(value)
    return found[0][:MOST_VALUE_LENGTH].replace(_BETWEEN, " ") if found else None
