"""What a correlation asks of the matches in its window, kept up match by match.

Average and quantile are told the entries of a window in order of time (`push`), forget by themselves those that left
it and answer a fraction, to be compared when nothing earlier can come. What fires at once is in
rules/correlation_prompt.py.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from math import ceil, floor

from rules.correlation import Correlation, Entry
from rules.correlation_prompt import amount_of, prompt_measure
from rules.correlation_section import COMPARE

FOR_EVER = 1 << 62


class Average:
    """The mean of the values: their sum and number."""

    __slots__ = ("_entries", "_span", "_sum")

    def __init__(self, span: int) -> None:
        self._span = span
        self._entries: deque[tuple[int, int]] = deque()
        self._sum = 0

    def push(self, entry: Entry) -> tuple[int, int]:
        """The mean with this entry, as numerator and denominator."""
        value, edge = int(entry.value), entry.time - self._span
        self._entries.append((entry.time, value))
        self._sum += value
        while self._entries[0][0] <= edge:
            self._sum -= self._entries.popleft()[1]
        return self._sum, len(self._entries)

    def cut(self, going: Sequence[Entry]) -> None:
        """Gives up the oldest of the window's entries, that lost their room."""
        for _ in range(_within(going, self._entries)):
            self._sum -= self._entries.popleft()[1]


class Quantile:
    """A percentile of the values, between two of them in proportion (SQL's percentile_cont; 50 is the median)."""

    __slots__ = ("_entries", "_percent", "_span", "_values")

    def __init__(self, percent: int, span: int) -> None:
        self._percent = percent
        self._span = span
        self._entries: deque[tuple[int, int]] = deque()
        self._values: list[int] = []

    def push(self, entry: Entry) -> tuple[int, int]:
        """The percentile with this entry, as numerator and denominator."""
        value, edge = int(entry.value), entry.time - self._span
        self._entries.append((entry.time, value))
        insort(self._values, value)
        while self._entries[0][0] <= edge:
            gone = self._entries.popleft()[1]
            del self._values[bisect_left(self._values, gone)]
        return percentile(self._values, self._percent)

    def cut(self, going: Sequence[Entry]) -> None:
        """Gives up the oldest of the window's entries, that lost their room."""
        for _ in range(_within(going, self._entries)):
            gone = self._entries.popleft()[1]
            del self._values[bisect_left(self._values, gone)]


Fraction = Average | Quantile


def _within(going: Sequence[Entry], entries: Sequence[tuple[int, int]]) -> int:
    """How many of the oldest entries of a window are among those a measure was told and has not forgotten."""
    start = bisect_left(going, entries[0][0], key=lambda entry: entry.time) if entries else len(going)
    return min(len(going) - start, len(entries))


def fraction_measure(correlation: Correlation) -> Fraction:
    """What is compared once nothing earlier can come."""
    if correlation.kind == "value_avg":
        return Average(correlation.timespan)
    return Quantile(correlation.percentile, correlation.timespan)


def holds(correlation: Correlation, numerator: int, denominator: int = 1) -> bool:
    """Whether a fraction satisfies the correlation's bounds."""
    for op, number in correlation.bounds:  # noqa: SIM110 - asked at every match
        if not COMPARE[op](numerator, number * denominator):
            return False
    return True


def amount(correlation: Correlation, entries: Sequence[Entry]) -> int:
    """What a window that is over amounts to: a number of matches, of values or of rules, or a sum."""
    if correlation.kind == "temporal":
        return len({entry.rule for entry in entries})
    if correlation.kind == "value_sum":
        return sum(map(amount_of, entries))
    if correlation.kind == "value_count" or correlation.distinct:
        return len({entry.value for entry in entries})
    return len(entries)


def reached(correlation: Correlation, entries: Sequence[Entry]) -> bool:
    """Whether the entries of one window satisfy a condition that fires at once."""
    measure = prompt_measure(correlation)
    if correlation.kind == "temporal_ordered" or correlation.clauses:
        return True in [measure.push(entry) for entry in entries][-1:]
    return amount(correlation, entries) >= correlation.need


def affected(correlation: Correlation, times: Sequence[int], entries: Sequence[Entry], at: int) -> tuple[int, int]:
    """The places of the matches at whose time a condition that fires at once may hold because of the match at `at`."""
    time, span = times[at], correlation.timespan
    end = bisect_left(times, time + span, at)
    begin = bisect_right(times, time - span, 0, at)
    if correlation.kind == "event_count" and not correlation.distinct:
        return (at, min(at + correlation.need, end)) if end - begin >= correlation.need else (at, at)
    if correlation.kind in ("value_sum", "temporal_ordered"):
        return at, end
    same = entries[at].value if correlation.kind in ("value_count", "event_count") else entries[at].rule
    by_rule = correlation.kind == "temporal"
    before = _same(entries, range(at - 1, begin - 1, -1), same, by_rule)
    after = _same(entries, range(at + 1, end), same, by_rule)
    low = at if before < 0 else bisect_left(times, times[before] + span, at)
    high = end if after < 0 else bisect_left(times, times[after], at)
    return low, max(low, high)


def _same(entries: Sequence[Entry], places: range, wanted: str | int, by_rule: bool) -> int:
    """The first of the places with the same value or rule, -1 where there is none."""
    for place in places:
        entry = entries[place]
        if (entry.rule if by_rule else entry.value) == wanted:
            return place
    return -1


def follows(correlation: Correlation, lanes: Sequence[Sequence[int]], time: int, end: int) -> bool:
    """Whether the matches from `time` to `end` satisfy a clause that forbids something, beginning with one it wants.

    `lanes` are the times of each rule's matches, ascending.
    """
    for clause in correlation.clauses:
        firsts = [_first(lanes[rule], time) for rule in clause.present]
        if time not in firsts or any(_first(lanes[rule], time) <= end for rule in clause.missing):
            continue
        if max(firsts) <= end and (correlation.kind == "temporal" or _in_order(lanes, clause.present, time, end)):
            return True
    return False


def _in_order(lanes: Sequence[Sequence[int]], rules: Sequence[int], time: int, end: int) -> bool:
    for rule in rules:
        time = _first(lanes[rule], time) + 1
    return time <= end + 1


def _first(lane: Sequence[int], time: int) -> int:
    """The first time of a lane from `time` on."""
    at = bisect_left(lane, time)
    return lane[at] if at < len(lane) else FOR_EVER


def percentile(values: Sequence[int], percent: int) -> tuple[int, int]:
    """A percentile of ascending values, as numerator and denominator."""
    place, part = divmod((len(values) - 1) * percent, 100)
    low = values[place]
    high = values[place + 1] if part else low
    return low * 100 + (high - low) * part, 100


def least(op: str, number: float, scale: int) -> int:
    """The smallest whole number that satisfies gte or gt `number`, both in units of 1/scale."""
    return ceil(number * scale) if op == "gte" else floor(number * scale) + 1
