"""A change is told once, whatever the batch: trips, new laptops and moves, by hand and in a simulated organisation."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from audit.context import EMPTY, Context
from audit.context_schema import Declared, IpGeo
from audit.event import Resource
from audit.finding import SEVERITIES, Finding
from benchmarks.simulated import context_of, events_of
from detectors.anomaly import DETECTION, MAY_TRAVEL, TWO_PLACES
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.detections import Detections
from streams.principal import Principal as State
from streams.principal import baseline_key, memory_key
from streams.replay import Run
from streams.simulate.organisation import simulate
from tests.laws.organisation import replayed
from tests.streams.usual_life import HOUR, at, weeks

TRIP = {"source_ip": "203.0.113.9", "country": "JP", "asn": 64511}
LAPTOP = {"user_agent": "curl/8.5"}


@pytest.fixture(scope="module")
def detections() -> Detections:
    return Detections(RuleSet([]), default_model(), EMPTY)


def anomalies(run: Run) -> list[Finding]:
    """Those of the days after the ordinary ones, whose first weekend is a little strange, too."""
    found = [one for one in run.result.findings.values() if one.kind == "anomaly" and one.time > weeks()[-1].time]
    return sorted(found, key=lambda one: one.time)


def state(run: Run) -> State:
    values = run.stores[0].values
    return State.unpack(values[0, baseline_key("alice")], values[0, memory_key("alice")])


@pytest.mark.parametrize("change", [TRIP, LAPTOP, TRIP | LAPTOP])
def test_a_change_is_told_once_and_then_known(detections: Detections, change: dict[str, object]) -> None:
    days = [at(day * 24 + 8 + step / 2, **change) for day in range(4) for step in range(16)]
    run = replayed([*weeks(), *days], detections)
    assert [finding.event_ids for finding in anomalies(run)] == [(days[0].id,)]
    assert dict(run.result.scores)[days[5].id] >= detections.model.threshold
    assert dict(run.result.scores)[days[-1].id] < dict(run.result.scores)[days[0].id]


def test_what_comes_on_top_is_told(detections: Detections) -> None:
    days = [at(8 + step / 2, **TRIP) for step in range(6)]
    grave = at(11.25, action="user.mfa.factor.deactivate", resource=Resource("User", "boss"), **TRIP, **LAPTOP)
    run = replayed([*weeks(), *days, grave], detections)
    assert [finding.event_ids for finding in anomalies(run)] == [(days[0].id,), (grave.id,)]


def test_a_second_trip_is_another_change(detections: Detections) -> None:
    first = [at(8 + step / 2, **TRIP) for step in range(6)]
    second = at(12, source_ip="198.51.100.9", country="NG", asn=64504)
    run = replayed([*weeks(), *first, second], detections)
    assert [finding.event_ids for finding in anomalies(run)] == [(first[0].id,), (second.id,)]


def test_repeats_are_held_and_teach_nothing_yet(detections: Detections) -> None:
    days = [at(8 + step / 2, **TRIP) for step in range(8)]
    kept = state(replayed([*weeks(), *days], detections))
    assert len(kept.held) == 8
    assert {held.told for held in kept.held} == {2}
    assert kept.baseline.events == len(weeks())


@pytest.fixture(scope="module")
def placed() -> Detections:
    """The same company, which knows where its addresses are."""
    places = (
        IpGeo(prefix="192.0.2.0/24", country="DE", lat=52.52, lon=13.4),
        IpGeo(prefix="203.0.113.0/24", country="JP", lat=35.68, lon=139.69),
    )
    return Detections(RuleSet([]), default_model(), Context(Declared(ip_geo=places)))


ABROAD = [at(8 + step / 2, **TRIP) for step in range(6)]
BACK = [at(11 + step / 2) for step in range(4)]


def test_a_possible_journey_is_told_less_gravely(placed: Detections) -> None:
    """Sixteen hours after the last event at home, with the same browser, 8,900 km away."""
    assert [one.severity for one in anomalies(replayed([*weeks(), *ABROAD], placed))] == ["medium"]
    assert MAY_TRAVEL in anomalies(replayed([*weeks(), *ABROAD], placed))[0].reasons
    fast = [at(-7, **TRIP), *ABROAD]
    assert [one.severity for one in anomalies(replayed([*weeks(), *fast], placed))] == ["high"]


def test_a_new_device_is_no_journey(placed: Detections) -> None:
    run = replayed([*weeks(), *(replace(one, **LAPTOP) for one in ABROAD)], placed)
    assert [one.severity for one in anomalies(run)] == ["high"]


def test_grave_deeds_on_a_journey_are_grave(placed: Detections) -> None:
    grave = at(11.25, action="user.mfa.factor.deactivate", resource=Resource("User", "boss"), **TRIP)
    found = anomalies(replayed([*weeks(), *ABROAD, grave], placed))
    assert [(one.event_ids, one.severity) for one in found] == [((ABROAD[0].id,), "medium"), ((grave.id,), "high")]


def test_who_is_back_too_soon_was_in_two_places(placed: Detections) -> None:
    found = anomalies(replayed([*weeks(), *ABROAD, *BACK], placed))
    assert [(one.detection, one.event_ids) for one in found] == [
        (DETECTION, (ABROAD[0].id,)),
        (TWO_PLACES, (BACK[0].id,)),
    ]
    assert found[1].severity == "high"
    assert found[1].version == placed.version


def test_who_works_on_at_home_meanwhile_makes_the_next_deed_abroad_grave(placed: Detections) -> None:
    mixed = sorted([*ABROAD[:3], *BACK, at(13.75, **TRIP)], key=lambda one: one.time)
    found = anomalies(replayed([*weeks(), *mixed], placed))
    assert [one.detection for one in found] == [DETECTION, TWO_PLACES]
    kept = state(replayed([*weeks(), *mixed], placed))
    assert kept.held[-1].told == SEVERITIES.index("high")


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_batches_do_not_show_in_journeys(placed: Detections, batch: int) -> None:
    days = sorted([*ABROAD, *BACK, *(at(24 + step, **TRIP) for step in range(9))], key=lambda one: one.time)
    straight, cut = (replayed([*weeks(), *days], placed, size) for size in (29, batch))
    assert anomalies(cut) == anomalies(straight)
    assert [store.values for store in cut.stores] == [store.values for store in straight.stores]


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_batches_never_show(detections: Detections, batch: int) -> None:
    days = [at(day * 24 + 8 + step / 4, **(TRIP if step % 3 else LAPTOP)) for day in range(2) for step in range(24)]
    straight, cut = (replayed([*weeks(), *days], detections, size) for size in (29, batch))
    assert anomalies(cut) == anomalies(straight)
    assert cut.result.scores == straight.result.scores
    assert [store.values for store in cut.stores] == [store.values for store in straight.stores]


def test_a_repeat_raises_no_bar(detections: Detections) -> None:
    """The day of a finding counts for the alert budget, the days on which it is only repeated do not."""
    days = [at(day * 24 + hour, **TRIP) for day in range(2) for hour in (19, 20)]
    kept = state(replayed([*weeks(), *days], detections))
    first, bar = days[0].time // (24 * HOUR), detections.model.threshold
    assert [day for day, strangeness in kept.peaks if strangeness >= bar and day >= first] == [first]


def test_names_follow_what_is_learnt_and_not_what_is_held(detections: Detections) -> None:
    kept = state(replayed([*weeks(), at(8, **TRIP)], detections))
    assert sorted(kept.names.values()) == ["AS64496", "firefox linux"]


def test_the_odd_lives_of_the_simulated_organisation() -> None:
    """About one alert for a trip, a new laptop or a move, however many days it lasts and events it has."""
    organisation = simulate(60, 14, 11)
    context = context_of(organisation)
    library = Detections(RuleSet([]), default_model(), context)
    run = replayed(list(events_of(organisation, context, attacks=False)), library, 1000)
    changes = [odd for odd in organisation.lookalikes if odd.kind in ("travel", "team_move", "new_laptop")]
    alerts = [set(alert.event_ids) for alert in run.result.alerts.values()]
    told = [sum(not events.isdisjoint(odd.event_ids) for events in alerts) for odd in changes]
    assert len(changes) >= 3
    assert min(len(odd.event_ids) for odd in changes) > 50
    assert max(told) <= 4
    assert sum(told) <= 1.5 * len(told)
