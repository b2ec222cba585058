"""The alert budget: how strange an event must be for anomalies to stay within so many principal-days a day.

A trailing quantile, without hindsight: only days that have ended count. It is taken over the last two weeks and over
the last three days, and the higher one holds, so that scores that drift upward raise it within days. A ceiling, not a
quota: a quiet organisation's bar stays at the model's own threshold. One principal weighs at most one a day, so that
nobody can raise the bar by noise alone.
"""

from __future__ import annotations

from heapq import heappush, heapreplace

BUDGET = 10.0
"""Principal-days with an anomaly wanted in a day at most."""
KEPT_DAYS = 14
"""Days whose highest strangeness a principal keeps."""
WORTH_KEEPING = 2.0
"""Strangeness below which a day's highest is not kept: no bar is ever so low."""
RECENT_DAYS = 3
"""The short window, and the history needed before there is a bar at all."""
DAY = 86_400_000_000
_STEP = 1e-6  # scores are rounded to it

Peak = tuple[int, float]
"""A day (days since the epoch, UTC) and the highest strangeness of a principal on it."""


def with_peak(peaks: list[Peak], time: int, strangeness: float) -> list[Peak]:
    """The peaks of the newest day and the KEPT_DAYS before it, ascending, once a score at `time` (µs) is among them; in
    any order of scores the same."""
    day = time // DAY
    best = dict(peaks)
    if strangeness <= best.get(day, 0.0):
        return peaks
    best[day] = strangeness
    oldest = max(best) - KEPT_DAYS
    return sorted((each, value) for each, value in best.items() if each >= oldest)


class Ceiling:
    """Collects peaks of many principals; memory is bounded by the budget, not by how many there are."""

    def __init__(self, made: int, budget: float) -> None:
        self._today = made // DAY
        self._budget = max(0.0, budget)
        self._room = int(self._budget * KEPT_DAYS) + 1
        self._highest: dict[int, list[float]] = {}

    def add(self, day: int, strangeness: float) -> None:
        """Counts a peak, if its day has ended and is not too old."""
        if not self._today - KEPT_DAYS <= day < self._today:
            return
        heap = self._highest.setdefault(day, [])
        if len(heap) < self._room:
            heappush(heap, strangeness)
        elif strangeness > heap[0]:
            heapreplace(heap, strangeness)

    def bar(self) -> float | None:
        """The strangeness that at most budget * days of the peaks reach; None where all of them may be told, or with
        fewer than RECENT_DAYS days of history."""
        days = self._today - min(self._highest, default=self._today)
        if days < RECENT_DAYS:
            return None
        bars = [bar for bar in (self._bar_of(days), self._bar_of(RECENT_DAYS)) if bar is not None]
        return max(bars, default=None)

    def _bar_of(self, days: int) -> float | None:
        first = self._today - days
        peaks = sorted((value for day, heap in self._highest.items() if day >= first for value in heap), reverse=True)
        allowed = int(self._budget * days)
        return round(peaks[allowed] + _STEP, 6) if len(peaks) > allowed else None
