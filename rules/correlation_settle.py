"""What a window judges when time has passed: absence, averages, complete windows, what a clause forbids."""

from __future__ import annotations

from bisect import bisect_right

from rules.correlation_measure import amount, follows, fraction_measure, holds
from rules.correlation_window import Window


def settle(window: Window, until: int) -> None:
    """Judges what can no longer change: no match at or before `until` is still to come."""
    if window.absent >= 0:
        _absence(window, until)
    elif window.correlation.timing == "settled":
        _fractions(window, until)
    elif window.correlation.timing == "complete":
        _complete(window, until)
    elif window.correlation.timing == "forward":
        _forward(window, until)


def _absence(window: Window, until: int) -> None:
    within = window.correlation.within
    for time in window.reached[bisect_right(window.reached, window.settled) :]:
        if time + within > until:
            break
        after = bisect_right(window.absents, time)
        if after == len(window.absents) or window.absents[after] > time + within:
            window.fire(time + within)
        window.settled = time
    del window.reached[: bisect_right(window.reached, window.settled)]


def _fractions(window: Window, until: int) -> None:
    start = bisect_right(window.times, window.settled)
    if start == len(window.times) or window.times[start] > until:
        return
    if window.fraction is None:
        window.fraction = fraction_measure(window.correlation)
        for at in range(bisect_right(window.times, window.settled - window.span), start):
            window.fraction.push(window.entries[at])
    end = bisect_right(window.times, until)
    for at in range(start, end):
        value = window.fraction.push(window.entries[at])
        if (at + 1 == end or window.times[at + 1] != window.times[at]) and holds(window.correlation, *value):
            window.fire(window.times[at])
    window.settled = window.times[end - 1]


def _complete(window: Window, until: int) -> None:
    while True:
        start = bisect_right(window.times, window.settled)
        if start == len(window.times) or window.times[start] + window.span - 1 > until:
            return
        end = window.times[start] + window.span - 1
        inside = window.entries[start : bisect_right(window.times, end, start)]
        if holds(window.correlation, amount(window.correlation, inside)):
            window.fire(end)
        window.settled = end


def _forward(window: Window, until: int) -> None:
    start = bisect_right(window.times, window.settled)
    while start < len(window.times) and window.times[start] + window.span - 1 <= until:
        if window.lanes is None:
            window.lanes = [[] for _ in window.correlation.rule_ids]
            for entry in window.entries:
                window.lanes[entry.rule].append(entry.time)
        time = window.times[start]
        if follows(window.correlation, window.lanes, time, time + window.span - 1):
            window.fire(time + window.span - 1)
        window.settled = time
        start = bisect_right(window.times, time, start)
