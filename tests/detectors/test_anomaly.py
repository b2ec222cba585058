"""A strange event as a finding: its id from the event alone, its risk in step with its severity."""

from __future__ import annotations

import msgspec
import pytest

from audit.finding import RISK, Finding, stable_id
from detectors.anomaly import DETECTION, anomaly_finding, risk
from detectors.baseline import Baseline
from detectors.features import features, learn, observe
from detectors.known import Known
from detectors.model import HIGH_ABOVE, Model
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
