"""What is strange about an event beyond what waits already."""

from __future__ import annotations

import msgspec
import pytest

from detectors.baseline import Baseline
from detectors.features import FEATURES, features, learn, notice, observe
from detectors.observation import Observation
from detectors.repeat import beyond
from tests.detectors.company import AGENTS, MONDAY, event, usual

NAMES = [feature.name for feature in FEATURES]
NOON = MONDAY + 28 * 86_400 + 12 * 3600
BERLIN, TOKYO, KYOTO, LAGOS = (52.52, 13.4), (35.68, 139.69), (35.01, 135.77), (6.52, 3.38)
AWAY: dict[str, object] = {"country": "JP", "asn": 64511, "source_ip": "203.0.113.9"}


def seen(
    time: int = NOON, action: str = "GetObject", place: tuple[float, float] = TOKYO, **changed: object
) -> Observation:
    return msgspec.structs.replace(observe(event(time, action, **(AWAY | changed))), place=place)  # type: ignore[arg-type]


@pytest.fixture
def baseline() -> Baseline:
    made = Baseline()
    for one in usual(28):
        learn(made, msgspec.structs.replace(observe(one), place=BERLIN))
    learn(made, msgspec.structs.replace(observe(event(NOON - 60)), place=BERLIN))
    return made


def rest(baseline: Baseline, obs: Observation, *pending: Observation) -> dict[str, float]:
    for number, other in enumerate(pending):
        notice(baseline, other, pending[:number])
    return dict(zip(NAMES, beyond(baseline, obs, pending, ()), strict=True))


def test_the_same_change_again_is_nothing_new(baseline: Baseline) -> None:
    said = rest(baseline, seen(NOON + 3600), seen())
    for name in ("origin_surprise", "network_surprise", "travel", "novelty_1h", "novelty_24h", "agent_surprise"):
        assert said[name] == 0.0
    assert dict(zip(NAMES, features(baseline, seen(NOON + 3600)), strict=True))["origin_surprise"] > 10


def test_what_comes_on_top_of_it_still_counts(baseline: Baseline) -> None:
    said = rest(baseline, seen(NOON + 3600, "CreateAccessKey", user_agent=AGENTS[2]), seen())
    assert said["action_surprise"] > 3
    assert said["agent_surprise"] > 5
    assert said["novelty_24h"] > 2
    assert said["country_surprise"] == 0.0
    assert said["power_surprise"] == said["action_surprise"]


def test_a_third_place_is_another_way(baseline: Baseline) -> None:
    far = {"country": "NG", "asn": 64504, "source_ip": "198.51.100.9"}
    assert rest(baseline, seen(NOON + 600, place=LAGOS, **far), seen())["travel"] > 3


def test_a_few_hundred_kilometres_on_are_another_place(baseline: Baseline) -> None:
    far = {"country": "NG", "asn": 64504, "source_ip": "198.51.100.9"}
    assert rest(baseline, seen(NOON + 600, place=KYOTO, **far), seen())["travel"] > 3
    assert rest(baseline, seen(NOON + 600, place=(35.7, 139.7), **far), seen())["travel"] == 0.0


def test_a_session_that_moved_is_told_once(baseline: Baseline) -> None:
    learn(baseline, msgspec.structs.replace(observe(event(NOON, session_id="s")), place=BERLIN))
    moved = seen(NOON + 60, session_id="s")
    assert dict(zip(NAMES, features(baseline, moved), strict=True))["session_moved"] > 1
    assert rest(baseline, seen(NOON + 120, session_id="s"), moved)["session_moved"] == 0.0


def test_the_same_night_is_told_once(baseline: Baseline) -> None:
    night = NOON + 15 * 3600
    alone = dict(zip(NAMES, features(baseline, seen(night)), strict=True))["hour_surprise"]
    assert rest(baseline.copy(), seen(night), seen(NOON))["hour_surprise"] == alone > 1
    assert rest(baseline.copy(), seen(night), seen(night - 3600))["hour_surprise"] == 0.0


def test_a_burst_goes_on(baseline: Baseline) -> None:
    burst = [seen(NOON + second) for second in range(60)]
    said = rest(baseline, seen(NOON + 60), *burst)
    assert said["rate_z"] > 3


def test_nothing_is_taught(baseline: Baseline) -> None:
    before = baseline.pack()
    beyond(baseline, seen(NOON + 3600), [seen()], ())
    assert baseline.pack() == before
