from __future__ import annotations

from typing import Any

import pytest

from audit.context import Context
from audit.context_schema import DAY, Declared, End, Leave, Moment, Person, Role, Ticket
from audit.event import parse_rfc3339
from rules.request import is_pending, review
from tests.rules.dutiful import HOUR, NOON, company, excepting, grant
from tests.rules.dutiful import ticket as access_ticket

MONDAY = parse_rfc3339("2026-03-02T10:00:00Z")
TEAM: dict[str, Any] = {"team": "web", "timezone": "Europe/Berlin"}
CONTEXT = Context(
    Declared(
        users=(
            *(Person(id=f"web{number}", roles=("web-write",), **TEAM) for number in range(4)),
            Person(id="ada", **TEAM),
            Person(id="dba", team="data", roles=("aws:db-admin",)),
            Person(id="away", leave=(Leave(start=Moment(MONDAY - DAY), end=End(MONDAY + DAY)),), **TEAM),
            Person(id="gone", end_date=End(MONDAY - DAY), **TEAM),
            Person(id="temp", kind="contractor", end_date=End(MONDAY + 2 * DAY), **TEAM),
            Person(id="lead", **TEAM),
        ),
        roles=(
            Role(name="web-write", system="github", teams=("web",)),
            Role(name="db-admin", system="aws", actions=("*",)),
            Role(name="pay", system="okta", teams=("finance",)),
            Role(name="pay", system="aws", actions=("*",)),
        ),
    )
)


def ticket(**changes: Any) -> Ticket:
    fields: dict[str, Any] = {
        "id": "ACC-1", "type": "access", "opened": Moment(MONDAY), "requester": "ada", "approver": "lead",
        "system": "github", "resource": "web-write", "window_end": End(MONDAY + 5 * DAY), "status": "open",
    }  # fmt: skip
    return Ticket(**fields | changes)


def told(given: Ticket, *under_risk: str) -> list[str]:
    return [remark.text for remark in review(given, CONTEXT, under_risk).remarks]


def test_an_ordinary_request_has_nothing_unusual() -> None:
    assert told(ticket()) == []
    assert review(ticket(), CONTEXT).score == 0


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"requester": "eve"}, "eve is not declared"),
        ({"subject": "gone"}, "gone has left the company"),
        ({"subject": "away"}, "away is on leave"),
        ({"subject": "temp"}, "temp is a contractor whose contract ends before the access does"),
        ({"approver": "ada"}, "ada is to approve their own request"),
        ({"approver": "temp", "subject": "temp"}, "temp is to approve their own request"),
        ({"approver": ""}, "no approver is named"),
        ({"resource": ""}, "it does not say for what"),
        ({"resource": "**"}, "it asks for everything"),
        ({"system": "aws", "resource": "db-admin"}, "none of web's other 8 people holds db-admin"),
        ({"system": "aws", "resource": "db-admin"}, "db-admin permits everything"),
        ({"system": "okta", "resource": "pay"}, "pay is for finance, ada is of web"),
        ({"system": "aws", "resource": "pay"}, "pay permits everything"),
        ({"window_end": None}, "it has no end"),
        ({"window_end": End(MONDAY + 100 * DAY)}, "it lasts 100 days"),
        ({"opened": Moment(MONDAY + 12 * DAY // 24)}, "it was written on a Monday at 23:00, the requester's time"),
        ({"opened": Moment(MONDAY - DAY)}, "it was written on a Sunday at 11:00, the requester's time"),
    ],
)
def test_what_is_unusual_is_said(changes: dict[str, Any], remark: str) -> None:
    assert remark in told(ticket(**changes))


def test_people_under_risk_are_named() -> None:
    assert told(ticket(subject="web1"), "ada", "web1", "dba") == ["ada has an open alert", "web1 has an open alert"]


def test_the_worst_comes_first_and_the_score_ends_at_100() -> None:
    found = review(ticket(requester="eve", approver="eve", resource="", window_end=None), CONTEXT, ["eve"])
    assert [remark.points for remark in found.remarks] == sorted([r.points for r in found.remarks], reverse=True)
    assert found.score == 100


def test_a_role_somebody_holds_already_is_nothing_new() -> None:
    assert told(ticket(requester="dba", system="aws", resource="db-admin")) == []


def test_of_a_small_team_nothing_is_usual() -> None:
    assert told(ticket(requester="dba", system="github", resource="web-write")) == [
        "web-write is for web, dba is of data"
    ]


@pytest.mark.parametrize(
    ("changes", "pending"),
    [
        ({}, True),
        ({"status": ""}, True),
        ({"status": "Waiting for approval"}, True),
        ({"status": "approved"}, False),
        ({"status": "rejected"}, False),
        ({"approved_at": Moment(MONDAY)}, False),
        ({"type": "change"}, False),
    ],
)
def test_only_undecided_requests_for_access_are_pending(changes: dict[str, Any], pending: bool) -> None:
    assert is_pending(ticket(**changes)) is pending


@pytest.mark.parametrize("opened", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_at_the_end_of_the_calendar_breaks_nothing(opened: str) -> None:
    people = (Person(id="west", timezone="America/New_York"), Person(id="east", timezone="Asia/Tokyo"))
    zones = Context(Declared(users=people))
    for name in ("west", "east"):
        found = review(ticket(requester=name, approver="", opened=Moment(parse_rfc3339(opened))), zones)
        assert "no approver is named" in [remark.text for remark in found.remarks]


class TestDuties:
    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"system": ""},
            {"resource": "Release"},
            {"subject": "bot"},
            {"window_end": None},
            {"window_start": Moment(NOON - 2 * HOUR), "window_end": End(NOON)},
        ],
    )
    def test_a_role_to_be_kept_apart_from_one_they_hold_is_flagged(self, asked: dict[str, Any]) -> None:
        found = review(pending(**asked), company())
        assert found.score >= 60
        assert found.remarks[0].text == (
            "release is to be kept apart from enter (pay): ada holds enter by their own row of the context"
        )

    @pytest.mark.parametrize(
        "asked", [{"resource": "audit"}, {"requester": "bob", "subject": "bob"}, {"system": "k8s"}]
    )
    def test_others_are_not(self, asked: dict[str, Any]) -> None:
        assert not any("apart" in remark.text for remark in review(pending(**asked), company()).remarks)

    def test_what_they_hold_at_another_time_does_not_matter(self) -> None:
        loan = grant("bob", "enter")
        asked = pending(requester="bob", subject="bob", window_start=Moment(NOON + 3 * HOUR), window_end=None)
        known = company(temporary_grants=(loan,))
        assert not any("apart" in remark.text for remark in review(asked, known).remarks)
        within = pending(requester="bob", subject="bob", window_start=Moment(NOON + HOUR))
        assert any("apart" in remark.text for remark in review(within, known).remarks)

    def test_an_exception_says_it_was_agreed_to(self) -> None:
        assert not any("apart" in remark.text for remark in review(pending(), company(excepting())).remarks)


def pending(**changes: Any) -> Ticket:
    return access_ticket(status="open", approved_at=None, **changes)
