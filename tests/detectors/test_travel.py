"""Speeds worked out by hand, what is too near or too usual to count, and sessions seen from two places."""

from __future__ import annotations

from math import log2

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.baseline import ASN, COUNTRY, NETWORK, PLACED_AT, SESSIONS, Baseline
from detectors.features import FEATURES, features, learn, observe
from detectors.lens import Place
from detectors.observation import Observation
from detectors.travel import PAUSE, SLACK, STEADY, Way, began_elsewhere, distance, origin_of, way
from tests.detectors.company import MONDAY, event, usual

NAMES = [feature.name for feature in FEATURES]
BERLIN, POTSDAM, TOKYO = (52.52, 13.40), (52.40, 13.06), (35.68, 139.69)
NOON = MONDAY + 28 * 86_400 + 12 * 3600
AWAY = {"country": "JP", "asn": 64511, "source_ip": "203.0.113.9"}


def seen(time: int, place: Place | None = BERLIN, **changed: object) -> Observation:
    return msgspec.structs.replace(observe(event(time, **changed)), place=place)  # type: ignore[arg-type]


def habitual() -> Baseline:
    baseline = Baseline()
    for made in usual(28):
        learn(baseline, msgspec.structs.replace(observe(made), place=BERLIN))
    learn(baseline, seen(NOON))
    return baseline


def row(baseline: Baseline, obs: Observation) -> dict[str, float]:
    return dict(zip(NAMES, features(baseline, obs), strict=True))


places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


class TestDistance:
    @pytest.mark.parametrize(
        ("one", "other", "kilometres"),
        [
            (BERLIN, TOKYO, 8_918),
            (BERLIN, POTSDAM, 26.7),
            ((0.0, 179.5), (0.0, -179.5), 111.2),
            ((90.0, 0.0), (-90.0, 0.0), 20_015),
            (BERLIN, BERLIN, 0.0),
        ],
    )
    def test_known_ones(self, one: Place, other: Place, kilometres: float) -> None:
        assert distance(one, other) == pytest.approx(kilometres, rel=0.005)

    @given(places, places)
    def test_there_and_back_and_never_beyond_half_the_earth(self, one: Place, other: Place) -> None:
        assert distance(one, other) == pytest.approx(distance(other, one), abs=1e-6)
        assert 0.0 <= distance(one, other) <= 20_016


class TestSpeed:
    def test_by_hand(self) -> None:
        assert Way(SLACK + 9_000.0, 1.0 - PAUSE).bits == pytest.approx(log2(1 + 9_000 / STEADY))
        assert Way(SLACK, 0.0).bits == 0.0

    def test_tokyo_an_hour_later_is_impossible_and_a_day_later_a_flight(self) -> None:
        soon, later = (row(habitual(), seen(NOON + hours * 3600, TOKYO, **AWAY)) for hours in (1, 24))
        assert soon["travel"] == pytest.approx(log2(1 + (distance(BERLIN, TOKYO) - SLACK) / 1.25 / STEADY))
        assert 1.5 < later["travel"] < 3.0

    def test_an_event_that_is_late_travels_as_fast(self) -> None:
        early, late = (row(habitual(), seen(NOON + hours * 3600, TOKYO, **AWAY)) for hours in (-1, 1))
        assert early["travel"] == pytest.approx(late["travel"])

    @pytest.mark.parametrize("place", [POTSDAM, BERLIN, None])
    def test_what_is_near_or_unknown_is_no_way(self, place: Place | None) -> None:
        assert row(habitual(), seen(NOON + 60, place, **AWAY))["travel"] == 0.0

    def test_between_places_that_are_usual_nobody_travels(self) -> None:
        assert row(habitual(), seen(NOON + 60, TOKYO))["travel"] < 1.0

    def test_who_was_never_placed_does_not_travel(self) -> None:
        baseline = Baseline()
        learn(baseline, seen(NOON, None))
        assert baseline.scalars[PLACED_AT] == 0.0
        assert way(baseline, seen(NOON + 60, TOKYO)) is None

    def test_the_newest_place_counts_and_survives_storage(self) -> None:
        baseline = habitual()
        learn(baseline, seen(NOON - 7200, TOKYO))
        baseline = Baseline.unpack(baseline.pack())
        gone = way(baseline, seen(NOON + 3600, BERLIN))
        assert gone == Way(0.0, 0.0)


class TestSession:
    def test_seen_from_two_places(self) -> None:
        baseline = habitual()
        learn(baseline, seen(NOON, session_id="s"))
        moved, stayed, other = (
            row(baseline, seen(NOON + 60, session_id=name, **where))["session_moved"]
            for name, where in (("s", AWAY), ("s", {}), ("t", AWAY))
        )
        surprise = row(baseline, seen(NOON + 60, **AWAY))
        assert moved == pytest.approx(1.0 + surprise["country_surprise"] + surprise["asn_surprise"])
        assert stayed == other == 0.0

    def test_within_one_provider_it_may_move(self) -> None:
        baseline = Baseline()
        learn(baseline, seen(NOON, session_id="s"))
        assert not began_elsewhere(baseline, seen(NOON + 60, session_id="s", source_ip="203.0.113.9"))

    def test_what_is_unknown_has_not_moved(self) -> None:
        baseline = Baseline()
        learn(baseline, seen(NOON, session_id="s"))
        nowhere = seen(NOON + 60, session_id="s", country=None, asn=None, source_ip=None)
        assert origin_of(nowhere) == 0
        assert not began_elsewhere(baseline, nowhere)
        learn(baseline, msgspec.structs.replace(nowhere, session=7))
        assert 7 not in baseline.sessions

    def test_it_began_where_it_was_seen_first(self) -> None:
        baseline = Baseline()
        learn(baseline, seen(NOON, session_id="s"))
        learn(baseline, seen(NOON + 60, session_id="s", **AWAY))
        assert began_elsewhere(baseline, seen(NOON + 120, session_id="s", **AWAY))
        assert not began_elsewhere(baseline, seen(NOON + 120, session_id="s"))

    def test_the_oldest_goes_and_the_order_survives_storage(self) -> None:
        baseline = Baseline()
        for number in range(SESSIONS + 3):
            learn(baseline, seen(NOON + number, session_id=f"s{number}"))
            baseline = Baseline.unpack(baseline.pack())
        wanted = [seen(NOON, session_id=f"s{number}").session for number in range(3, SESSIONS + 3)]
        assert list(baseline.sessions) == wanted

    @pytest.mark.parametrize(
        ("missing", "kind"), [({}, ASN), ({"asn": None}, COUNTRY), ({"asn": None, "country": None}, NETWORK)]
    )
    def test_the_provider_comes_first(self, missing: dict[str, None], kind: int) -> None:
        obs = seen(NOON, **missing)
        assert origin_of(obs) == obs.tokens[kind] & (2**32 - 1)
