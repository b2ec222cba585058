"""What a correlation's finding rests on, bounded: the same for the same matches, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from operator import itemgetter

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

    def add(self, entries: Sequence[Entry], values: bool) -> None:
        """More entries in order of time, `values` if these are told. An event that several rules match counts once."""
        if any(BETWEEN in entry.source for entry in entries):
            for entry in entries:
                if BETWEEN in entry.source:
                    self._add_nested(entry)
            entries = [entry for entry in entries if BETWEEN not in entry.source]
        if not entries:
            return
        events = {entry.event_id: entry.time for entry in entries}
        self.count += len(events.keys() - self.events.keys())
        self.events.update(events)
        self.principals.update([entry.principal for entry in entries])
        if values:
            self.values.update([str(entry.value) for entry in entries])
        self._span(entries[0].time, entries[-1].time)
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
            self.events = {one: self.events[one] for one in sorted(self.events)[:MOST_EVENT_IDS]}
        if len(self.principals) > MOST_PRINCIPALS:
            self.principals = set(nsmallest(MOST_PRINCIPALS, self.principals))
        if len(self.values) > MOST_VALUES:
            self.values = set(nsmallest(MOST_VALUES, self.values))

    def event_ids(self) -> tuple[str, ...]:
        """The ids of the events in the order of their times."""
        self.trim()
        return tuple(name for name, _ in sorted(self.events.items(), key=itemgetter(1, 0)))

    def _span(self, earliest: int, latest: int) -> None:
        self.earliest = min(self.earliest, earliest) if self.earliest else earliest
        self.latest = max(self.latest, latest)
