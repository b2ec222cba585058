"""The week is the person's own, and peers who work at night make a night less of a surprise."""

from __future__ import annotations

import msgspec
import pytest

from detectors.baseline import CAPACITY, Baseline
from detectors.features import FEATURES, features, learn, observe
from detectors.hours import hour_surprise, smoothed
from detectors.observation import Observation
from detectors.peers import Group
from tests.detectors.company import MONDAY, event, usual

HOUR = [feature.name for feature in FEATURES].index("hour_surprise")
NIGHT = MONDAY + 28 * 86_400 + 3 * 3600


def shifted(obs: Observation, hours: int, kind: int = 0) -> Observation:
    return msgspec.structs.replace(obs, offset=hours * 3600, kind=kind)


def habitual(hours: int) -> Baseline:
    baseline = Baseline()
    for made in usual(28):
        learn(baseline, shifted(observe(made), hours))
    return baseline


@pytest.mark.parametrize("hours", [-5, 0, 9])
def test_activity_is_filed_under_the_own_hour(hours: int) -> None:
    baseline = habitual(hours)
    busiest = max(range(24), key=baseline.hours.__getitem__)
    assert 8 <= (busiest - hours) % 24 < 16


def test_moving_the_clock_by_a_time_zone_changes_no_surprise() -> None:
    surprises = [features(habitual(hours), shifted(observe(event(NIGHT)), hours))[HOUR] for hours in (0, 1, 5)]
    assert surprises == pytest.approx([surprises[0]] * 3)
    assert surprises[0] > 1.0


def test_the_weekend_begins_at_the_own_midnight() -> None:
    baseline = Baseline()
    saturday = MONDAY + 5 * 86_400
    learn(baseline, shifted(observe(event(saturday - 3600)), 2))
    assert baseline.hours[24 + 1] == 1.0


def test_services_have_no_office_hours() -> None:
    baseline = habitual(0)
    assert features(baseline, shifted(observe(event(NIGHT)), 0, kind=1))[HOUR] == 0.0
    assert features(baseline, shifted(observe(event(NIGHT)), 0, kind=2))[HOUR] > 1.0


def test_a_team_that_works_at_night_makes_it_less_of_a_surprise() -> None:
    baseline, obs = habitual(0), observe(event(NIGHT))
    weight = baseline.weight(NIGHT)
    night = tuple(5.0 if hour in (2, 3, 4) else 0.0 for hour in range(48))

    def group(hours: tuple[float, ...]) -> Group:
        return Group(10, tuple({} for _ in CAPACITY), tuple({} for _ in CAPACITY), (10.0,) * 6, hours)

    alone, awake, asleep = (
        hour_surprise(baseline, obs, weight, groups) for groups in ((), (group(night),), (group((0.0,) * 48),))
    )
    assert awake < alone == asleep
    assert awake == pytest.approx(alone - 2.0)  # LIKELIEST is 4: two bits


def test_smoothing_goes_round_the_clock() -> None:
    hours = [0.0] * 48
    hours[23], hours[24] = 4.0, 8.0
    assert [smoothed(hours, hour) for hour in (0, 22, 23, 47, 24)] == [1.0, 1.0, 2.0, 2.0, 4.0]
