"""From what was told about each organisation to figures: means over organisations, with the interval they leave."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf, sqrt
from statistics import fmean, median, quantiles, stdev

import msgspec

from streams.evaluate import Campaign, Measured, System
from streams.simulate.model import Difficulty

COLD_DAYS = 3
"""Days from the start in which no baseline is old enough to accuse anybody."""
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Student's t: two-sided 95 % quantiles for 1 to 10 degrees of freedom."""


class Figure(msgspec.Struct, frozen=True):
    """A mean over organisations and its 95 % interval (Student's t, within what is possible); None for a single one."""

    mean: float
    low: float | None = None
    high: float | None = None


class Summary(msgspec.Struct, frozen=True):
    """A system under a budget. Shares are 0 to 1, times in seconds over all campaigns found; None: nothing to say.

    `explained_closed` is the share that paper closed of the alerts which rest on look-alikes with a ticket alone,
    `mixed` how many rest on one and on other things too, `attacks_closed` how many campaigns lie in alerts it closed.
    `found_by` has the share of campaigns found by difficulty, `alerted_on_day_one` and `alerted_when_cold` are shares
    of the people with an alert, on the first day and on a day of the first three.
    """

    system: System
    budget: float
    organisations: int
    found: Figure | None
    found_by: dict[Difficulty, Figure]
    median_delay: float | None
    p90_delay: float | None
    alerts_a_day: Figure | None
    false_a_day: Figure | None
    false_a_day_under_attack: Figure | None
    precision: Figure | None
    lookalikes_alerted: Figure | None
    explained_closed: Figure | None
    mixed: int
    attacks_closed: int
    alerted_on_day_one: Figure | None
    alerted_when_cold: Figure | None


def summarise(measured: Sequence[Measured]) -> list[Summary]:
    """One summary a system and budget, in the order in which they come."""
    groups: dict[tuple[System, float], list[Measured]] = {}
    for each in measured:
        groups.setdefault((each.system, each.budget), []).append(each)
    return [_summary(system, budget, group) for (system, budget), group in groups.items()]


def _summary(system: System, budget: float, group: Sequence[Measured]) -> Summary:
    delays = sorted(c.delay for each in group for c in each.campaigns if c.delay is not None)
    by = {kind: _over(group, lambda each, kind=kind: _found(each, kind)) for kind in DIFFICULTIES}  # type: ignore[misc]
    return Summary(
        system=system,
        budget=budget,
        organisations=len(group),
        found=_over(group, _found),
        found_by={difficulty: figure for difficulty, figure in by.items() if figure},
        median_delay=median(delays) if delays else None,
        p90_delay=_p90(delays),
        alerts_a_day=_over(group, lambda each: len(each.alerts) / each.days, inf),
        false_a_day=_over(group, lambda each: _false(each, 0), inf),
        false_a_day_under_attack=_over(group, lambda each: _false(each, each.attack_after), inf),
        precision=_over(group, lambda each: _share(alert.true for alert in each.alerts)),
        lookalikes_alerted=_over(group, lambda each: _share(odd.alerted for odd in each.lookalikes)),
        explained_closed=_over(group, _explained),
        mixed=sum(each.mixed for each in group),
        attacks_closed=sum(len(closed.attacks) for each in group for closed in each.closed),
        alerted_on_day_one=_over(group, lambda each: _people(each, 0) / each.users),
        alerted_when_cold=_over(group, lambda each: fmean(_people(each, d) for d in range(COLD_DAYS)) / each.users),
    )


def figure(values: Sequence[float], most: float = 1.0) -> Figure | None:
    """Mean and interval of independent values between 0 and `most`; None for none."""
    if len(values) < 2:
        return Figure(values[0]) if values else None
    freedom, mean = len(values) - 1, fmean(values)
    t = _T95[freedom - 1] if freedom <= len(_T95) else 1.96 + 2.7 / freedom
    margin = t * stdev(values) / sqrt(len(values))
    return Figure(mean, max(0.0, mean - margin), min(most, mean + margin))


def _over(group: Iterable[Measured], value: Callable[[Measured], float | None], most: float = 1.0) -> Figure | None:
    return figure([found for each in group if (found := value(each)) is not None], most)


def _found(each: Measured, difficulty: Difficulty | None = None) -> float | None:
    return _share(c.delay is not None for c in each.campaigns if difficulty in (None, c.difficulty))


def _false(each: Measured, first: int) -> float:
    return sum(not alert.true and alert.day >= first for alert in each.alerts) / max(1, each.days - first)


def _explained(each: Measured) -> float | None:
    closed = sum(bool(one.lookalikes) for one in each.closed)
    return closed / (closed + each.left_open) if closed + each.left_open else None


def _people(each: Measured, day: int) -> int:
    return len({alert.principal for alert in each.alerts if alert.day == day})


def _share(answers: Iterable[bool]) -> float | None:
    yes = [*answers]
    return sum(yes) / len(yes) if yes else None


def _p90(values: Sequence[float]) -> float | None:
    return quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else None


class KindRow(msgspec.Struct, frozen=True):
    """Campaigns of one kind and difficulty over all organisations: how many of how many each budget found."""

    kind: str
    difficulty: Difficulty
    count: int
    found: dict[float, int]
    median_delay: float | None
    causes: tuple[str, ...]


def by_kind(measured: Sequence[Measured]) -> Iterator[KindRow]:
    """A row a kind and difficulty; times and causes are those of the largest budget."""
    rows: defaultdict[tuple[str, Difficulty], defaultdict[float, list[Campaign]]]
    rows = defaultdict(lambda: defaultdict(list))
    for each in measured:
        for campaign in each.campaigns:
            rows[campaign.kind, campaign.difficulty][each.budget].append(campaign)
    for (kind, difficulty), budgets in sorted(rows.items()):
        widest = budgets[max(budgets)]
        delays = [campaign.delay for campaign in widest if campaign.delay is not None]
        causes = Counter(cause for campaign in widest for cause in campaign.causes)
        found = {budget: sum(c.delay is not None for c in campaigns) for budget, campaigns in budgets.items()}
        yield KindRow(
            kind, difficulty, len(widest), found, median(delays) if delays else None,
            tuple(cause for cause, _ in causes.most_common(4)),
        )  # fmt: skip


class OddRow(msgspec.Struct, frozen=True):
    """Look-alikes of one kind over all organisations: how many of how many each budget alerted about."""

    kind: str
    count: int
    alerted: dict[float, int]


def by_lookalike(measured: Sequence[Measured]) -> Iterator[OddRow]:
    """A row a kind."""
    rows: defaultdict[str, defaultdict[float, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for each in measured:
        for odd in each.lookalikes:
            rows[odd.kind][each.budget].append(odd.alerted)
    for kind, budgets in sorted(rows.items()):
        yield OddRow(kind, len(next(iter(budgets.values()))), {budget: sum(each) for budget, each in budgets.items()})


def false_causes(measured: Iterable[Measured]) -> Counter[tuple[str, ...]]:
    """What the false alerts rest on, and how many on each."""
    return Counter(alert.causes for each in measured for alert in each.alerts if not alert.true)


def false_lookalikes(measured: Iterable[Measured]) -> Counter[str]:
    """The kinds of look-alikes the false alerts rest on."""
    return Counter(alert.lookalike or "ordinary life" for each in measured for alert in each.alerts if not alert.true)
