"""Trips and thefts: time enough to have gone there or not, one's own device or not, back at home too soon or not."""

from __future__ import annotations

import msgspec
import pytest

from audit.event import Principal
from detectors.baseline import Baseline
from detectors.features import FEATURES, features, learn, observe
from detectors.journey import FASTEST, OVERHEAD, at_home, contradicted, is_feasible, may_travel
from detectors.lens import Place
from detectors.observation import Observation
from detectors.travel import Way
from tests.detectors.company import AGENTS, MONDAY, event, usual

NAMES = [feature.name for feature in FEATURES]
BERLIN, POTSDAM, TOKYO = (52.52, 13.40), (52.40, 13.06), (35.68, 139.69)
EVENING = MONDAY + 25 * 86_400 + 16 * 3600
AWAY = {"country": "JP", "asn": 64511, "source_ip": "203.0.113.9"}
HOUR = 3_600


def seen(time: int, place: Place | None = TOKYO, **changed: object) -> Observation:
    return msgspec.structs.replace(observe(event(time, **(AWAY | changed))), place=place)  # type: ignore[arg-type]


def home(time: int, place: Place | None = BERLIN) -> Observation:
    return msgspec.structs.replace(observe(event(time)), place=place)


@pytest.fixture
def baseline() -> Baseline:
    made = Baseline()
    for one in usual(25):
        learn(made, msgspec.structs.replace(observe(one), place=BERLIN))
    learn(made, home(EVENING))
    return made


@pytest.mark.parametrize(
    ("kilometres", "hours", "feasible"),
    [
        (0.0, OVERHEAD, True),
        (0.0, OVERHEAD - 0.01, False),
        (FASTEST, OVERHEAD + 1, True),
        (9_000.0, 14.25, True),
        (9_000.0, 14.24, False),
    ],
)
def test_what_can_be_gone_in_time(kilometres: float, hours: float, feasible: bool) -> None:
    assert is_feasible(Way(kilometres, hours)) == feasible


class TestMayTravel:
    def test_after_a_night_s_silence(self, baseline: Baseline) -> None:
        assert may_travel(baseline, seen(EVENING + 16 * HOUR))

    def test_not_where_nobody_can_be_by_then(self, baseline: Baseline) -> None:
        assert not may_travel(baseline, seen(EVENING + 10 * HOUR))

    def test_not_to_change_rights(self, baseline: Baseline) -> None:
        assert not may_travel(baseline, seen(EVENING + 16 * HOUR, action="AttachRolePolicy"))

    def test_not_once_active_at_home_again(self, baseline: Baseline) -> None:
        learn(baseline, home(EVENING + 15 * HOUR))
        assert not may_travel(baseline, seen(EVENING + 16 * HOUR))

    def test_not_with_a_device_never_seen(self, baseline: Baseline) -> None:
        assert not may_travel(baseline, seen(EVENING + 16 * HOUR, user_agent=AGENTS[3]))

    def test_not_in_a_session_that_began_elsewhere(self, baseline: Baseline) -> None:
        at_work = observe(event(EVENING, session_id="s"))
        learn(baseline, msgspec.structs.replace(at_work, place=BERLIN))
        assert not may_travel(baseline, seen(EVENING + 16 * HOUR, session_id="s"))
        assert may_travel(baseline, seen(EVENING + 16 * HOUR, session_id="t"))

    @pytest.mark.parametrize(("kind", "may"), [("human", True), ("contractor", True), ("service", False)])
    def test_machines_do_not_travel(self, baseline: Baseline, kind: str, may: bool) -> None:
        actor = Principal("alice", "alice@example.com", kind, "verified")  # type: ignore[arg-type]
        assert may_travel(baseline, seen(EVENING + 16 * HOUR, actor=actor)) == may

    def test_not_from_a_place_nobody_knows_nor_from_next_door(self, baseline: Baseline) -> None:
        assert not may_travel(baseline, seen(EVENING + 16 * HOUR, place=None))
        assert not may_travel(baseline, seen(EVENING + 16 * HOUR, place=POTSDAM))


class TestContradicted:
    def test_active_at_home_too_soon(self, baseline: Baseline) -> None:
        back = contradicted(baseline, home(EVENING + 20 * HOUR), seen(EVENING + 16 * HOUR))
        assert back is not None
        assert back.hours == 4.0
        assert back.kilometres == pytest.approx(8_920, abs=20)

    def test_there_was_time_to_come_home(self, baseline: Baseline) -> None:
        assert contradicted(baseline, home(EVENING + 31 * HOUR), seen(EVENING + 16 * HOUR)) is None

    def test_a_vpn_says_nothing(self, baseline: Baseline) -> None:
        assert contradicted(baseline, home(EVENING + 17 * HOUR, place=None), seen(EVENING + 16 * HOUR)) is None

    def test_still_there(self, baseline: Baseline) -> None:
        assert contradicted(baseline, seen(EVENING + 17 * HOUR), seen(EVENING + 16 * HOUR)) is None

    def test_a_second_home_is_no_journey(self, baseline: Baseline) -> None:
        for hour in range(20):
            learn(baseline, seen(EVENING - (20 - hour) * HOUR))
        assert contradicted(baseline, home(EVENING + 17 * HOUR), seen(EVENING + 16 * HOUR)) is None


def test_at_home_only_the_place_is_known(baseline: Baseline) -> None:
    far = seen(EVENING + 16 * HOUR, action="StopLogging", session_id="s")
    there, here = (dict(zip(NAMES, row, strict=True)) for row in (features(baseline, far), at_home(baseline, far, ())))
    for name in ("country_surprise", "origin_surprise", "network_surprise", "travel", "hour_surprise"):
        assert here[name] == pytest.approx(0.0, abs=1e-4)
    assert here["action_surprise"] == there["action_surprise"] > 3
    assert there["novelty_1h"] > here["novelty_1h"] > 0
