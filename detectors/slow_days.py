"""What one principal did on each of its last active days, counted by sort: the memory of detectors that look at weeks.

A day without any event is no active day: weekends and leave neither lower the usual nor end a campaign.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import islice

import msgspec

SORTS = 3
KEPT = 20
"""Past active days kept: four weeks of work."""
MOST = 65_535
IDS, IDS_A_DAY = 12, 4
"""Ids of events kept while something goes on, of all sorts together, and of one sort a day."""
LONGEST_ID = 64
"""Characters of an event id that is kept: a longer one is left out."""


class Stored(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`Days` as they are stored, some 300 bytes; ids only while something goes on."""

    today: int = -1
    now: tuple[int, ...] = (0,) * SORTS
    past: bytes = b""
    apart: bytes = b""
    sums: tuple[float, ...] = (0.0,) * SORTS
    levels: tuple[float, ...] = (0.0,) * SORTS
    began: tuple[int, ...] = (0,) * SORTS
    runs: tuple[int, ...] = (0,) * SORTS
    ids: tuple[tuple[int, int, str], ...] = ()


class Days:
    """Counts by sort: `now` of `today` (days since the epoch), `past` of earlier active days, the oldest first.

    `apart` has a bit a sort on each past day that is not part of its usual. Of each sort: `sums` is what had added up
    beyond the usual by the day before, `levels` the height at which it last spoke (0.0: it is quiet), `began` the day
    and `runs` the number of past active days since it rose from nothing. `ids` are (sort, day, event id).
    """

    __slots__ = ("apart", "began", "ids", "levels", "now", "past", "runs", "sums", "today")

    def __init__(self, stored: Stored) -> None:
        """What a version with other sorts stored is forgotten."""
        if len(stored.now) != SORTS:
            stored = Stored()
        self.today = stored.today
        self.now = list(stored.now)
        self.past, self.apart = array("H", stored.past), array("B", stored.apart)
        self.sums, self.levels = list(stored.sums), list(stored.levels)
        self.began, self.runs = list(stored.began), list(stored.runs)
        self.ids = list(stored.ids)

    def stored(self) -> Stored:
        """What comes back as an equal value."""
        return Stored(
            self.today,
            tuple(self.now),
            self.past.tobytes(),
            self.apart.tobytes(),
            tuple(self.sums),
            tuple(self.levels),
            tuple(self.began),
            tuple(self.runs),
            tuple(self.ids),
        )

    def usual(self, sort: int, first: int = KEPT) -> list[int]:
        """The counts of a sort on the `first` past days, without those that are no part of its usual."""
        days = zip(self.past[sort::SORTS], self.apart, strict=True)
        return [count for count, apart in islice(days, first) if not apart >> sort & 1]

    def count(self, sort: int, amount: int = 1) -> int:
        """Adds to today's count of a sort and returns it."""
        self.now[sort] = min(self.now[sort] + amount, MOST)
        return self.now[sort]

    def total(self, sort: int) -> int:
        """The count of a sort since it rose beyond the usual, today included."""
        first = max(0, len(self.apart) - self.runs[sort])
        return sum(self.past[first * SORTS + sort :: SORTS]) + self.now[sort]

    def note(self, sort: int, event_id: str) -> None:
        """Keeps the id of an event that is beyond the usual: the first few of a day, of the newest days."""
        if not self.sums[sort] and self.began[sort] != self.today:
            self.began[sort] = self.today
        of_today = sum(one[:2] == (sort, self.today) for one in self.ids)
        if of_today < IDS_A_DAY and len(event_id) <= LONGEST_ID:
            self.ids.append((sort, self.today, event_id))
            del self.ids[:-IDS]

    def ids_of(self, sort: int) -> list[str]:
        """The ids kept of a sort, the oldest first."""
        return [event_id for one, _, event_id in self.ids if one == sort]

    def turn(self, day: int, steps: Sequence[float]) -> None:
        """Closes today, on which each sort moved by its step, and begins another day."""
        for sort, step in enumerate(steps):
            self.sums[sort] = max(0.0, self.sums[sort] + step)
            self.runs[sort] += 1
        self.past.extend(self.now)
        self.apart.append(0)
        for sort in range(SORTS):
            if not self.sums[sort]:
                self.settle(sort)
            elif self.levels[sort]:
                for place in range(max(0, len(self.apart) - self.runs[sort]), len(self.apart)):
                    self.apart[place] |= 1 << sort
        if len(self.apart) > KEPT:
            del self.past[:SORTS], self.apart[0]
        self.now = [0] * SORTS
        self.today = day

    def settle(self, sort: int) -> None:
        """Nothing of a sort goes on any more."""
        self.sums[sort] = self.levels[sort] = 0.0
        self.began[sort] = self.runs[sort] = 0
        self.ids = [one for one in self.ids if one[0] != sort]

    def accept(self, sort: int) -> None:
        """What went on has become the usual."""
        self.settle(sort)
        for place in range(len(self.apart)):
            self.apart[place] &= ~(1 << sort) & 0xFF
