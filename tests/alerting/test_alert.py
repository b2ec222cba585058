from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.alert import Alert, finding_line, from_line, gravity, to_line
from audit.brief import EventBrief, Measure
from audit.finding import Finding, Version
from tests.alerting.conftest import NOON, a_finding, an_alert

CONTRACT = {
    *("id", "time", "severity", "risk", "principal", "entity", "title", "summary", "findings", "event_ids", "reasons"),
    *("attack", "version", "key", "count", "revision", "status", "resolution", "evidence", "measures", "papers"),
}
FINDING_CONTRACT = {
    *("id", "time", "kind", "detection", "title", "severity", "risk", "principal", "entity", "event_ids", "reasons"),
    *("attack", "version", "evidence", "measures", "runbook"),
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
severities = st.sampled_from(["low", "medium", "high", "critical"])
times = st.integers(0, 4_000_000_000_000_000)
versions = st.builds(Version, texts, texts, texts)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
words = st.lists(texts, max_size=3).map(tuple)
briefs = st.lists(st.builds(EventBrief, times, *[texts] * 9), max_size=3).map(tuple)
numbers = st.floats(0, 1e9, allow_nan=False)
measures = st.lists(st.builds(Measure, texts, numbers, numbers), max_size=3).map(tuple)
findings = st.builds(
    Finding,
    id=ids,
    time=times,
    kind=st.sampled_from(["rule", "correlation", "anomaly", "access"]),
    detection=ids,
    title=texts,
    severity=severities,
    risk=st.integers(0, 100),
    principal=texts,
    entity=ids,
    event_ids=st.lists(texts, max_size=3).map(tuple),
    reasons=st.lists(texts, max_size=3).map(tuple),
    attack=st.lists(texts, max_size=3).map(tuple),
    version=versions,
    author=texts,
    evidence=briefs,
    measures=measures,
    runbook=words,
)
alerts = st.builds(
    Alert,
    id=ids,
    time=times,
    severity=severities,
    risk=st.integers(0, 100),
    principal=texts,
    entity=ids,
    title=texts,
    summary=texts,
    findings=st.lists(findings, max_size=3).map(tuple),
    event_ids=st.lists(texts, max_size=3).map(tuple),
    reasons=st.lists(texts, max_size=3).map(tuple),
    attack=st.lists(texts, max_size=3).map(tuple),
    version=versions,
    key=ids,
    count=st.integers(0, 10**6),
    revision=st.integers(0, 10**6),
    status=st.sampled_from(["open", "acknowledged", "resolved", "reopened"]),
    resolution=st.none() | texts,
    evidence=briefs,
    measures=measures,
)


def test_a_line_has_exactly_the_fields_of_the_contract() -> None:
    line = json.loads(to_line(an_alert()))
    assert set(line) == CONTRACT
    assert line["time"] == "2026-01-31T12:00:01.000Z"
    assert line["version"] == {"rules": "rules1", "models": "models1", "context": "context1"}
    assert (line["status"], line["resolution"]) == ("open", None)


def test_findings_in_a_line_have_the_contract_s_fields_and_the_rule_s_author() -> None:
    finding = json.loads(to_line(an_alert()))["findings"][0]
    assert set(finding) == FINDING_CONTRACT | {"author", "explained", "doubts"}
    assert finding["time"] == "2026-01-31T12:00:00.000Z"
    assert json.loads(finding_line(a_finding())) == json.loads(to_line(an_alert(severity="medium")))["findings"][0]


@given(alerts)
def test_a_line_reads_back_as_the_same_alert(alert: Alert) -> None:
    line = to_line(alert)
    assert b"\n" not in line
    assert from_line(line) == alert


def test_missing_fields_get_their_usual_value() -> None:
    line = b'{"id": "a", "time": "2026-01-31T12:00:00Z", "severity": "high", "title": "T", "principal": "bob"}'
    alert = from_line(line)
    assert (alert.time, alert.risk, alert.entity, alert.key) == (NOON, 60, "user:bob", "user:bob")
    assert (alert.count, alert.revision, alert.status, alert.findings) == (1, 1, "open", ())


def test_a_sparse_finding_takes_its_alert_s_principal_and_nulls_are_nothing() -> None:
    finding = {"id": "f", "time": "2026-01-31T12:00:00Z", "title": "Odd hour", "severity": "low"}
    line = {"id": "a", "time": "2026-01-31T12:00:00Z", "severity": "low", "title": "T", "risk": 12.6, "summary": None}
    alert = from_line(json.dumps(line | {"principal": "bob", "findings": [finding], "unknown": {"x": 1}}))
    assert (alert.risk, alert.summary) == (13, "")
    only = alert.findings[0]
    assert (only.principal, only.entity, only.detection, only.risk) == ("bob", "user:bob", "f", 10)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"nonsense", "JSON"),
        (b"[]", "object"),
        (b'{"id": "a", "time": "2026-01-31T12:00:00Z", "title": "T"}', "severity"),
        (b'{"id": "a", "time": "2026-01-31T12:00:00Z", "title": "T", "severity": "bad"}', "severity"),
        (b'{"id": "", "time": "2026-01-31T12:00:00Z", "title": "T", "severity": "low"}', "id"),
        (b'{"id": "a", "time": "yesterday", "title": "T", "severity": "low"}', "RFC 3339"),
        (b'{"id": "a", "time": "0001-01-01T00:00:00+23:00", "title": 3, "severity": "low"}', "title"),
        (b'{"id": "\xff", "time": "2026-01-31T12:00:00Z", "title": "T", "severity": "low"}', "utf-8"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(line: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_line(line)


def test_the_gravest_comes_first_then_the_oldest() -> None:
    late, early = an_alert(9), an_alert(2)
    critical, low = an_alert(5, severity="critical"), an_alert(1, severity="low")
    assert sorted([low, late, critical, early], key=gravity) == [critical, early, late, low]
