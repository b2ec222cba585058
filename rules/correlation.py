"""Sigma correlations, ready to run: what a match of a rule carries to the window of its group.

A correlation is folded in event time by rules/correlation_window.py, among the windows of one entity by
rules/correlation_windows.py. docs/correlations.md says what fires when, and why arrival order never shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from audit.brief import EventBrief, about
from audit.event import MICROSECONDS, AuditEvent
from audit.finding import Severity
from rules.correlation_expression import Clause
from rules.correlation_section import MEASURES, TEMPORAL, Kind, Operator
from rules.fields import Getter
from rules.rule import RuleTest, Stage
from rules.view import MISSING, View, texts

MOST_ENTRIES = 500
MOST_VALUE_LENGTH = 256
SOURCE_LAG = 3600 * MICROSECONDS
"""How far one source may be behind another where a correlation counts several."""
EPISODE = 4 * 3600 * MICROSECONDS
"""The episode of an alert: what one finding tells never spreads over two (the same as alerting's)."""
SCALE = 1_000_000
"""Measured numbers are kept as whole millionths: sums of them do not depend on their order."""
BETWEEN = "\x1f"

Timing = Literal["prompt", "settled", "complete", "forward"]
"""When a condition is judged: at once; when nothing earlier can come; on a window that began with a match and is
over; on what follows a match."""

EntityOf = Callable[[View, str], str]


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A match in a window. `rule` is the place of its rule in the correlation where that matters, else 0.

    `value` is what is counted (text) or measured (a whole number of millionths). Of a correlation that another one
    counts, `event_id` is its finding and `source` the window it fired in. `seen` is what the event is about in brief.
    """

    time: int
    source: str
    event_id: str
    rule: int
    principal: str
    value: str | int = ""
    seen: EventBrief | None = None


class Match(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One match on its way to the window of its group, at the entity that keeps it."""

    correlation: str
    group: str
    entity: str
    entry: Entry


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """How matches of one rule reach a correlation: the place of the rule in it, and the fields that are read.

    `entity` names whom the group's window is kept by; `values` are what is counted or measured. `concerns` are the
    documents it counts for: an exception from any of them excuses the match.
    """

    correlation: str
    rule_id: str
    rule: int
    groups: tuple[Getter, ...]
    values: tuple[Getter, ...]
    numeric: bool
    entity: EntityOf
    concerns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """A correlation that counts another one: as its rule number `rule`, grouped by these parts of the other's group."""

    correlation: str
    rule: int
    picks: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Matches of rules, counted or measured per group in a sliding window. Times in microseconds.

    `need` is the least count (or sum, in millionths) that fires at once; `bounds` is the condition judged later.
    `absent` is the place of the rule that must not match `within` so long. `sources` are those its rules match in,
    empty: any. `nested` are private copies of the correlations it counts, `parent` is set in those. `silent`: others
    count it and it makes no findings of its own. `stamp` changes with whatever its windows depend on.
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
    timing: Timing
    bounds: tuple[tuple[Operator, int], ...]
    need: int
    fields: tuple[str, ...] = ()
    percentile: int = 50
    clauses: tuple[Clause, ...] = ()
    distinct: bool = False
    absent: int = -1
    absent_name: str = ""
    within: int = 0
    lateness: int = 0
    sources: frozenset[str] = frozenset()
    feeds: tuple[Feed, ...] = ()
    nested: tuple[Correlation, ...] = ()
    parent: Parent | None = None
    silent: bool = False
    stage: Stage = "live"
    stamp: str = ""

    @property
    def field(self) -> str:
        """What is counted or measured, "" where that is the match itself."""
        return ", ".join(self.fields)

    @property
    def threshold(self) -> float:
        """The number its condition compares with first."""
        return self.bounds[0][1] if self.bounds else len(self.rule_ids)

    @property
    def delay(self) -> int:
        """How long after a match its judgement can be known, lateness aside."""
        return (self.timespan - 1 if self.timing in ("complete", "forward") else 0) + self.within

    @property
    def days(self) -> int:
        """How many days (rounded up) a window may be needed after its last match."""
        return -(-(self.timespan + self.delay + self.slack) // (24 * 3600 * MICROSECONDS))

    @property
    def patience(self) -> int | None:
        """How long after a match somebody must ask for its judgement; None where matches alone do."""
        return self.delay + self.lateness if self.timing != "prompt" or self.absent >= 0 else None

    @property
    def slack(self) -> int:
        """How far behind the newest match of its group a match may come."""
        return self.lateness + (0 if len(self.sources) == 1 else SOURCE_LAG)

    @property
    def most_entries(self) -> int:
        """How many matches a window keeps: enough to reach the threshold."""
        if self.kind in MEASURES:
            return 4 * MOST_ENTRIES
        return max(MOST_ENTRIES, self.need * 5 // 4 + 1) if self.kind not in TEMPORAL else MOST_ENTRIES

    @property
    def bin(self) -> int:
        """What one finding covers: an hour, two or four, or whole times four hours: no less than the timespan."""
        for hours in (1, 2):
            if self.timespan <= hours * 3600 * MICROSECONDS:
                return hours * 3600 * MICROSECONDS
        return -(-self.timespan // EPISODE) * EPISODE


def feeds_of(correlation: Correlation) -> Iterator[Feed]:
    """How matches reach a correlation and those it counts."""
    yield from correlation.feeds
    for nested in correlation.nested:
        yield from feeds_of(nested)


def family(correlation: Correlation) -> dict[str, Correlation]:
    """A correlation and those it counts, by id."""
    found = {correlation.id: correlation}
    for nested in correlation.nested:
        found |= family(nested)
    return found


def match_of(feed: Feed, event: AuditEvent, record: Mapping[str, Any]) -> Match | None:
    """The match as its window takes it, or None when the event lacks a field it is grouped, counted or measured by."""
    view = View(event, record)
    group: list[str] = []
    for get in feed.groups:
        part = _one(get(view))
        if part is None:
            return None
        group.append(part)
    value: str | int = ""
    if feed.values:
        read = _number(feed.values[0](view)) if feed.numeric else _values(feed.values, view)
        if read is None:
            return None
        value = read
    joined = BETWEEN.join(group)
    entry = Entry(event.time, event.source, event.id, feed.rule, event.actor.id, value, about(event))
    return Match(feed.correlation, joined, feed.entity(view, joined), entry)


def _values(getters: tuple[Getter, ...], view: View) -> str | None:
    found = [_one(get(view)) for get in getters]
    return None if None in found else BETWEEN.join(found)  # type: ignore[arg-type]


def _one(value: Any) -> str | None:
    """The value as one bounded text, in lower case as Sigma compares; None when there is none."""
    if value is MISSING or value is None:
        return None
    found = texts(value)
    return found[0][:MOST_VALUE_LENGTH].replace(BETWEEN, " ").lower() if found else None


def _number(value: Any) -> int | None:
    """The value in whole millionths; None when it is no finite number of a bearable size."""
    found = texts(value) if value is not MISSING else []
    if not found or len(found[0]) > 32:
        return None
    try:
        number = int(found[0]) if found[0].isdecimal() else float(found[0])
    except ValueError:
        return None
    return round(number * SCALE) if abs(number) <= LARGEST else None  # NaN compares false


LARGEST = 1e15
"""Numbers beyond this many are not measured: they are more likely made up."""
