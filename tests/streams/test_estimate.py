"""A change is told once, whatever the batch: trips, new laptops and moves, by hand and in a simulated organisation."""

from __future__ import annotations

import pytest

from audit.context import EMPTY
from audit.event import Resource
from audit.finding import Finding
from benchmarks.simulated import context_of, events_of
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
    return sorted((one for one in run.result.findings.values() if one.kind == "anomaly"), key=lambda one: one.time)


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
    highest = {day: strangeness for day, strangeness in kept.peaks if strangeness >= detections.model.threshold}
    assert list(highest) == [days[0].time // (24 * HOUR)]


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
