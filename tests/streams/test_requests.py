from __future__ import annotations

from typing import Any

import pytest

from alerting.alert import Alert
from audit.context import EMPTY, Context
from audit.context_schema import DAY, Declared, Moment, Person, Ticket
from audit.event import parse_rfc3339
from audit.finding import Version
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.detections import Detections
from streams.requests import MOST_TOLD, Requests, alerts_of, unusual

MONDAY = parse_rfc3339("2026-03-02T10:00:00Z")


def ticket(name: str, **changes: Any) -> Ticket:
    fields: dict[str, Any] = {"id": name, "type": "access", "opened": Moment(MONDAY), "requester": "ada"}
    return Ticket(**fields | {"approver": "ada"} | changes)


def context(*tickets: Ticket) -> Context:
    return Context(Declared(users=(Person(id="ada"),), tickets=tickets))


def test_only_what_is_unusual_and_undecided_is_told_worst_first() -> None:
    tickets = (
        ticket("A", approver="bob", resource="x"),
        ticket("B", approver="bob"),
        ticket("C"),
        ticket("D", status="approved"),
        ticket("E", opened=Moment(MONDAY - 9 * DAY)),
    )
    assert [found.ticket.id for found in unusual(context(*tickets), MONDAY - DAY)] == ["C", "B"]


def test_an_alert_says_who_asks_for_what_and_why_it_is_told() -> None:
    given = ticket("C", subject="eve", system="aws", resource="admin")
    (alert,) = alerts_of(unusual(context(given)), Version(context="c"))
    assert alert.summary == "C: ada asks for aws admin for eve; ada is to approve it."
    assert (alert.severity, alert.principal, alert.status) == ("medium", "eve", "open")
    assert "ada is to approve their own request" in alert.reasons
    assert alert.id == alerts_of(unusual(context(given)), Version())[0].id


def test_a_flood_of_requests_is_bounded() -> None:
    many = [ticket(f"T{number}") for number in range(MOST_TOLD + 20)]
    assert len(alerts_of(unusual(context(*many)), Version())) == MOST_TOLD


@pytest.fixture
def told() -> list[Alert]:
    return []


@pytest.fixture
def requests(told: list[Alert]) -> Requests:
    async def tell(alert: Alert) -> None:
        told.append(alert)

    return Requests(tell)


async def test_each_is_told_once_and_again_when_it_changes(requests: Requests, told: list[Alert]) -> None:
    def taken(*tickets: Ticket) -> Detections:
        return Detections(RuleSet([]), default_model(), context(*tickets))

    await requests.look(Detections(RuleSet([]), default_model(), EMPTY), MONDAY)
    assert told == []
    first = taken(ticket("A"))
    for _ in range(2):
        await requests.look(first, MONDAY)
    await requests.look(taken(ticket("A"), ticket("B")), MONDAY)
    assert [alert.key for alert in told] == ["request:A", "request:B"]
    await requests.look(taken(ticket("A", resource="db"), ticket("B", status="approved")), MONDAY)
    assert [alert.key for alert in told] == ["request:A", "request:B", "request:A"]
    assert len({alert.id for alert in told}) == 3


async def test_what_could_not_be_told_is_told_at_the_next_look(requests: Requests, told: list[Alert]) -> None:
    async def away(alert: Alert) -> None:
        raise OSError("the broker is away")

    detections = Detections(RuleSet([]), default_model(), context(ticket("A")))
    broken = Requests(away)
    with pytest.raises(OSError, match="away"):
        await broken.look(detections, MONDAY)
    broken._tell = requests._tell
    await broken.look(detections, MONDAY)
    assert [alert.key for alert in told] == ["request:A"]


def under(*tickets: Ticket) -> Detections:
    return Detections(RuleSet([]), default_model(), context(*tickets))


async def test_those_there_is_no_room_for_are_told_at_the_next_look(
    requests: Requests, told: list[Alert], caplog: pytest.LogCaptureFixture
) -> None:
    many = under(*(ticket(f"T{number:03}") for number in range(MOST_TOLD + 20)))
    await requests.look(many, MONDAY)
    assert len(told) == MOST_TOLD
    assert "20 more unusual requests are told of at the next look" in caplog.text
    for _ in range(2):
        await requests.look(many, MONDAY + 30 * DAY)
    assert [alert.key for alert in told] == [f"request:T{number:03}" for number in range(MOST_TOLD + 20)]


async def test_of_those_that_waited_only_what_is_still_to_be_decided_is_told_with_what_is_new(
    requests: Requests, told: list[Alert]
) -> None:
    tickets = [ticket(f"T{number:03}") for number in range(MOST_TOLD + 2)]
    await requests.look(under(*tickets), MONDAY)
    tickets[-1] = ticket(tickets[-1].id, status="approved")
    await requests.look(under(*tickets, ticket("Z")), MONDAY)
    assert [alert.key for alert in told[MOST_TOLD:]] == [f"request:T{MOST_TOLD:03}", "request:Z"]
