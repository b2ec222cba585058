"""What a correlation's finding rests on, bounded: the same for the same matches, whatever their order."""

from __future__ import annotations

from heapq import nsmallest

import msgspec

from rules.correlation import BETWEEN, Entry

MOST_EVENT_IDS = 1000
MOST_PRINCIPALS = 64
MOST_VALUES = 256


class Evidence(msgspec.Struct, array_like=True, gc=False):
    """Events with their times, who did them and the values counted. Beyond a bound the smallest are kept.

    `count` counts all events; `nested` are entries that stand for findings of another correlation.
    """

    count: int = 0
    earliest: int = 0
    latest: int = 0
    events: dict[str, int] = {}
    principals: set[str] = set()
    values: set[str] = set()
    nested: list[Entry] = []

    def copy(self) -> Evidence:
        """One that may grow by itself."""
        return Evidence(
            self.count,
            self.earliest,
            self.latest,
            self.events.copy(),
            self.principals.copy(),
            self.values.copy(),
            self.nested.copy(),
        )

    def add(self, entry: Entry) -> None:
        """One more entry. An event that several rules match counts once."""
        if BETWEEN in entry.source:
            self._add_nested(entry)
            return
        if entry.event_id not in self.events:
            self.count += 1
        self._span(entry.time, entry.time)
        self.events[entry.event_id] = entry.time
        self.principals.add(entry.principal)
        if entry.value.__class__ is str and entry.value:
            self.values.add(entry.value)
        if len(self.events) > 2 * MOST_EVENT_IDS:
            self.trim()

    def _add_nested(self, entry: Entry) -> None:
        """Of the times one finding of another correlation fired, the last stands for all."""
        self.nested = [one for one in self.nested if one.event_id != entry.event_id]
        self.nested.append(entry)
        self.nested = self.nested[-MOST_PRINCIPALS:]

    def join(self, other: Evidence) -> None:
        """The evidence of a correlation that this one counts."""
        if not other.count:
            return
        fresh = other.events.keys() - self.events.keys()
        whole = other.count <= len(other.events)
        self._span(other.earliest, other.latest)
        self.count += len(fresh) if whole else other.count
        self.events.update(other.events)
        self.principals |= other.principals

    def trim(self) -> None:
        """Down to the bounds."""
        if len(self.events) > MOST_EVENT_IDS:
            self.events = {one: self.events[one] for one in nsmallest(MOST_EVENT_IDS, self.events)}
        if len(self.principals) > MOST_PRINCIPALS:
            self.principals = set(nsmallest(MOST_PRINCIPALS, self.principals))
        if len(self.values) > MOST_VALUES:
            self.values = set(nsmallest(MOST_VALUES, self.values))

    def event_ids(self) -> tuple[str, ...]:
        """The ids of the events in the order of their times."""
        self.trim()
        return tuple(sorted(self.events, key=lambda one: (self.events[one], one)))

    def _span(self, earliest: int, latest: int) -> None:
        self.earliest = min(self.earliest, earliest) if self.earliest else earliest
        self.latest = max(self.latest, latest)
