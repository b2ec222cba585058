from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.context import Context
from audit.context_schema import Declared, End, Moment, Person, Role, RoleChange, Ticket
from audit.event import AuditEvent, Principal, Resource, parse_rfc3339
from audit.finding import Finding, Version
from rules.change import change_finding, is_grant, left_alone
from rules.paper import NONE, Fit, papers_of
from rules.paper_fit import Kind

TIME = parse_rfc3339("2026-03-02T10:00:00Z")
HOUR = 3_600_000_000
PEOPLE = (
    Person(id="helper", team="helpdesk"),
    Person(id="lead", team="helpdesk"),
    Person(id="ada", team="web"),
    Person(id="bob", team="finance"),
)
ROLES = (Role(name="payroll", system="okta", teams=("finance",)), Role(name="wiki", system="okta"))


def ticket(**changes: Any) -> Ticket:
    fields: dict[str, Any] = {
        "id": "ACC-1", "type": "access", "opened": Moment(TIME - HOUR), "requester": "ada", "subject": "ada",
        "approver": "lead", "system": "okta", "resource": "wiki", "window_end": End(TIME + HOUR), "status": "approved",
    }  # fmt: skip
    return Ticket(**fields | changes)


def company(*tickets: Ticket, **more: Any) -> Context:
    return Context(Declared(users=PEOPLE, roles=ROLES, tickets=tickets, **more))


def given(by: str = "helper", to: str = "ada", group: str = "wiki", **changes: Any) -> AuditEvent:
    fields: dict[str, Any] = {
        "id": "e", "time": TIME, "source": "okta", "action": "group.user_membership.add", "outcome": "success",
        "actor": Principal(by, by, "human", "verified"), "target": Principal(to, to),
        "resource": Resource("UserGroup", group),
    }  # fmt: skip
    return AuditEvent(**fields | changes)


def told(event: AuditEvent, context: Context) -> Finding | None:
    return change_finding(event, papers_of(context).explain(event, {}), context, Version(context="c"))


OTHER = ticket(id="ACC-9", requester="bob", subject="bob")


def test_a_grant_on_an_approved_ticket_is_nothing() -> None:
    assert told(given(), company(ticket())) is None


def test_a_grant_on_no_ticket_is_told_low() -> None:
    found = told(given(), company(OTHER))
    assert found is not None
    assert (found.detection, found.severity, found.kind, found.principal) == (
        "change.unexplained",
        "low",
        "access",
        "helper",
    )
    assert found.reasons == (
        "helper gave ada rights: group.user_membership.add (wiki)",
        "no ticket, grant or declared change of roles is about it",
    )


def test_rights_for_oneself_are_grave() -> None:
    found = told(given(to="helper"), company(OTHER))
    assert found is not None
    assert (found.detection, found.severity) == ("change.self_granted", "high")
    assert found.reasons[0].startswith("helper gave themselves rights")


def test_rights_for_oneself_are_seen_where_the_event_leaves_the_target_out() -> None:
    record = {"actor": {"id": "00u1"}, "target": [{"type": "User", "id": "00u1"}, {"type": "UserGroup", "id": "g"}]}
    found = told(given(target=None, raw=orjson.dumps(record)), company(OTHER))
    assert found is not None
    assert (found.detection, found.severity) == ("change.self_granted", "high")
    assert found.reasons[0].startswith("helper gave themselves rights")


@pytest.mark.parametrize(
    ("status", "flaw"), [("rejected", "refused"), ("Declined", "refused"), ("open", "unexplained")]
)
def test_what_somebody_said_no_to_is_grave_and_what_waits_is_not(status: str, flaw: str) -> None:
    found = told(given(), company(ticket(status=status)))
    assert found is not None
    assert found.detection == f"change.{flaw}"
    assert found.severity == ("high" if flaw == "refused" else "low")


@pytest.mark.parametrize("approver", ["ada", "helper"])
def test_a_ticket_they_approved_themselves_is_grave(approver: str) -> None:
    found = told(given(), company(ticket(approver=approver)))
    assert found is not None
    assert (found.detection, found.severity) == ("change.self_approved", "high")


@pytest.mark.parametrize("kind", ["time", "resource", "state", "system"])
def test_what_does_not_fit_otherwise_is_unexplained(kind: Kind) -> None:
    fit = Fit(doubts=("x", "y"), kinds=frozenset({"approval", kind}))
    found = change_finding(given(), fit, company(OTHER), Version())
    assert found is not None
    assert found.detection == "change.unexplained"


def test_a_role_of_another_teams_is_named() -> None:
    found = told(given(group="payroll"), company(OTHER))
    assert found is not None
    assert (found.detection, found.severity) == ("change.outside_team", "medium")
    assert "payroll is for finance; ada is of web" in found.reasons
    own = told(given(group="payroll", to="bob"), company(ticket()))
    assert own is not None
    assert own.detection == "change.unexplained"


@pytest.mark.parametrize(("days", "foreseen"), [(0.9, True), (-0.9, True), (1.1, False)])
def test_a_declared_change_of_roles_foresees_it(days: float, foreseen: bool) -> None:
    change = RoleChange(user="ada", system="okta", role="wiki", effective=Moment(TIME + int(days * 24 * HOUR)))
    assert (told(given(), company(OTHER, role_changes=(change,))) is None) is foreseen
    assert told(given(to="bob", group="x"), company(OTHER, role_changes=(change,))) is not None


def test_where_no_paper_is_declared_at_all_nothing_is_missing() -> None:
    assert told(given(), company()) is None


def test_programs_and_strangers_are_left_to_the_rules() -> None:
    robot = given(actor=Principal("helper", "helper", "service", "verified"))
    assert told(robot, company(OTHER)) is None
    assert told(given(by="okta:eve"), company(OTHER)) is None


def test_why_a_grant_is_left_alone() -> None:
    def why(event: AuditEvent, context: Context) -> str | None:
        return left_alone(event, papers_of(context).explain(event, {}), context)

    change = RoleChange(user="ada", system="okta", role="wiki", effective=Moment(TIME))
    robot = given(actor=Principal("helper", "helper", "service", "verified"))
    assert why(given(), company(ticket())) == "explained"
    assert why(given(), company(OTHER, role_changes=(change,))) == "explained"
    assert why(given(by="okta:eve"), company(OTHER)) == "stranger"
    assert [why(given(), company(OTHER)), why(given(), company()), why(robot, company(OTHER))] == [None] * 3


@pytest.mark.parametrize(
    ("status", "approver", "flaw"), [("approved", "bob", "self_approved"), ("rejected", "lead", "refused")]
)
def test_whose_ticket_it_is_may_not_fit_either(status: str, approver: str, flaw: str) -> None:
    """Nobody but whose desk it is may act on it: that is one more thing wrong, not an excuse."""
    found = told(given(by="bob"), company(ticket(status=status, approver=approver)))
    assert found is not None
    assert found.detection == f"change.{flaw}"


@pytest.mark.parametrize(
    ("source", "action", "about", "grants"),
    [
        ("okta", "group.user_membership.add", "UserGroup", True),
        ("okta", "group.user_membership.remove", "UserGroup", False),
        ("cloudtrail", "AttachRolePolicy", "iam.amazonaws.com", True),
        ("cloudtrail", "PutUserPolicy", "iam.amazonaws.com", True),
        ("cloudtrail", "GetPolicyVersion", "iam.amazonaws.com", False),
        ("cloudtrail", "PutBucketPolicy", "s3.amazonaws.com", True),
        ("cloudtrail", "PutScalingPolicy", "autoscaling.amazonaws.com", False),
        ("cloudtrail", "PutObject", "s3.amazonaws.com", False),
        ("github", "team.add_member", "team", True),
        ("github", "org.update_member", "org", True),
        ("github", "org.remove_member", "org", False),
        ("kubernetes", "create", "clusterrolebindings", True),
        ("kubernetes", "delete", "rolebindings", False),
        ("kubernetes", "create", "pods", False),
        ("duo", "anything", "x", False),
    ],
)
def test_what_gives_rights(source: str, action: str, about: str, grants: bool) -> None:
    event, record = given(source=source, action=action, resource=Resource(about, "x")), {"eventSource": about}
    assert is_grant(event, record) is grants
    assert not is_grant(given(source=source, action=action, resource=Resource(about, "x"), outcome="denied"), record)


def test_nothing_fits_is_said_only_where_nothing_nearly_does() -> None:
    near = change_finding(
        given(), Fit(doubts=("ACC-1 is about x",), kinds=frozenset({"resource"})), company(OTHER), Version()
    )
    assert near is not None
    assert len(near.reasons) == 1
    assert NONE.kinds == frozenset()
