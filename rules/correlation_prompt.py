"""What tells at once whether the condition of a correlation holds, kept up match by match.

A measure is told the entries of a window in order of time (`push`), answers whether the condition holds at the time
of each, and forgets by itself those that left the window. Where it can it takes in an entry that comes late (`late`)
and gives up those that lost their room, the oldest (`cut`); False where it cannot, and must be made anew.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from operator import itemgetter

from rules.correlation import Correlation, Entry
from rules.correlation_expression import Clause

NEVER = -(1 << 62)


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
        """An entry among those before."""
        times = self._times
        if len(times) == self._need:
            if entry.time <= times[0]:
                return True
            times.popleft()
        times.insert(bisect_right(times, entry.time), entry.time)
        return True

    def cut(self, going: Sequence[Entry]) -> bool:
        """The oldest go: a window keeps more than are needed."""
        return True


class Distinct:
    """At least so many different values: the last time of each, the longest unseen first."""

    __slots__ = ("_last", "_need", "_span")

    def __init__(self, need: int, span: int) -> None:
        self._need = need
        self._span = span
        self._last: OrderedDict[str | int, int] = OrderedDict()  # a plain dict walks over all that has moved

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        last, value, edge = self._last, entry.value, entry.time - self._span
        last[value] = entry.time
        last.move_to_end(value)
        while last[oldest := next(iter(last))] <= edge:
            del last[oldest]
        return len(last) >= self._need

    def late(self, entry: Entry) -> bool:
        """An entry among those before."""
        if entry.time > self._last.get(entry.value, NEVER):
            self._last[entry.value] = entry.time
            self._last = OrderedDict(sorted(self._last.items(), key=itemgetter(1)))
        return True

    def cut(self, going: Sequence[Entry]) -> bool:
        """The oldest go: no value is among them twice, nor among those that stay."""
        for entry in going:
            self._last.pop(entry.value, None)
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
        """An entry among those before."""
        if self._entries and entry.time <= self._entries[-1][0] - self._span:
            return True
        amount = amount_of(entry)
        self._entries.insert(bisect_right(self._entries, entry.time, key=itemgetter(0)), (entry.time, amount))
        self._sum += amount
        return True

    def cut(self, going: Sequence[Entry]) -> bool:
        """The oldest go."""
        for _ in range(len(going) - bisect_left(going, self._entries[0][0], key=_time)):
            self._sum -= self._entries.popleft()[1]
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
            return sum([time > edge for time in last]) >= self._need
        return any(all(last[rule] > edge for rule in clause) for clause in self._clauses)

    def late(self, entry: Entry) -> bool:
        """An entry among those before."""
        self._last[entry.rule] = max(self._last[entry.rule], entry.time)
        return True

    def cut(self, going: Sequence[Entry]) -> bool:
        """The oldest go."""
        time = going[-1].time
        sure = time not in self._last
        self._last = _after(time, self._last)
        return sure


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

    def cut(self, time: int) -> bool:
        """Entries go up to one of this time."""
        sure = time not in self._best and time not in self._before
        self._best, self._before = _after(time, self._best), _after(time, self._before)
        return sure

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
        """An entry among those before."""
        return all(chain.ignores(entry) for chain in self._chains)

    def cut(self, going: Sequence[Entry]) -> bool:
        """The oldest go."""
        return all(chain.cut(going[-1].time) for chain in self._chains)


class SomeOf:
    """At least so many of the rules, one after the other: the latest starts of chains up to each, by their length."""

    __slots__ = ("_before", "_best", "_need", "_span", "_stamp")

    def __init__(self, rules: int, need: int, span: int) -> None:
        self._need = need
        self._span = span
        self._best = [[NEVER] * need for _ in range(rules)]
        self._before = [[NEVER] * need for _ in range(rules)]
        self._stamp = [NEVER] * rules

    def push(self, entry: Entry) -> bool:
        """Whether the condition holds with this entry."""
        rule, time = entry.rule, entry.time
        earlier = [self._earlier(other, time) for other in range(rule)]
        starts = [time, *(max(column) for column in zip(*earlier, strict=True))] if earlier else [time]
        if self._stamp[rule] < time:
            self._before[rule] = self._best[rule]
            self._stamp[rule] = time
        starts += [NEVER] * (self._need - len(starts))
        self._best[rule] = [max(pair) for pair in zip(self._best[rule], starts, strict=False)]
        return max([best[-1] for best in self._best]) > time - self._span

    def late(self, entry: Entry) -> bool:
        """An entry among those before."""
        return False

    def cut(self, going: Sequence[Entry]) -> bool:
        """The oldest go."""
        time = going[-1].time
        sure = not any(time in starts for starts in (*self._best, *self._before))
        self._best = [_after(time, starts) for starts in self._best]
        self._before = [_after(time, starts) for starts in self._before]
        return sure

    def _earlier(self, rule: int, time: int) -> list[int]:
        """The latest starts of chains that reached a rule before `time`."""
        return self._best[rule] if self._stamp[rule] < time else self._before[rule]


Prompt = Recent | Distinct | Total | Present | AnyOf | SomeOf


def prompt_measure(correlation: Correlation) -> Prompt:
    """What tells at once when the correlation's condition holds."""
    span, need = correlation.timespan, correlation.need
    rules = len(correlation.rule_ids)
    if correlation.kind == "temporal_ordered" and correlation.clauses:
        return AnyOf(Chain(clause.present, span) for clause in correlation.clauses)
    if correlation.kind == "temporal_ordered":
        return SomeOf(rules, need, span) if need < rules else AnyOf([Chain(range(rules), span)])
    if correlation.kind == "temporal":
        return Present(rules, need, correlation.clauses, span)
    if correlation.kind == "value_sum":
        return Total(need, span)
    if correlation.kind == "value_count" or correlation.distinct:
        return Distinct(need, span)
    return Recent(need, span)


def amount_of(entry: Entry) -> int:
    """What an entry adds to a sum, in millionths."""
    return max(0, int(entry.value))


def _after(time: int, times: list[int]) -> list[int]:
    return [one if one > time else NEVER for one in times]


def _time(entry: Entry) -> int:
    return entry.time
