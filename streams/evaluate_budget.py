"""Which alerts a team with a budget is told, without hindsight.

The bar of a day is set by the days before it, by the rule the worker's own budget goes by (`detectors.budget`): so high
that at most so many alerts a day would have passed. A ceiling, not a quota: days with more than the budget happen and
count. In the first days, with no history, the first alerts of a day are told up to the budget.

First comes what a rule, a correlation, the authorization model or a slow detector says at high severity or above: how
often those err does not depend on the budget. The forest's severity is set by the budget itself, so it takes what they
leave, and so do alerts that only add up. Among equals risk decides, then strangeness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alerting.alert import Alert
from audit.finding import SEVERITIES, Finding
from detectors.anomaly import DETECTION
from detectors.budget import DAY, RECENT_DAYS, Ceiling

_GRADE = 1_000.0
"""Rank of a grade of severity: above any risk (0 to 100) and strangeness (a tenth of it counts)."""


def rank(alert: Alert, strangeness: float) -> float:
    """What decides who is told first; `strangeness` is the highest of the events the alert rests on."""
    said = [SEVERITIES.index(finding.severity) for finding in alert.findings if _counts(finding)]
    grade = max(0, max(said, default=0) - SEVERITIES.index("medium"))
    return _GRADE * grade + alert.risk + strangeness / 10


def _counts(finding: Finding) -> bool:
    return finding.detection != DETECTION and not finding.explained


class Step(NamedTuple):
    """An alert as it was from a moment on (µs): its rank, ids of the campaigns and look-alikes it rests on, and whether
    all of it belongs to look-alikes with a ticket."""

    time: int
    rank: float
    attacks: frozenset[str] = frozenset()
    lookalikes: frozenset[str] = frozenset()
    ticketed: bool = False


@dataclass(slots=True)
class Candidate:
    """An alert and how it grew; `causes` are the titles of what it rests on, as far as it grew."""

    entity: str
    principal: str
    steps: list[Step] = field(default_factory=list)
    causes: tuple[str, ...] = ()


class Told(NamedTuple):
    """A candidate that passed the bar, at its step number `since`."""

    candidate: Candidate
    since: int

    @property
    def time(self) -> int:
        """When it was told (µs)."""
        return self.candidate.steps[self.since].time

    @property
    def heard(self) -> Sequence[Step]:
        """What was told of it."""
        return self.candidate.steps[self.since :]


def told(candidates: Sequence[Candidate], budget: float, start: int) -> list[Told]:
    """The candidates that pass a budget of so many alerts a day, in the order in which they do; `start` is the first
    midnight (µs)."""
    steps = sorted(
        ((step.time, name, number) for name, each in enumerate(candidates) for number, step in enumerate(each.steps)),
    )
    office = _Office(budget, start)
    passed: dict[int, Told] = {}
    for time, name, number in steps:
        step = candidates[name].steps[number]
        if office.passes(name, time, step.rank) and name not in passed:
            office.count()
            passed[name] = Told(candidates[name], number)
    return list(passed.values())


class _Office:
    """Remembers the highest rank of each alert by day, and holds each day's against the days before."""

    def __init__(self, budget: float, start: int) -> None:
        self._budget = budget
        self._start = start // DAY
        self._day = -1
        self._bar: float | None = None
        self._told = 0
        self._peaks: dict[int, tuple[int, float]] = {}

    def passes(self, name: int, time: int, rank: float) -> bool:
        """Whether an alert of this rank is told at this time, unless it was before."""
        day = time // DAY
        if day != self._day:
            self._day, self._told, self._bar = day, 0, self._bar_of(day)
        first, highest = self._peaks.get(name, (day, 0.0))
        self._peaks[name] = first, max(highest, rank)
        if day < self._start + RECENT_DAYS:
            return self._told < self._budget
        return self._bar is None or rank >= self._bar

    def count(self) -> None:
        """Another one was told today."""
        self._told += 1

    def _bar_of(self, day: int) -> float | None:
        ceiling = Ceiling(day * DAY, self._budget)
        ceiling.add(self._start, 0.0)
        for first, highest in self._peaks.values():
            ceiling.add(first, highest)
        return ceiling.bar()
