"""What a correlation asks of the matches in its window, kept up match by match.

A measure is told the entries of a window in order of time (`push`) and forgets by itself those that left the window.
Those that fire at once answer whether the condition holds at the time of the entry; average and quantile answer a
fraction, to be compared when nothing earlier can come.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import combinations
from math import ceil, floor
from operator import itemgetter

from rules.correlation import Correlation, Entry
from rules.correlation_expression import Clause
from rules.correlation_section import COMPARE

NEVER = -(1 << 62)
FOR_EVER = 1 << 62


class Recent:
    """At least so many entries."""

    __slots__ = ("_need", "_span", "_times")

    def __init__(self, need: int, span: int) -> None:
        self._need = need
        self._span = span
        self._times: deque[int] = deque(maxlen=need)

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        times = self._times
        times.append(entry.time)
        return len(times) == self._need and times[0] > entry.time - self._span

    def late(self, entry: Entry) -> bool:
        """An entry among those before; False where that cannot be taken in."""
        times = self._times
        if len(times) == self._need:
            if entry.time <= times[0]:
                return True
            times.popleft()
        times.insert(bisect_right(times, entry.time), entry.time)
        return True


class Distinct:
    """At least so many different values: the last time of each, the longest unseen first."""

    __slots__ = ("_last", "_need", "_span")

    def __init__(self, need: int, span: int) -> None:
        self._need = need
        self._span = span
        self._last: dict[str | int, int] = {}

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        last, edge = self._last, entry.time - self._span
        last.pop(entry.value, None)
        last[entry.value] = entry.time
        while last[oldest := next(iter(last))] <= edge:
            del last[oldest]
        return len(last) >= self._need

    def late(self, entry: Entry) -> bool:
        """An entry among those before; False where that cannot be taken in."""
        if entry.time > self._last.get(entry.value, NEVER):
            self._last[entry.value] = entry.time
            self._last = dict(sorted(self._last.items(), key=itemgetter(1)))
        return True


class Total:
    """A sum of at least so much. Negative amounts count as nothing, or one made-up record could hide the others."""

    __slots__ = ("_entries", "_need", "_span", "_sum")

    def __init__(self, need: int, span: int) -> None:
        self._need = need
        self._span = span
        self._entries: deque[tuple[int, int]] = deque()
        self._sum = 0

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        amount, edge = amount_of(entry), entry.time - self._span
        self._entries.append((entry.time, amount))
        self._sum += amount
        while self._entries[0][0] <= edge:
            self._sum -= self._entries.popleft()[1]
        return self._sum >= self._need

    def late(self, entry: Entry) -> bool:
        """An entry among those before; False where that cannot be taken in."""
        amount = amount_of(entry)
        self._entries.insert(bisect_right(self._entries, (entry.time, amount)), (entry.time, amount))
        self._sum += amount
        return True


class Present:
    """At least so many of the rules, or the rules of one of the clauses."""

    __slots__ = ("_clauses", "_last", "_need", "_span")

    def __init__(self, rules: int, need: int, clauses: Sequence[Clause], span: int) -> None:
        self._need = need
        self._clauses = [clause.present for clause in clauses]
        self._span = span
        self._last = [NEVER] * rules

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        last, edge = self._last, entry.time - self._span
        last[entry.rule] = entry.time
        if not self._clauses:
            return sum(time > edge for time in last) >= self._need
        return any(all(last[rule] > edge for rule in clause) for clause in self._clauses)

    def late(self, entry: Entry) -> bool:
        """An entry among those before; False where that cannot be taken in."""
        self._last[entry.rule] = max(self._last[entry.rule], entry.time)
        return True


class Chain:
    """Rules one after the other, each later than the one before: the latest start of a chain up to each of them."""

    __slots__ = ("_before", "_best", "_place", "_span", "_stamp")

    def __init__(self, rules: Sequence[int], span: int) -> None:
        self._place = {rule: place for place, rule in enumerate(rules)}
        self._span = span
        self._best = [NEVER] * len(rules)
        self._before = [NEVER] * len(rules)
        self._stamp = [NEVER] * len(rules)

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        place, time = self._place.get(entry.rule), entry.time
        if place is not None:
            start = time if place == 0 else self._earlier(place - 1, time)
            if self._stamp[place] < time:
                self._before[place] = self._best[place]
                self._stamp[place] = time
            if start > self._best[place]:
                self._best[place] = start
        return self._best[-1] > time - self._span

    def ignores(self, entry: Entry) -> bool:
        """Whether an entry changes nothing: it is of no rule of the chain."""
        return entry.rule not in self._place

    def _earlier(self, place: int, time: int) -> int:
        """The latest start of a chain that reached `place` before `time`."""
        return self._best[place] if self._stamp[place] < time else self._before[place]


class AnyOf:
    """One of several chains."""

    __slots__ = ("_chains",)

    def __init__(self, chains: Iterable[Chain]) -> None:
        self._chains = list(chains)

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        return True in [chain.push(entry) for chain in self._chains]  # each must hear of it

    def late(self, entry: Entry) -> bool:
        """An entry among those before; False where that cannot be taken in."""
        return all(chain.ignores(entry) for chain in self._chains)


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


Prompt = Recent | Distinct | Total | Present | AnyOf
Fraction = Average | Quantile


def prompt_measure(correlation: Correlation) -> Prompt:
    """What tells at once when the correlation's condition holds."""
    span, need = correlation.timespan, correlation.need
    if correlation.kind == "temporal_ordered":
        return AnyOf(Chain(rules, span) for rules in orders(correlation))
    if correlation.kind == "temporal":
        return Present(len(correlation.rule_ids), need, correlation.clauses, span)
    if correlation.kind == "value_sum":
        return Total(need, span)
    if correlation.kind == "value_count" or correlation.distinct:
        return Distinct(need, span)
    return Recent(need, span)


def fraction_measure(correlation: Correlation) -> Fraction:
    """What is compared once nothing earlier can come."""
    if correlation.kind == "value_avg":
        return Average(correlation.timespan)
    return Quantile(correlation.percentile, correlation.timespan)


def orders(correlation: Correlation) -> list[tuple[int, ...]]:
    """The chains of rules any of which satisfies an ordered correlation."""
    if correlation.clauses:
        return [clause.present for clause in correlation.clauses]
    return list(combinations(range(len(correlation.rule_ids)), correlation.need))


def holds(correlation: Correlation, numerator: int, denominator: int = 1) -> bool:
    """Whether a fraction satisfies the correlation's bounds."""
    return all(COMPARE[op](numerator, number * denominator) for op, number in correlation.bounds)


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
    return any(
        any(_first(lanes[rule], time) == time for rule in clause.present)
        and not any(_first(lanes[rule], time) <= end for rule in clause.missing)
        and _met(correlation, [lanes[rule] for rule in clause.present], time, end)
        for clause in correlation.clauses
    )


def _met(correlation: Correlation, lanes: Sequence[Sequence[int]], time: int, end: int) -> bool:
    if correlation.kind == "temporal":
        return all(_first(lane, time) <= end for lane in lanes)
    for lane in lanes:
        time = _first(lane, time) + 1
    return time <= end + 1


def _first(lane: Sequence[int], time: int) -> int:
    """The first time of a lane from `time` on."""
    at = bisect_left(lane, time)
    return lane[at] if at < len(lane) else FOR_EVER


def amount_of(entry: Entry) -> int:
    """What an entry adds to a sum, in millionths."""
    return max(0, int(entry.value))


def percentile(values: Sequence[int], percent: int) -> tuple[int, int]:
    """A percentile of ascending values, as numerator and denominator."""
    place, part = divmod((len(values) - 1) * percent, 100)
    low = values[place]
    high = values[place + 1] if part else low
    return low * 100 + (high - low) * part, 100


def least(op: str, number: float, scale: int) -> int:
    """The smallest whole number that satisfies gte or gt `number`, both in units of 1/scale."""
    return ceil(number * scale) if op == "gte" else floor(number * scale) + 1
