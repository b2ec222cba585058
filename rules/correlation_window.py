"""The window of one group: matches in order of event time, and when their correlation fired. Its state.

What fired, when and on what evidence is a function of the matches that came, not of their order, as long as none is
later than the correlation's slack and none was evicted: a match changes what is known about the times it belongs to,
at once for conditions that more matches can only confirm, and after the slack for all others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from audit.brief import EventBrief, ends
from audit.event import MICROSECONDS
from rules.correlation import EPISODE, Correlation, Entry
from rules.correlation_evidence import Evidence, seen_of
from rules.correlation_gather import Gathered, Span, beyond
from rules.correlation_measure import FOR_EVER, Fraction
from rules.correlation_prompt import Prompt

VERSION = 3
MOST_BINS = 8
GRACE = 12 * 3600 * MICROSECONDS
"""How much longer than it must a window keeps few matches: workers that catch up read partitions unevenly."""


class Bin(msgspec.Struct, array_like=True, gc=False):
    """What one finding covers: the first and last time it fired, and evidence that left the window since.

    `told` is the weight of what was told of it last, in the episode of its first time; 0 when nothing was.
    """

    index: int
    first: int
    last: int
    untold: bool = True
    spilled: Evidence = msgspec.field(default_factory=Evidence)
    told: int = 0


class Packed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A window as it is stored."""

    stamp: str
    entries: list[Entry]
    fired: list[int]
    bins: list[Bin]
    reached: list[int]
    absents: list[int]
    settled: int
    newest: int
    floor: int
    evicted: int


class Window:
    """Matches of one group in order of time.

    `fired` are the times at which the correlation fired that still have evidence in the window; `reached` those at
    which it waits for what must not follow (`absents`). All up to `settled` is judged. `evicted` counts matches that
    had to go before their time, or came too late. `news` collects new times for a correlation that counts this one;
    `gathered` is the evidence of the bins told last.
    How matches come in is in rules/correlation_fold.py.
    """

    __slots__ = (
        "absent",
        "absents",
        "at_once",
        "bins",
        "correlation",
        "days",
        "delay",
        "entries",
        "evicted",
        "fired",
        "floor",
        "fraction",
        "fresh",
        "gathered",
        "keep",
        "lanes",
        "lateness",
        "most",
        "newest",
        "news",
        "packed",
        "parent",
        "prompt",
        "reached",
        "same",
        "settled",
        "size",
        "slack",
        "span",
        "times",
        "values",
    )

    def __init__(self, correlation: Correlation, packed: Packed | None = None) -> None:
        self.correlation = correlation
        self.entries: list[Entry] = packed.entries if packed else []
        self.times = [entry.time for entry in self.entries]
        self.fired: list[int] = packed.fired if packed else []
        self.bins: list[Bin] = packed.bins if packed else []
        self.reached: list[int] = packed.reached if packed else []
        self.absents: list[int] = packed.absents if packed else []
        self.settled = packed.settled if packed else -1
        self.newest = packed.newest if packed else 0
        self.floor = packed.floor if packed else 0
        self.evicted = packed.evicted if packed else 0
        self.news: list[int] = []
        self.fresh = -1
        self.gathered: dict[int, Gathered] = {}
        self.packed: msgspec.Raw | None = None
        self.absent = correlation.absent
        self.parent = correlation.parent
        self.days = correlation.days
        self.at_once = correlation.timing == "prompt"
        self.most = correlation.most_entries
        self.size = correlation.bin
        self.slack = correlation.slack
        self.span = correlation.timespan
        self.delay = correlation.delay
        self.lateness = correlation.lateness
        self.keep = self.span + self.delay + self.slack
        if any(nested.patience is not None for nested in correlation.nested):
            self.keep += GRACE  # what it counts comes when somebody has told the time
        self.prompt: Prompt | None = None
        self.fraction: Fraction | None = None
        self.same: set[Entry] | None = None
        self.lanes: list[list[int]] | None = None
        self.values = correlation.kind == "value_count"

    @classmethod
    def unpack(cls, correlation: Correlation, raw: msgspec.Raw) -> Window:
        """A stored window; a new one, with one eviction counted, where it is of another version or another rule."""
        try:
            packed = _PACKED.decode(raw)
        except msgspec.ValidationError:
            packed = None
        window = cls(correlation, packed if packed and packed.stamp == stamp_of(correlation) else None)
        if packed is None or packed.stamp != stamp_of(correlation):
            window.evicted = 1
        return window

    def pack(self) -> msgspec.Raw:
        """The window as it is stored."""
        if self.packed is None:
            stored = Packed(
                stamp_of(self.correlation),
                self.entries,
                self.fired,
                self.bins,
                self.reached,
                self.absents,
                self.settled,
                self.newest,
                self.floor,
                self.evicted,
            )
            self.packed = msgspec.Raw(_ENCODE(stored))
        return self.packed

    def fire(self, time: int) -> None:
        """The correlation fires at a time."""
        fired = self.fired
        if not fired or time > fired[-1]:
            fired.append(time)
        else:
            at = bisect_left(fired, time)
            if fired[at] != time:
                fired.insert(at, time)
        index = time // self.size
        one = self.bins[-1] if self.bins and self.bins[-1].index == index else self._bin(index, time)
        if time < one.first:
            if time // EPISODE != one.first // EPISODE:
                one.told = 0
            one.first = time
        if time > one.last:
            one.last = time
        one.untold = True
        if self.parent:
            self.news.append(time)

    def _bin(self, index: int, time: int) -> Bin:
        at = bisect_left(self.bins, index, key=_index)
        if at == len(self.bins) or self.bins[at].index != index:
            self.bins.insert(at, Bin(index, time, time))
            self.fresh = index
        return self.bins[at]

    def drop_bins(self) -> None:
        """Down to MOST_BINS, without the oldest that were told; the one made last stays, for more may follow."""
        while len(self.bins) > MOST_BINS:
            going = next((one for one in self.bins if not one.untold and one.index != self.fresh), None)
            if going is None:
                return
            self.bins.remove(going)
            self.gathered.pop(going.index, None)

    def touch(self, time: int) -> None:
        """New evidence at a time: findings that rest on it are told again."""
        start = time + self.correlation.within
        low = bisect_left(self.fired, start)
        high = bisect_left(self.fired, start + self.span, low)
        if low < high:
            first, last = self.fired[low] // self.size, self.fired[high - 1] // self.size
            for one in self.bins:
                one.untold = one.untold or first <= one.index <= last

    @property
    def known(self) -> int:
        """Up to when all matches are known, by the newest one alone."""
        return self.newest - self.slack

    def retell(self, nested: set[str]) -> None:
        """Findings counted here have grown: those that rest on them are told again."""
        self.packed = None
        for entry in self.entries:
            if entry.event_id in nested:
                self.touch(entry.time)
        for one in self.bins:
            one.untold = one.untold or any(entry.event_id in nested for entry in one.spilled.nested)

    def due(self) -> int | None:
        """The event time at which something is to be judged or told; None where nothing waits."""
        if not self.bins and self.at_once and self.absent < 0:
            return None
        due = self.undecided() + self.delay
        for one in self.bins:
            if one.untold:
                due = min(due, self._since(one))
        return due + self.lateness if due < FOR_EVER else None

    def undecided(self) -> int:
        """The first time that is still to be judged."""
        if self.at_once and self.absent < 0:
            return FOR_EVER
        waiting = self.reached if self.absent >= 0 else self.times
        first = bisect_right(waiting, self.settled)
        return waiting[first] if first < len(waiting) else FOR_EVER

    def ready(self, until: int) -> list[Bin]:
        """The bins to be told, now that no match at or before `until` is still to come; they count as told."""
        found = [one for one in self.bins if one.untold and self._since(one) <= until]
        for one in found:
            one.untold = False
            self.packed = None
        if found:
            self.gathered = {one.index: self.gathered[one.index] for one in found if one.index in self.gathered}
        return found

    def _since(self, one: Bin) -> int:
        """Up to when matches must be known before a finding is told.

        0: it is told at once. Only over more than one episode (a timespan beyond four hours) a late match could still
        move the time it bears, that of its first firing, to the episode before, and there make another alert.
        """
        if not self.at_once or self.size <= EPISODE:
            return 0
        begin = one.first - one.first % EPISODE
        return begin - 1 if begin > one.index * self.size else 0

    def evidence(self, one: Bin) -> Evidence:
        """All that a bin's finding rests on, as far as it is kept."""
        found = one.spilled.copy()
        for low, high in self.ranges(one):
            found.add(self.entries[low:high], self.values)
        return found

    def seen(self, one: Bin) -> tuple[EventBrief, ...]:
        """The first and the last of these events in brief."""
        found = [*one.spilled.seen]
        for low, high in self.ranges(one):
            found += seen_of(self.entries[low:high])
        return ends(found)

    def gather(self, one: Bin) -> Gathered:
        """The same for a window that counts no other correlation, from what is new since it was asked last."""
        found = self.gathered.get(one.index)
        if found is None:
            found = self.gathered[one.index] = Gathered(one.spilled)
        spans = self.spans(one)
        for span in beyond(spans, found.spans):
            low, high = self._places(span)
            found.add(self.entries[low:high], self.values)
        found.add_late(spans, self.values)
        found.spans = spans
        found.weight = one.spilled.weight + sum([high - low for low, high in map(self._places, spans)])
        return found

    def spill(self, going: Sequence[int]) -> None:
        """The entries at these places, ascending, are about to go: what findings rest on stays with them."""
        for one in self.bins if self.fired else ():
            spans = self.spans(one)
            found = self.gathered.get(one.index)
            if found and not found.holds(spans, self.times[going[-1]]):
                self.gather(one)
            full = False
            for low, high in map(self._places, spans):
                places = going[bisect_left(going, low) : bisect_left(going, high)]
                full |= bool(places) and one.spilled.add([self.entries[at] for at in places], self.values)
            if full and found:
                self.gather(one).forget(one.spilled, self._left(spans, going))

    def _left(self, spans: Sequence[Span], going: Sequence[int]) -> list[Entry]:
        """The entries within these spans when those at `going` are gone."""
        gone = {*going}
        return [self.entries[at] for low, high in map(self._places, spans) for at in range(low, high) if at not in gone]

    def spans(self, one: Bin) -> list[Span]:
        """The times a bin's finding rests on: a span for each run of times fired with gaps shorter than a timespan."""
        fired, span, back = self.fired, self.span, self.correlation.within
        at, end = bisect_left(fired, one.first), bisect_right(fired, one.last)
        spans: list[Span] = []
        while at < end:
            start = fired[at]
            while at < end and (last := bisect_left(fired, fired[at] + span, at, end) - 1) > at:
                at = last
            spans.append((start - back - span, fired[at] - back))
            at += 1
        return spans

    def ranges(self, one: Bin) -> list[tuple[int, int]]:
        """The places of the entries a bin's finding rests on."""
        return [self._places(span) for span in self.spans(one)]

    def _places(self, span: Span) -> tuple[int, int]:
        low = bisect_right(self.times, span[0])
        return low, bisect_right(self.times, span[1], low)


def stamp_of(correlation: Correlation) -> str:
    """What a stored window must bear to be read: the form it is written in, and the rule it was made by."""
    return f"{VERSION}{correlation.stamp}"


def _index(one: Bin) -> int:
    return one.index


_ENCODE = msgspec.msgpack.Encoder().encode
_PACKED = msgspec.msgpack.Decoder(Packed)
