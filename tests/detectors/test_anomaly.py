"""A strange event as a finding: its id from the event alone, its risk in step with its severity."""

from __future__ import annotations

import msgspec
import pytest

from audit.context import Context
from audit.context_schema import Declared, Person
from audit.event import Principal, Resource
from audit.finding import RISK, Finding, stable_id
from detectors.anomaly import (
    DETECTION,
    MAY_TRAVEL,
    TWO_PLACES,
    anomaly_finding,
    as_journey,
    risk,
    two_places_finding,
)
from detectors.baseline import Baseline
from detectors.features import features, learn, observe
from detectors.known import Known
from detectors.model import HIGH_ABOVE, Model
from detectors.travel import Way
from tests.detectors.company import MONDAY, event, usual

NIGHT = MONDAY + 28 * 86_400 + 3 * 3600


def found(model: Model, strangeness: float, *, days: int = 28) -> Finding:
    baseline = Baseline()
    for made in usual(days):
        learn(baseline, observe(made))
    strange = event(NIGHT, "StopLogging", id="e1")
    return anomaly_finding(model, Known(baseline), strange, features(baseline, observe(strange)), strangeness)


def test_what_it_says(model: Model) -> None:
    finding = found(model, model.threshold + 1)
    assert (finding.kind, finding.detection) == ("anomaly", DETECTION)
    assert finding.id == stable_id("anomaly", "cloudtrail", "e1")
    assert finding.time == event(NIGHT).time
    assert (finding.principal, finding.entity, finding.event_ids) == ("alice", "user:alice", ("e1",))
    assert finding.title == "Unusual for alice@example.com: StopLogging"
    assert 1 <= len(finding.reasons) <= 3
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(finding), type=Finding) == finding


def test_somebody_declared_is_called_by_their_own_name(model: Model) -> None:
    company = Context(Declared(users=(Person(id="alice", name="Alice Example"),)))
    role = Principal("alice", "AWSReservedSSO_Operator_14e31e3475cf813f", "human", "verified")
    known, shell = Known(Baseline(), context=company), Resource("pods/exec", "shop/api-0")
    strange = event(NIGHT, "create", actor=role, resource=shell)
    finding = anomaly_finding(model, known, strange, features(known.baseline, observe(strange)), 4.0)
    assert finding.title == "Unusual for alice: create pods/exec"
    back = two_places_finding(known, strange, Way(8_920.0, 4.0))
    assert back.title == "alice is active in two places at once"


def test_a_possible_journey_is_no_alert_by_itself(model: Model) -> None:
    finding = found(model, model.threshold + 3)
    journey, odd = (as_journey(finding, model, model.threshold + beyond) for beyond in (-2.0, HIGH_ABOVE / 2))
    assert (finding.severity, journey.severity, journey.risk) == ("high", "medium", RISK["medium"])
    assert (odd.severity, odd.risk) == ("medium", 45)
    faint = found(model, model.threshold + 0.01)
    assert as_journey(faint, model, model.threshold + HIGH_ABOVE / 2).risk == faint.risk
    assert journey.id == finding.id
    assert journey.reasons == (*finding.reasons, MAY_TRAVEL)


def test_two_places_at_once_are_an_alert(model: Model) -> None:
    finding = two_places_finding(Known(Baseline()), event(NIGHT, id="e1"), Way(8_920.4, 4.0))
    assert (finding.detection, finding.severity, finding.risk) == (TWO_PLACES, "high", RISK["high"])
    assert (finding.principal, finding.entity, finding.event_ids) == ("alice", "user:alice", ("e1",))
    assert "4.0 hours apart from 8920 km away" in finding.reasons[0]


def test_severity_and_risk_go_together(model: Model) -> None:
    low, medium, high = (found(model, model.threshold + beyond) for beyond in (-1.0, 0.0, HIGH_ABOVE))
    assert [one.severity for one in (low, medium, high)] == ["low", "medium", "high"]
    assert [one.risk for one in (low, medium, high)] == [RISK["low"], RISK["medium"], RISK["high"]]


def test_a_young_baseline_accuses_nobody(model: Model) -> None:
    finding = found(model, 50.0, days=1)
    assert (finding.severity, finding.risk) == ("low", RISK["low"])


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [(-99.0, 0), (0.0, 30), (HIGH_ABOVE / 2, 45), (HIGH_ABOVE, 60), (HIGH_ABOVE + 1, 75), (1e9, 100)],
)
def test_risk_stays_within_bounds(beyond: float, expected: int) -> None:
    assert risk(beyond) == expected
