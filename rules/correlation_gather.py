"""What a finding rests on, kept up between two tellings so that a telling costs what is new, not what there is.

The same as `Window.evidence` says, from scratch, of a window that counts no other correlation. Never stored.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from rules.correlation import Entry
from rules.correlation_evidence import MOST_EVENT_IDS, MOST_PRINCIPALS, MOST_VALUES, Basis, Evidence, counted

Span = tuple[int, int]
"""Times after the first and up to the second."""


class Smallest:
    """The smallest so many of the texts it was told, in order."""

    __slots__ = ("_most", "known", "texts")

    def __init__(self, most: int, texts: Iterable[str] = ()) -> None:
        self.texts: list[str] = []
        self._most = most
        self.known: set[str] = set()
        self.add(texts)

    def add(self, texts: Iterable[str]) -> set[str]:
        """Returns those of the texts that were not known and are kept."""
        fresh = {*texts} - self.known
        if fresh and len(self.texts) == self._most:
            largest = self.texts[-1]
            fresh = {text for text in fresh if text < largest}
        if not fresh:
            return fresh
        kept = sorted([*self.texts, *sorted(fresh)])
        self.known |= fresh
        if gone := kept[self._most :]:
            self.known.difference_update(gone)
            fresh.difference_update(gone)
        self.texts = kept[: self._most]
        return fresh


class Gathered:
    """The evidence of one bin so far: what left the window (`spilled`) and the matches within `spans` of it.

    Whatever is added twice counts once, so all that matters is that nothing is left out. `ids` are those of the events
    that are named, in order of time; `late` are matches that came since, none later than the window's newest;
    `weight` is the number of all matches.
    """

    __slots__ = (
        "_fresh",
        "_named",
        "_times",
        "count",
        "earliest",
        "ids",
        "late",
        "latest",
        "principals",
        "spans",
        "values",
        "weight",
    )

    def __init__(self, spilled: Evidence) -> None:
        self.count = spilled.count
        self.earliest = spilled.earliest
        self.latest = spilled.latest
        self.weight = spilled.weight
        self.principals = Smallest(MOST_PRINCIPALS, spilled.principals)
        self.values = Smallest(MOST_VALUES, spilled.values)
        self.spans: Sequence[Span] = ()
        self.late: list[Entry] = []
        self.ids: list[str] = []
        self._times: dict[str, int] = {}
        self._named: Smallest | None = None
        self._fresh: list[str] | None = None
        self._name(spilled.events, spilled.events)

    def add(self, entries: Sequence[Entry], values: bool) -> None:
        """More entries in order of time, `values` if these are told."""
        if not entries:
            return
        times = self._times
        events = {entry.event_id: entry.time for entry in entries}
        fresh = [name for name in events if name not in times]
        self.count += len(fresh)
        if len(fresh) < len(events):
            events = {name: time for name, time in events.items() if time > times.get(name, -1)}
        if events:
            self._name(events, fresh)
        self.principals.add([entry.principal for entry in entries])
        if values:
            self.values.add(counted(entries))
        earliest, latest = entries[0].time, entries[-1].time
        self.earliest = min(self.earliest, earliest) if self.earliest else earliest
        self.latest = max(self.latest, latest)

    def add_late(self, spans: Sequence[Span], values: bool) -> None:
        """Of the matches that came late those within these spans."""
        if not self.late:
            return
        late, self.late = sorted(self.late, key=_time), []
        for after, until in spans:
            self.add([entry for entry in late if after < entry.time <= until], values)

    def forget(self, spilled: Evidence, left: Sequence[Entry]) -> None:
        """No other events than these are known by their ids any more: in time an id not known counts as new."""
        self._drop()
        self._times = spilled.events.copy()
        for entry in left:
            self._times[entry.event_id] = max(entry.time, self._times.get(entry.event_id, entry.time))
        self.count = spilled.count + len(self._times) - len(spilled.events)

    def _drop(self) -> None:
        """Ids that are no longer among those that are named."""
        if self._named and len(self.ids) > MOST_EVENT_IDS:
            self.ids = [*filter(self._named.known.__contains__, self.ids)]

    def holds(self, spans: Sequence[Span], until: int) -> bool:
        """Whether all matches within these spans up to a time were added."""
        return not self.late and all(after >= until for after, _ in beyond(spans, self.spans))

    def basis(self) -> Basis:
        """What a finding tells of it."""
        fresh, self._fresh = self._fresh, []
        self._drop()
        texts = self.principals.texts, self.values.texts
        return Basis(self.count, self.earliest, self.latest, tuple(self.ids), *texts, fresh)

    def _name(self, events: dict[str, int], fresh: Iterable[str]) -> None:
        """Events into `ids`: fresh ones, and (one id at two times: made up) known ones with a later time."""
        kept = list(fresh)
        self._times.update(events)
        if len(kept) < len(events):
            self.ids = sorted(sorted(self.ids), key=self._times.__getitem__)
        if self._named or len(self._times) > MOST_EVENT_IDS:
            self._named = self._named or Smallest(MOST_EVENT_IDS, self.ids)
            kept = [*self._named.add(kept)]
        if kept:
            if self._fresh is not None:
                self._fresh += kept
            at = bisect_left(self.ids, min(events.values()), key=self._times.__getitem__)
            self.ids[at:] = sorted(sorted([*self.ids[at:], *kept]), key=self._times.__getitem__)


def _time(entry: Entry) -> int:
    return entry.time


def beyond(spans: Sequence[Span], known: Sequence[Span]) -> Iterator[Span]:
    """What of the spans is in none of the known ones; both ascending, each apart from the next."""
    for after, until in spans:
        for low, high in known:
            if high <= after or low >= until:
                continue
            if low > after:
                yield after, low
            after = max(after, high)
        if after < until:
            yield after, until
