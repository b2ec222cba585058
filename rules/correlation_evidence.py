"""What a correlation's finding rests on, bounded: the same for the same matches, whatever their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from operator import itemgetter
from typing import cast

import msgspec

from audit.brief import EARLIEST, LATEST, EventBrief, ends, named
from rules.correlation import BETWEEN, Entry

MOST_EVENT_IDS = 1000
MOST_PRINCIPALS = 64
MOST_VALUES = 256


class Basis(msgspec.Struct, frozen=True, gc=False):
    """What a finding tells: how many events, when, their ids in order of time, who did them, the values counted.

    `fresh` are the ids that were not told of before; None where that is not known.
    """

    count: int
    earliest: int
    latest: int
    event_ids: tuple[str, ...]
    principals: Sequence[str]
    values: Sequence[str]
    fresh: Sequence[str] | None = None


class Evidence(msgspec.Struct, array_like=True, gc=False):
    """Events with their times, who did them and the values counted. Beyond a bound the smallest are kept.

    `count` counts all events, `weight` all matches; `seen` are the first and the last events in brief; `nested` are
    entries that stand for findings of another correlation. Dicts stand for sets, whose order, and so what is stored,
    would differ from process to process.
    """

    count: int = 0
    earliest: int = 0
    latest: int = 0
    events: dict[str, int] = {}
    principals: dict[str, None] = {}
    values: dict[str, None] = {}
    nested: list[Entry] = []
    weight: int = 0
    seen: tuple[EventBrief, ...] = ()

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
            self.weight,
            self.seen,
        )

    def add(self, entries: Sequence[Entry], values: bool) -> bool:
        """More entries in order of time, `values` if these are told. An event that several rules match counts once.

        Returns whether it came to its bounds, so that not all of its events are named.
        """
        self.weight += len(entries)
        if nested := [entry for entry in entries if BETWEEN in entry.source]:
            for entry in nested:
                self._add_nested(entry)
            entries = [entry for entry in entries if BETWEEN not in entry.source]
        if not entries:
            return False
        self.seen = ends((*self.seen, *seen_of(entries)))
        events = {entry.event_id: entry.time for entry in entries}
        fresh = sum([name not in self.events for name in events])
        self.count += fresh
        if fresh < len(events):
            events = {name: time for name, time in events.items() if time > self.events.get(name, -1)}
        self.events.update(events)
        self.principals.update(dict.fromkeys([entry.principal for entry in entries]))
        if values:
            self.values.update(dict.fromkeys(counted(entries)))
        self._span(entries[0].time, entries[-1].time)
        full = len(self.events) > 2 * MOST_EVENT_IDS
        if full:
            self.trim()
        return full

    def _add_nested(self, entry: Entry) -> None:
        """Of the times one finding of another correlation fired, the last stands for all."""
        self.nested = [one for one in self.nested if one.event_id != entry.event_id]
        self.nested.append(entry)
        self.nested = self.nested[-MOST_PRINCIPALS:]

    def join(self, other: Evidence) -> None:
        """The evidence of a correlation that this one counts."""
        self.weight += other.weight
        if not other.count:
            return
        fresh = other.events.keys() - self.events.keys()
        whole = other.count <= len(other.events)
        self._span(other.earliest, other.latest)
        self.count += len(fresh) if whole else other.count
        self.events.update(other.events)
        self.principals |= other.principals
        self.seen = ends((*self.seen, *other.seen))

    def trim(self) -> None:
        """Down to the bounds."""
        if len(self.events) > MOST_EVENT_IDS:
            self.events = {one: self.events[one] for one in sorted(self.events)[:MOST_EVENT_IDS]}
        if len(self.principals) > MOST_PRINCIPALS:
            self.principals = dict.fromkeys(nsmallest(MOST_PRINCIPALS, self.principals))
        if len(self.values) > MOST_VALUES:
            self.values = dict.fromkeys(nsmallest(MOST_VALUES, self.values))

    def basis(self) -> Basis:
        """What a finding tells of it."""
        self.trim()
        return Basis(
            self.count,
            self.earliest,
            self.latest,
            tuple(name for name, _ in sorted(self.events.items(), key=itemgetter(1, 0))),
            sorted(self.principals),
            sorted(self.values),
        )

    def _span(self, earliest: int, latest: int) -> None:
        self.earliest = min(self.earliest, earliest) if self.earliest else earliest
        self.latest = max(self.latest, latest)


def seen_of(entries: Sequence[Entry]) -> Iterator[EventBrief]:
    """Events in brief from both ends of entries in order of time: the first and the last are among them."""
    yield from _near(entries, EARLIEST)
    yield from _near(reversed(entries), LATEST)


def _near(entries: Iterable[Entry], most: int) -> dict[EventBrief, None]:
    """Those of the first so many events: several rules may match one, and several may be at one time."""
    found: dict[EventBrief, None] = {}
    time = 0
    for entry in entries:
        if len(found) >= most and entry.time != time:
            break
        if entry.seen:
            found[named(entry.seen, entry.time, entry.event_id, entry.source)] = None
            time = entry.time
    return found


def counted(entries: Sequence[Entry]) -> list[str]:
    """The values of entries whose values are counted: texts."""
    return cast("list[str]", [entry.value for entry in entries])
