"""The ceiling holds without hindsight, also while scores drift; a quiet organisation has no quota to fill."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.budget import DAY, KEPT_DAYS, RECENT_DAYS, Ceiling, Peak, with_peak

TODAY = 20_000
PEAKS = st.lists(st.tuples(st.integers(TODAY - 20, TODAY + 3), st.floats(2, 9)), max_size=200)


def bar(peaks: list[Peak], budget: float = 1.0, today: int = TODAY) -> float | None:
    ceiling = Ceiling(today * DAY, budget)
    for day, strangeness in peaks:
        ceiling.add(day, strangeness)
    return ceiling.bar()


def told_by_day(drift: float, users: int = 200, days: int = 60, budget: float = 10.0, floor: float = 4.0) -> list[int]:
    """How many of the users had an anomaly each day, the bar being set each midnight from the days before."""
    random, told = Random(7), []
    kept: list[list[Peak]] = [[] for _ in range(users)]
    for day in range(TODAY, TODAY + days):
        today = max(floor, bar([peak for peaks in kept for peak in peaks], budget, day) or 0.0)
        highest = [2.0 + random.expovariate(2.3) + drift * (day - TODAY) for _ in kept]
        told.append(sum(strangeness >= today for strangeness in highest))
        kept = [with_peak(peaks, day * DAY, value) for peaks, value in zip(kept, highest, strict=True)]
    return told


def test_a_steady_organisation_stays_within_the_budget() -> None:
    told = told_by_day(drift=0.0, floor=2.5)
    assert sum(told[:RECENT_DAYS]) > 10 * RECENT_DAYS, "before there is history the bar is the floor"
    assert 6 <= sum(told[14:]) / len(told[14:]) <= 10


def test_scores_that_drift_upward_are_told_no_oftener() -> None:
    told = told_by_day(drift=0.03)
    frozen = told_by_day(drift=0.03, budget=1e9)
    assert sum(frozen[-14:]) / 14 > 60, "without a budget the drift would be noticed"
    assert sum(told[14:]) / len(told[14:]) <= 11
    assert max(told[14:]) <= 25


def test_a_quiet_organisation_gets_no_quota() -> None:
    told = told_by_day(drift=0.0, floor=5.0)
    assert sum(told) / len(told) < 1
    assert bar([(TODAY - day, 2.1) for day in range(1, 15)], budget=1.0) is None, "fewer than may be told"


def test_at_most_the_budget_reaches_the_bar() -> None:
    peaks = [(TODAY - day, 3.0 + day / 10 + number / 100) for day in range(1, 11) for number in range(4)]
    found = bar(peaks, budget=2.0)
    assert found is not None
    assert sum(strangeness >= found for _, strangeness in peaks) <= 20


@given(peaks=PEAKS, budget=st.sampled_from([1.0, 2.0, 3.5]))
def test_the_bar_never_lets_more_through_than_the_budget(peaks: list[Peak], budget: float) -> None:
    found = bar(peaks, budget)
    past = [peak for peak in peaks if TODAY - KEPT_DAYS <= peak[0] < TODAY]
    days = TODAY - min((day for day, _ in past), default=TODAY)
    if days < RECENT_DAYS:
        assert found is None
    else:
        assert sum(found is None or value >= found for _, value in past) <= budget * days


@given(peaks=PEAKS, seed=st.randoms())
def test_the_order_does_not_matter_nor_do_days_that_have_not_ended(peaks: list[Peak], seed: Random) -> None:
    shuffled = peaks[:]
    seed.shuffle(shuffled)
    assert bar(shuffled) == bar(peaks) == bar([peak for peak in peaks if peak[0] < TODAY])


@pytest.mark.parametrize("days", [1, 2])
def test_too_little_history_has_no_bar(days: int) -> None:
    assert bar([(TODAY - day, 9.0) for day in range(1, days + 1) for _ in range(50)]) is None


def test_equal_scores_beyond_the_budget_are_all_below_the_bar() -> None:
    found = bar([(TODAY - day, 5.0) for day in range(1, 15) for _ in range(3)], budget=1.0)
    assert found is not None
    assert found > 5.0


def test_a_day_keeps_its_highest_and_two_weeks_before_the_newest_are_kept() -> None:
    peaks: list[Peak] = []
    for day, strangeness in [(3, 2.5), (3, 2.2), (3, 4.0)]:
        peaks = with_peak(peaks, day * DAY + 5, strangeness)
    assert peaks == [(3, 4.0)]
    for day, strangeness in [(20, 3.0), (6, 2.0), (5, 9.0)]:
        peaks = with_peak(peaks, day * DAY + 5, strangeness)
    assert peaks == [(6, 2.0), (20, 3.0)]


@given(scores=st.lists(st.tuples(st.integers(0, 40), st.floats(2, 9)), max_size=60), seed=st.randoms())
def test_peaks_are_the_same_in_any_order_of_scores(scores: list[Peak], seed: Random) -> None:
    def kept(scores: list[Peak]) -> list[Peak]:
        peaks: list[Peak] = []
        for day, strangeness in scores:
            peaks = with_peak(peaks, day * DAY, strangeness)
        return peaks

    shuffled = scores[:]
    seed.shuffle(shuffled)
    assert kept(shuffled) == kept(scores)
    assert len(kept(scores)) <= KEPT_DAYS + 1
