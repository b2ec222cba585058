"""The window of one group: matches in order of event time, and when their correlation fired.

What fired, when and on what evidence is a function of the matches that came, not of their order, as long as none is
later than the correlation's slack and none was evicted: a match changes what is known about the times it belongs to,
at once for conditions that more matches can only confirm, and after the slack for all others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from audit.event import MICROSECONDS
from rules.correlation import EPISODE, Correlation, Entry
from rules.correlation_evidence import Evidence
from rules.correlation_measure import (
    FOR_EVER,
    Fraction,
    Prompt,
    affected,
    amount,
    follows,
    fraction_measure,
    holds,
    prompt_measure,
    reached,
)
from rules.correlation_section import TEMPORAL

VERSION = 2
MOST_BINS = 8
MOST_ABSENTS = 500
SPARSE, GRACE = 64, 12 * 3600 * MICROSECONDS
"""A window of so few matches keeps them so much longer than it must: workers that catch up read partitions unevenly."""
FEW = 4
"""Times that are judged one by one rather than by a sweep."""


class Bin(msgspec.Struct, array_like=True, gc=False):
    """What one finding covers: the first and last time it fired, and evidence that left the window since."""

    index: int
    first: int
    last: int
    untold: bool = True
    spilled: Evidence = msgspec.field(default_factory=Evidence)


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
    had to go before their time, or came too late. `news` collects new times for a correlation that counts this one.
    """

    __slots__ = (
        "_absent",
        "_at_once",
        "_fraction",
        "_keep",
        "_lanes",
        "_most",
        "_packed",
        "_prompt",
        "_same",
        "_size",
        "_slack",
        "_span",
        "_values",
        "absents",
        "bins",
        "correlation",
        "entries",
        "evicted",
        "fired",
        "floor",
        "newest",
        "news",
        "reached",
        "settled",
        "times",
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
        self._packed: msgspec.Raw | None = None
        self._absent = correlation.absent
        self._at_once = correlation.timing == "prompt"
        self._most = correlation.most_entries
        self._size = correlation.bin
        self._slack = correlation.slack
        self._span = correlation.timespan
        self._keep = correlation.timespan + correlation.delay + correlation.slack
        if any(nested.patience is not None for nested in correlation.nested):
            self._keep += GRACE  # what it counts comes when somebody has told the time
        self._prompt: Prompt | None = None
        self._fraction: Fraction | None = None
        self._same: set[Entry] | None = None
        self._lanes: list[list[int]] | None = None
        self._values = correlation.kind == "value_count"

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
        if self._packed is None:
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
            self._packed = msgspec.Raw(_ENCODE(stored))
        return self._packed

    def take(self, entry: Entry) -> None:
        """A match comes in."""
        self._packed = None
        time = entry.time
        if entry.rule == self._absent:
            self._take_absent(time)
        elif time > self.newest:
            self.newest = time
            self._same = None
            self.times.append(time)
            self.entries.append(entry)
            if not self._at_once:
                if self._lanes:
                    self._lanes[entry.rule].append(time)
            elif (self._prompt or self._remembered(len(self.times) - 1)).push(entry):
                self._reach(time)
        elif not self._take_among(entry):
            return
        times = self.times
        horizon = self.newest - (self._keep if len(times) > SPARSE else self._keep + GRACE)
        if times and times[len(times) // 4] <= horizon:
            self._prune(horizon)
        if len(times) > self._most:
            self.settle(self.newest - self._slack)
            self._evict()

    def _remembered(self, end: int) -> Prompt:
        """The measure after the entries before a place that are in its window."""
        measure = prompt_measure(self.correlation)
        for entry in self.entries[bisect_right(self.times, self.times[end] - self._span) : end]:
            measure.push(entry)
        self._prompt = measure
        return measure

    def _take_among(self, entry: Entry) -> bool:
        """A match at a time that has been, or of the same time as the newest; False where nothing changes."""
        time = entry.time
        if time <= self.floor:
            self.evicted += 1
            return False
        if time == self.newest and self.times and self.times[-1] == time:
            return self._take_same(entry)
        low, high = bisect_left(self.times, time), bisect_right(self.times, time)
        if entry in self.entries[low:high]:
            return False
        self.times.insert(high, time)
        self.entries.insert(high, entry)
        if self._at_once:
            self._judge_late(high)
        elif time <= self.settled:
            self._fraction = None
        if self._lanes:
            insort(self._lanes[entry.rule], time)
        self._touch(time)
        return True

    def _take_same(self, entry: Entry) -> bool:
        if self._same is None:
            self._same = set(self.entries[bisect_left(self.times, entry.time) :])
        if entry in self._same:
            return False
        self._same.add(entry)
        self.times.append(entry.time)
        self.entries.append(entry)
        if self._at_once:
            measure = self._prompt or self._remembered(len(self.times) - 1)
            if measure.push(entry):
                self._reach(entry.time)
        elif self._lanes:
            self._lanes[entry.rule].append(entry.time)
        self._touch(entry.time)
        return True

    def _judge_late(self, at: int) -> None:
        """Judges anew the times that the match at a place, which came late, can have changed."""
        low, high = affected(self.correlation, self.times, self.entries, at)
        known = self.fired if self._absent < 0 else self.reached
        times = {self.times[at], *self.times[low:high]}
        judged = known[bisect_left(known, self.times[at]) : bisect_left(known, self.times[at] + self._span)]
        fresh = times.difference(judged)
        for time in sorted(fresh) if len(fresh) <= FEW else (self.times[at],):
            start = bisect_right(self.times, time - self._span)
            if reached(self.correlation, self.entries[start : bisect_right(self.times, time, start)]):
                self._reach(time)
        if len(fresh) > FEW:
            self._sweep(low, high)
        if self._prompt and not self._prompt.late(self.entries[at]):
            self._prompt = None

    def _sweep(self, low: int, high: int) -> None:
        """Judges anew the times of a range."""
        measure = prompt_measure(self.correlation)
        for at in range(bisect_right(self.times, self.times[low] - self._span), high):
            if measure.push(self.entries[at]) and at >= low:
                self._reach(self.times[at])

    def _take_absent(self, time: int) -> None:
        self.newest = max(self.newest, time)
        at = bisect_left(self.absents, time)
        if self.absents[at : at + 1] != [time]:
            self.absents.insert(at, time)
        if len(self.absents) > MOST_ABSENTS:
            del self.absents[0]
            self.evicted += 1

    def _reach(self, time: int) -> None:
        """The condition holds at a time: it fires, or waits for what must not follow."""
        if self._absent < 0:
            self._fire(time)
        elif not self.reached or time > self.reached[-1]:
            self.reached.append(time)
        elif self.reached[bisect_left(self.reached, time)] != time:
            insort(self.reached, time)
        if len(self.reached) > self._most:
            del self.reached[0]
            self.evicted += 1

    def _fire(self, time: int) -> None:
        fired = self.fired
        if not fired or time > fired[-1]:
            fired.append(time)
        else:
            at = bisect_left(fired, time)
            if fired[at] != time:
                fired.insert(at, time)
        index = time // self._size
        one = self.bins[-1] if self.bins and self.bins[-1].index == index else self._bin(index, time)
        one.first = min(one.first, time)
        one.last = max(one.last, time)
        one.untold = True
        if self.correlation.parent:
            self.news.append(time)

    def _bin(self, index: int, time: int) -> Bin:
        at = bisect_left(self.bins, index, key=_index)
        if at == len(self.bins) or self.bins[at].index != index:
            self.bins.insert(at, Bin(index, time, time))
            if len(self.bins) > MOST_BINS:
                del self.bins[0]
                at = max(0, at - 1)
        return self.bins[at]

    def _touch(self, time: int) -> None:
        """New evidence at a time: findings that rest on it are told again."""
        times = list(self._fired_on(time))
        if times:
            low, high = times[0] // self._size, times[-1] // self._size
            for one in self.bins:
                one.untold = one.untold or low <= one.index <= high

    def _fired_on(self, time: int) -> Sequence[int]:
        """The times fired for which a match at `time` is evidence."""
        start = time + self.correlation.within
        low = bisect_left(self.fired, start)
        return self.fired[low : bisect_left(self.fired, start + self._span, low)]

    @property
    def known(self) -> int:
        """Up to when all matches are known, by the newest one alone."""
        return self.newest - self._slack

    def judge(self, until: int) -> None:
        """Time has passed: no match at or before `until` is still to come."""
        self._packed = None
        self.settle(until)

    def retell(self, nested: set[str]) -> None:
        """Findings counted here have grown: those that rest on them are told again."""
        self._packed = None
        for entry in self.entries:
            if entry.event_id in nested:
                self._touch(entry.time)
        for one in self.bins:
            one.untold = one.untold or any(entry.event_id in nested for entry in one.spilled.nested)

    def settle(self, until: int) -> None:
        """Judges what can no longer change: no match at or before `until` is still to come."""
        if self._absent >= 0:
            self._settle_absence(until)
        elif self.correlation.timing == "settled":
            self._settle_fractions(until)
        elif self.correlation.timing == "complete":
            self._settle_complete(until)
        elif self.correlation.timing == "forward":
            self._settle_forward(until)

    def _settle_absence(self, until: int) -> None:
        within = self.correlation.within
        for time in self.reached[bisect_right(self.reached, self.settled) :]:
            if time + within > until:
                break
            after = bisect_right(self.absents, time)
            if after == len(self.absents) or self.absents[after] > time + within:
                self._fire(time + within)
            self.settled = time
        del self.reached[: bisect_right(self.reached, self.settled)]

    def _settle_fractions(self, until: int) -> None:
        start = bisect_right(self.times, self.settled)
        if start == len(self.times) or self.times[start] > until:
            return
        if self._fraction is None:
            self._fraction = fraction_measure(self.correlation)
            for at in range(bisect_right(self.times, self.settled - self._span), start):
                self._fraction.push(self.entries[at])
        end = bisect_right(self.times, until)
        for at in range(start, end):
            value = self._fraction.push(self.entries[at])
            if (at + 1 == end or self.times[at + 1] != self.times[at]) and holds(self.correlation, *value):
                self._fire(self.times[at])
        self.settled = self.times[end - 1]

    def _settle_complete(self, until: int) -> None:
        while True:
            start = bisect_right(self.times, self.settled)
            if start == len(self.times) or self.times[start] + self._span - 1 > until:
                return
            end = self.times[start] + self._span - 1
            inside = self.entries[start : bisect_right(self.times, end, start)]
            if holds(self.correlation, amount(self.correlation, inside)):
                self._fire(end)
            self.settled = end

    def _settle_forward(self, until: int) -> None:
        start = bisect_right(self.times, self.settled)
        while start < len(self.times) and self.times[start] + self._span - 1 <= until:
            if self._lanes is None:
                self._lanes = [[] for _ in self.correlation.rule_ids]
                for entry in self.entries:
                    self._lanes[entry.rule].append(entry.time)
            time = self.times[start]
            if follows(self.correlation, self._lanes, time, time + self._span - 1):
                self._fire(time + self._span - 1)
            self.settled = time
            start = bisect_right(self.times, time, start)

    def due(self) -> int | None:
        """The event time at which something is to be judged or told; None where nothing waits."""
        lateness = self.correlation.lateness
        dues = [self._since(one) + lateness for one in self.bins if one.untold]
        first = self._undecided() if self._absent >= 0 or not self._at_once else FOR_EVER
        if first < FOR_EVER:
            dues.append(first + self.correlation.delay + lateness)
        return min(dues, default=None)

    def _undecided(self) -> int:
        """The first time that is still to be judged."""
        waiting = self.reached if self._absent >= 0 else self.times
        first = bisect_right(waiting, self.settled)
        return waiting[first] if first < len(waiting) else FOR_EVER

    def ready(self, until: int) -> list[Bin]:
        """The bins to be told, now that no match at or before `until` is still to come; they count as told."""
        found = [one for one in self.bins if one.untold and self._since(one) <= until]
        for one in found:
            one.untold = False
            self._packed = None
        return found

    def _since(self, one: Bin) -> int:
        """Up to when matches must be known before a finding is told.

        0: it is told at once. Only over more than one episode (a timespan beyond four hours) a late match could still
        move the time it bears, that of its first firing, to the episode before, and there make another alert.
        """
        if not self._at_once or self._size <= EPISODE:
            return 0
        begin = one.first - one.first % EPISODE
        return begin - 1 if begin > one.index * self._size else 0

    def evidence(self, one: Bin) -> Evidence:
        """All that a bin's finding rests on, as far as it is kept."""
        found = one.spilled.copy()
        for low, high in self._ranges(one):
            found.add(self.entries[low:high], self._values)
        return found

    def _ranges(self, one: Bin) -> list[tuple[int, int]]:
        """The entries a bin's finding rests on: a range for each run of times with gaps shorter than a span."""
        fired, span, back = self.fired, self._span, self.correlation.within
        at, end = bisect_left(fired, one.first), bisect_right(fired, one.last)
        ranges: list[tuple[int, int]] = []
        while at < end:
            start = fired[at]
            while at < end and (last := bisect_left(fired, fired[at] + span, at, end) - 1) > at:
                at = last
            low = bisect_right(self.times, start - back - span)
            ranges.append((low, bisect_right(self.times, fired[at] - back, low)))
            at += 1
        return ranges

    def _prune(self, horizon: int) -> None:
        """Forgets what no judgement can need again."""
        if self._absent >= 0 or not self._at_once:
            horizon = min(horizon, self._undecided() - self._span - self.correlation.within - 1)
        self.floor = max(self.floor, horizon)
        self._cut(bisect_right(self.times, horizon))
        del self.reached[: bisect_right(self.reached, horizon)]
        del self.absents[: bisect_right(self.absents, horizon)]

    def _cut(self, cut: int) -> None:
        """Without the first so many entries; what findings rest on stays with them."""
        for one in self.bins if self.fired else ():
            for low, high in self._ranges(one):
                one.spilled.add(self.entries[low : min(high, cut)], self._values)
        del self.times[:cut]
        del self.entries[:cut]
        del self.fired[: bisect_left(self.fired, self.times[0] + self.correlation.within) if self.times else None]
        self._lanes = None

    def _evict(self) -> None:
        """A tenth less, oldest first; where there are some, of those that say nothing a later one does not say."""
        room = max(1, self._most // 10)
        self.evicted += room
        self._same = self._prompt = self._fraction = self._lanes = None
        repeats = self._repeats()[:room]
        if not repeats:
            self._cut(room)
            return
        going = set(repeats)
        for one in self.bins if self.fired else ():
            for low, high in self._ranges(one):
                one.spilled.add([self.entries[at] for at in repeats if low <= at < high], self._values)
        self.entries = [entry for at, entry in enumerate(self.entries) if at not in going]
        self.times = [entry.time for entry in self.entries]
        self.evicted += len(going) - room
        if len(self.fired) > self._most:
            self._thin()

    def _thin(self) -> None:
        """Without the times fired between others so near that evidence does not depend on them."""
        kept = self.fired[:1]
        for time, after in pairwise(self.fired[1:]):
            bins = {kept[-1] // self._size, time // self._size, after // self._size}
            if after - kept[-1] >= self._span or len(bins) > 1:
                kept.append(time)
        self.fired = [*kept, self.fired[-1]]

    def _repeats(self) -> list[int]:
        """Matches followed by one of the same rule, or whose value came again: a flood must not hide the rest."""
        entries = self.entries
        if self.correlation.kind in TEMPORAL:
            return [at for at in range(len(entries) - 1) if entries[at].rule == entries[at + 1].rule]
        if self.correlation.kind == "value_count" or self.correlation.distinct:
            latest = {entry.value: at for at, entry in enumerate(entries)}
            return [at for at, entry in enumerate(entries) if latest[entry.value] != at]
        return []


def stamp_of(correlation: Correlation) -> str:
    """What a stored window must bear to be read: the form it is written in, and the rule it was made by."""
    return f"{VERSION}{correlation.stamp}"


def _index(one: Bin) -> int:
    return one.index


_ENCODE = msgspec.msgpack.Encoder().encode
_PACKED = msgspec.msgpack.Decoder(Packed)
