"""What declared paper explains: told, but not suspected, learnt at once, and counted by nobody - whatever the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from audit.context import EMPTY, Context
from audit.context_schema import Declared, End, Moment, Person, Ticket
from audit.event import MICROSECONDS, AuditEvent, Principal, Resource
from detectors.registry import default_model
from rules import sigma
from streams.detections import Detections
from streams.principal import Principal as State
from streams.principal import baseline_key, memory_key
from streams.replay import Run
from tests.laws.organisation import replayed, told

MONDAY = 1_767_571_200 * MICROSECONDS
MINUTE = 60 * MICROSECONDS
ALICE = Principal("alice", "Alice", "human", "verified")
USUAL = AuditEvent(
    "usual", MONDAY, "cloudtrail", "GetObject", "success", ALICE, resource=Resource("bucket", "reports"),
    source_ip="192.0.2.7", country="DE", asn=64496, user_agent="aws-cli/2.15",
    raw=b'{"eventSource": "s3.amazonaws.com"}',
)  # fmt: skip
BEGIN = MONDAY + 10 * 1440 * MINUTE
CHANGE = Ticket(
    id="CHG-1", type="change", requester="alice", subject="alice", approver="bob", system="aws", resource="acorn-*",
    opened=Moment(BEGIN - 2000 * MINUTE), approved_at=Moment(BEGIN - 1000 * MINUTE), status="approved",
    window_start=Moment(BEGIN), window_end=End(BEGIN + 600 * MINUTE),
)  # fmt: skip


def under(*tickets: Ticket) -> Detections:
    people = (Person(id="alice", team="sre"), Person(id="bob", team="sre"))
    context = Context(Declared(users=people, tickets=tickets))
    return Detections(sigma.load([Path(__file__).with_name("rules.yml")]), default_model(), context)


def quiet(*tickets: Ticket) -> Detections:
    """Only the forest speaks."""
    full = under(*tickets)
    return Detections(type(full.rules)([]), full.model, full.context)


def weeks() -> list[AuditEvent]:
    """Ten days of the same work, ten minutes apart, eight hours a day."""
    times = [day * 1440 + 480 + minute for day in range(10) for minute in range(0, 480, 10)]
    return [replace(USUAL, id=f"u{minute}", time=MONDAY + minute * MINUTE) for minute in times]


def rebuild(minutes: float, thing: str = "acorn-billing") -> AuditEvent:
    """Something alice never did, so many minutes after the window began, at night."""
    return replace(
        USUAL, id=f"e{minutes}", time=BEGIN + int(minutes * MINUTE), action="CreateDBInstance",
        resource=Resource("AWS::RDS::DBInstance", thing), user_agent="terraform/1.9",
        raw=b'{"eventSource": "rds.amazonaws.com"}',
    )  # fmt: skip


def state(run: Run) -> State:
    values = run.stores[0].values
    return State.unpack(values[0, baseline_key("alice")], values[0, memory_key("alice")])


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batch_never_shows(batch: int) -> None:
    """Nor what is explained in a batch with what is not."""
    night = [rebuild(step, "acorn-billing" if step % 3 else "strange") for step in range(60)]
    late = [rebuild(600 + step / 2) for step in range(-10, 10)]
    events = [*weeks(), *night, *late]
    detections = under(CHANGE)
    whole, run = replayed(events, detections, 333), replayed(events, detections, batch)
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]
    said = [finding.explained for finding in whole.result.findings.values() if finding.time >= BEGIN]
    assert "" in said
    assert any(said)


def test_it_is_told_and_not_held_and_learnt_at_once() -> None:
    night = [rebuild(step) for step in range(1, 40)]
    unpapered, run = replayed([*weeks(), *night], quiet()), replayed([*weeks(), *night], quiet(CHANGE))
    assert len(state(unpapered).held) == len(night)
    assert state(run).held == []
    assert state(run).baseline.events == len(weeks()) + len(night)
    said = sorted((one for one in run.result.findings.values() if one.time >= BEGIN), key=lambda one: one.time)
    assert said[0].event_ids == (night[0].id,)
    assert {finding.explained for finding in said} == {"change CHG-1 approved by bob until 2026-01-15 10:00 UTC"}
    scores = dict(run.result.scores)
    assert scores[night[-1].id] < scores[night[0].id], "learnt by then"


def test_its_alert_is_closed_with_the_evidence_and_reopens_for_what_is_not_explained() -> None:
    night = [rebuild(step) for step in range(1, 20)]
    run = replayed([*weeks(), *night], under(CHANGE))
    (closed,) = [alert for alert in run.result.alerts.values() if alert.time >= BEGIN and alert.principal == "alice"]
    assert (closed.status, closed.resolution) == ("resolved", "explained")
    assert closed.reasons[0] == "Explained by change CHG-1 approved by bob until 2026-01-15 10:00 UTC"
    run = replayed([*weeks(), *night, rebuild(30, "strange")], under(CHANGE))
    (reopened,) = [alert for alert in run.result.alerts.values() if alert.time >= BEGIN and alert.principal == "alice"]
    assert (reopened.id, reopened.status, reopened.resolution) == (closed.id, "reopened", None)
    assert reopened.revision > closed.revision
    assert reopened.findings[0].doubts[1:] == ("CHG-1 is about acorn-*",)


def test_correlations_count_only_what_is_not_explained() -> None:
    """Two people from one address within the hour."""
    bob = replace(rebuild(30, "strange"), id="b", actor=Principal("bob", "Bob", "human", "verified"))
    by_address = {"22222222-2222-4222-8222-222222222222"}
    for tickets, expected in (((), by_address), ((CHANGE,), set())):
        run = replayed([rebuild(10), bob], under(*tickets))
        detections = {finding.detection for alert in run.result.alerts.values() for finding in alert.findings}
        assert detections & by_address == expected
    assert replayed([rebuild(10, "strange"), bob], under(CHANGE)).result.alerts.keys() > set()


def test_what_paper_explains_does_not_raise_the_bar_of_the_budget() -> None:
    night = [rebuild(step) for step in range(1, 5)]
    assert state(replayed([*weeks(), *night], quiet())).peaks
    assert not [
        peak for peak in state(replayed([*weeks(), *night], quiet(CHANGE))).peaks if peak[0] >= BEGIN // (1440 * MINUTE)
    ]


def test_without_context_nothing_is_explained() -> None:
    full = under()
    events = [*weeks(), rebuild(10)]
    run = replayed(events, Detections(full.rules, full.model, EMPTY))
    assert not any(finding.explained or finding.doubts for finding in run.result.findings.values())
