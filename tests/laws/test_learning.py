"""Law 6: nothing is learnt from what is suspected, until its age decides; and what waits is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from audit.context import EMPTY
from audit.event import MICROSECONDS, AuditEvent, Principal, Resource
from detectors.features import observe
from detectors.registry import default_model
from rules import sigma
from streams import principal
from streams.detections import Detections
from streams.principal import HELD, HOLD, baseline_key, memory_key
from streams.replay import Run
from tests.laws.organisation import replayed

MONDAY = 1_767_571_200 * MICROSECONDS
MINUTE = 60 * MICROSECONDS
ALICE = Principal("alice", "Alice", "human", "verified")
USUAL = AuditEvent(
    "usual", MONDAY, "cloudtrail", "GetObject", "success", ALICE, resource=Resource("bucket", "reports"),
    source_ip="192.0.2.7", country="DE", asn=64496, user_agent="aws-cli/2.15",
)  # fmt: skip


@pytest.fixture(scope="module")
def detections() -> Detections:
    full = sigma.load([Path(__file__).with_name("rules.yml")])
    kept = [rule for rule in full.rules if rule.title == "Forbidden"]
    return Detections(type(full)(kept), default_model(), EMPTY)


def weeks() -> list[AuditEvent]:
    """Ten days of the same work, ten minutes apart, eight hours a day."""
    times = [day * 1440 + 480 + minute for day in range(10) for minute in range(0, 480, 10)]
    return [replace(USUAL, id=f"u{minute}", time=MONDAY + minute * MINUTE) for minute in times]


def at(hours: float, **changes: object) -> AuditEvent:
    """An event so many hours after those weeks."""
    time = weeks()[-1].time + int(hours * 60) * MINUTE
    return replace(USUAL, id=f"e{hours}", time=time, **changes)


def strange(hours: float) -> AuditEvent:
    return at(
        hours, action="DeleteTrail", resource=Resource("trail", "all"), source_ip="203.0.113.9", country="KP",
        asn=64500, user_agent="curl/8",
    )  # fmt: skip


OTHER = at(
    40.5, action="CreateUser", resource=Resource("user", "new"), source_ip="198.51.100.9", country="BR", asn=64501,
    user_agent="wget/1",
)  # fmt: skip
"""As strange, in another way, and after all that was held has grown old."""


def state(run: Run) -> principal.Principal:
    values = run.stores[0].values
    return principal.Principal.unpack(values[0, baseline_key("alice")], values[0, memory_key("alice")])


def knows(run: Run, event: AuditEvent) -> bool:
    return all(token in state(run).baseline.slots for token in observe(event).tokens)


def test_what_a_rule_matched_is_held_and_dropped(detections: Detections) -> None:
    """However usual it looks."""
    deed = at(17, account="forbidden")
    run = replayed([*weeks(), deed], detections)
    assert [finding.kind for finding in run.result.findings.values()] == ["rule"]
    assert [held.teaches for held in state(run).held] == [False]
    assert state(run).baseline.events == len(weeks())
    run = replayed([*weeks(), deed, at(41.5)], detections)
    assert state(run).held == []
    assert state(run).baseline.events == len(weeks()) + 1


def test_what_is_strange_and_matched_by_a_rule_is_dropped(detections: Detections) -> None:
    deed = replace(strange(1), account="forbidden")
    run = replayed([*weeks(), deed, at(41.5)], detections)
    assert {finding.kind for finding in run.result.findings.values()} == {"rule", "anomaly"}
    assert not knows(run, deed)


def test_what_is_only_strange_is_held_and_learnt_when_it_is_old(detections: Detections) -> None:
    deed = strange(1)
    run = replayed([*weeks(), deed], detections)
    (finding,) = run.result.findings.values()
    assert (finding.kind, finding.severity) == ("anomaly", "high")
    assert not knows(run, deed)
    learnt = state(run).baseline.events
    run = replayed([*weeks(), deed, at(24)], detections)
    assert not knows(run, deed)
    run = replayed([*weeks(), deed, OTHER], detections)
    assert knows(run, deed)
    assert not knows(run, OTHER)
    assert state(run).baseline.events == learnt + 1


def test_repeats_of_a_suspected_deed_stay_strange_and_are_told_once(detections: Detections) -> None:
    deeds = [replace(strange(1 + number), id=f"s{number}") for number in range(10)]
    run = replayed([*weeks(), *deeds], detections)
    scores = dict(run.result.scores)
    assert all(scores[deed.id] >= detections.model.threshold for deed in deeds)
    assert [finding.event_ids for finding in run.result.findings.values()] == [("s0",)]
    assert len(state(run).held) == 10
    assert not knows(run, deeds[0])


def test_what_is_usual_is_learnt_at_once(detections: Detections) -> None:
    run = replayed(weeks(), detections)
    assert state(run).baseline.events == len(weeks())
    assert not run.result.findings
    assert not state(run).held


def test_what_waits_is_bounded_and_the_oldest_goes(detections: Detections) -> None:
    deeds = [at(1 + number / 60, account="forbidden") for number in range(HELD + 10)]
    held = state(replayed([*weeks(), *deeds], detections)).held
    assert len(held) == HELD
    assert held[0].until == deeds[10].time + HOLD


def test_who_never_proved_who_he_is_has_no_usual(detections: Detections) -> None:
    somebody = Principal("anonymous:okta:203.0.113.9", "alice", "unknown", "anonymous")
    run = replayed([replace(USUAL, id=f"n{n}", actor=somebody) for n in range(20)], detections)
    assert {key for _, key in run.stores[0].values} == {memory_key(somebody.id)}
    assert {score for _, score in run.result.scores} == {0.0}
