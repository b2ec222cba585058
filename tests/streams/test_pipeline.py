from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace

from audit.brief import about, brief
from audit.context import EMPTY
from audit.event import MICROSECONDS, AuditEvent, Principal
from audit.finding import Finding
from detectors.registry import default_model
from rules import sigma
from streams import pipeline
from streams.detections import Detections
from streams.packet import Signal, mark
from streams.pipeline import Correlate, Score
from streams.processor import Arrival, Fault, Verdict
from tests.alerting.conftest import a_finding

RULES = """title: Deleted
id: 11111111-1111-4111-8111-111111111111
level: high
logsource: {product: auditwatch}
detection:
  deed: {action: Delete}
  condition: deed
---
title: Deleted in production
id: 22222222-2222-4222-8222-222222222222
level: low
logsource: {product: aws, service: cloudtrail}
detection:
  deed: {stage: prod}
  condition: deed
---
title: Failed
id: 33333333-3333-4333-8333-333333333333
name: failed
level: high
logsource: {product: auditwatch}
detection:
  deed: {outcome: failure}
  condition: deed
---
title: Many failures
id: 44444444-4444-4444-8444-444444444444
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [auditwatch.source_ip]
  timespan: 10m
  condition: {gte: 3}
"""
NOON = 1_768_000_000 * MICROSECONDS


@pytest.fixture(scope="module")
def detections(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    file: Path = tmp_path_factory.mktemp("rules") / "rules.yml"
    file.write_text(RULES)
    return Detections(sigma.load([file]), default_model(), EMPTY)


def event(number: int = 0, **changes: object) -> AuditEvent:
    made = AuditEvent(
        f"e{number}", NOON + number * MICROSECONDS, "cloudtrail", "Get", "success",
        Principal("alice", "Alice", "human", "verified"), source_ip="192.0.2.1",
    )  # fmt: skip
    return replace(made, **changes)


def scored(detections: Detections, *events: AuditEvent, offset: int = 5) -> Verdict:
    stage = Score()
    arrivals = [Arrival(3, mark(offset, index), each) for index, each in enumerate(events)]
    states = {each.actor.id: stage.unpack(each.actor.id, [None, None]) for each in events}
    return stage.fold(arrivals, states, detections)


def said(verdict: Verdict) -> list[str]:
    return [output.item.finding.title for output in verdict.outputs if output.item.finding]


def test_a_match_is_a_finding_sent_to_its_entity_under_the_event_s_mark(detections: Detections) -> None:
    verdict = scored(detections, event(0), event(1, action="Delete", raw=b'{"stage": "prod"}'))
    assert said(verdict) == ["Deleted", "Deleted in production"]
    assert [(each.partition, each.mark, each.key) for each in verdict.outputs] == [
        (3, mark(5, 1, 0), "user:alice"),
        (3, mark(5, 1, 1), "user:alice"),
    ]
    finding = verdict.outputs[0].item.finding
    assert (finding.event_ids, finding.time, finding.version) == (("e1",), event(1).time, detections.version)
    assert finding.evidence == (brief(event(1, action="Delete")),)
    assert (verdict.faults, verdict.repeats) == ([], 0)
    assert [name for name, _ in verdict.scores] == ["e0", "e1"]


def test_a_counted_rule_says_nothing_itself_but_sends_its_match_where_it_is_counted(detections: Detections) -> None:
    verdict = scored(detections, event(outcome="failure"))
    (output,) = verdict.outputs
    assert output.item.finding is None
    assert output.item.match is not None
    assert output.item.match.entry.seen == about(event(outcome="failure"))
    assert output.key == output.item.entity == "ip:192.0.2.1"


def test_a_repeat_is_counted_and_nothing_else(detections: Detections) -> None:
    verdict = scored(detections, event(action="Delete"), event(action="Delete"))
    assert (said(verdict), verdict.repeats, len(verdict.scores)) == (["Deleted"], 1, 1)


@pytest.mark.parametrize("raw", [b"[]", b'"sshd: failed"', b"5", b"null"])
def test_a_record_that_is_no_object_is_judged_by_its_event(detections: Detections, raw: bytes) -> None:
    verdict = scored(detections, event(action="Delete", raw=raw))
    assert (said(verdict), verdict.faults) == (["Deleted"], [])


def test_a_record_that_is_no_json_is_told_of_and_scored(detections: Detections) -> None:
    verdict = scored(detections, event(action="Delete", raw=b'{"a": \xff}'))
    ((partition, offset, error, raw),) = verdict.faults
    assert (partition, offset, raw) == (3, 5, b'{"a": \xff}')
    assert error.startswith("its raw record is no JSON")
    assert len(verdict.scores) == 1


def test_more_signals_than_a_mark_has_room_for_are_told_of(
    detections: Detections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next event's marks must not be taken for this one's."""
    monkeypatch.setattr(pipeline, "MAX_SIGNALS", 1)
    both = event(0, action="Delete", raw=b'{"stage": "prod"}')
    verdict = scored(detections, both, event(1, action="Delete"))
    assert said(verdict) == ["Deleted", "Deleted"]
    assert verdict.faults == [Fault(3, 5, "only 1 signals kept", both.raw)]


def test_marks_grow_from_signal_to_signal(detections: Detections) -> None:
    events = [event(at, action="Delete", raw=b'{"stage": "prod"}', outcome="failure") for at in range(20)]
    marks = [output.mark for output in scored(detections, *events).outputs]
    assert marks == sorted(set(marks))


def test_who_is_anonymous_is_judged_by_rules_alone(detections: Detections) -> None:
    somebody = Principal("anonymous:okta:1.2.3.4", "alice", "unknown", "anonymous")
    verdict = scored(detections, *(event(at, action="Delete", actor=somebody) for at in range(3)))
    assert said(verdict) == ["Deleted"] * 3
    assert [score for _, score in verdict.scores] == [0.0] * 3


def correlated(detections: Detections, *signals: Signal) -> Verdict:
    stage = Correlate()
    states = {each.entity: stage.unpack(each.entity, [None]) for each in signals}
    verdict = stage.fold([Arrival(1, mark(at), each) for at, each in enumerate(signals)], states, detections)
    for key, state in states.items():
        (entry,) = stage.pack(key, state)
        again = stage.unpack(key, [entry.value])
        assert stage.pack(key, again) == [entry], "what is stored is all there is"
    return verdict


def test_a_finding_becomes_an_alert_of_its_entity(detections: Detections) -> None:
    finding: Finding = a_finding(severity="high")
    verdict = correlated(detections, Signal("user:alice", finding=finding))
    (output,) = verdict.outputs
    assert (output.partition, output.key) == (1, "user:alice")
    assert output.item.findings == (finding,)


def test_an_alert_that_grows_within_a_batch_is_sent_once(detections: Detections) -> None:
    findings = [a_finding(id=f"f{at}", severity="high", event_ids=(f"e{at}",)) for at in range(5)]
    verdict = correlated(detections, *(Signal("user:alice", finding=each) for each in findings))
    (output,) = verdict.outputs
    assert (output.item.count, len(output.item.event_ids)) == (5, 5)


def test_matches_are_counted_and_their_finding_counts_like_any_other(detections: Detections) -> None:
    failures = [event(at, outcome="failure", actor=Principal(f"u{at}", f"u{at}")) for at in range(3)]
    signals = [output.item for output in scored(detections, *failures).outputs]
    assert correlated(detections, *signals[:2]).outputs == []
    verdict = correlated(detections, *signals)
    (finding,) = verdict.findings
    (output,) = verdict.outputs
    assert (finding.title, output.item.entity) == ("Many failures", "ip:192.0.2.1")
    assert output.item.event_ids == ("e0", "e1", "e2")


def test_a_match_of_a_correlation_that_is_gone_is_let_go(detections: Detections) -> None:
    signals = [output.item for output in scored(detections, event(outcome="failure")).outputs]
    without = Detections(type(detections.rules)(detections.rules.rules), detections.model, EMPTY)
    assert correlated(without, *signals).outputs == []


def test_records_are_read_as_the_vendor_wrote_them(detections: Detections) -> None:
    raw = orjson.dumps({"stage": "prod", "ä": "\u2028"})
    assert said(scored(detections, event(raw=raw))) == ["Deleted in production"]
