"""What declared paper explains, and above all what it does not: each trap differs from honest work in one thing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_schema import End, Moment, Role, Ticket
from audit.event import AuditEvent, Principal
from rules.paper import MOST_WEIGHED, NEAR, NONE, papers_of
from tests.rules.papers import (
    ACCESS,
    ADMIN_TICKET,
    CHANGE,
    DAY,
    GRANT,
    HOUR,
    INCIDENT,
    MINUTE,
    NOON,
    RESET,
    SHIFT,
    TEST,
    WINDOW,
    aws,
    changed,
    company,
    k8s,
    okta,
    papers,
    times,
    wrong,
)

FACTORS = "user.mfa.factor.reset_all"
ADDED = "group.user_membership.add"
PROBE = aws(
    "ListUsers", "", "iam", actor=Principal("zane", "zane", "human", "verified"), resource=None,
    source_ip="192.0.2.230", country="IS",
)  # fmt: skip
SECURITY_GROUP = aws("AuthorizeSecurityGroupIngress", "sg-0abc", "ec2")


def test_an_approved_change_explains_what_it_is_about() -> None:
    fit = papers(CHANGE).explain(aws())
    assert fit.explained == "change CHG-1 approved by mira until 2026-03-04 13:00 UTC"
    assert fit.doubts == ()
    assert not fit.lowers


@pytest.mark.parametrize(
    ("ticket", "event", "doubt"),
    [
        ({"approver": "priya"}, {}, "CHG-1 was approved by priya"),
        ({"approver": ""}, {}, "nobody else stands behind CHG-1"),
        ({"approver": "robot"}, {}, "nobody else stands behind CHG-1"),
        ({"approver": "gone"}, {}, "nobody else stands behind CHG-1"),
        ({"approver": "a stranger"}, {}, "nobody else stands behind CHG-1"),
        ({"requester": "mira", "subject": "mira", "approver": "hugo"}, {}, None),
        ({"requester": "mira", "approver": "mira"}, {}, "CHG-1 was approved by mira"),
        ({"status": "rejected"}, {}, "CHG-1 is rejected"),
        ({"status": "Cancelled"}, {}, "CHG-1 is Cancelled"),
        ({"status": "awaiting approval"}, {}, "CHG-1 is awaiting approval"),
        ({"status": "", "approved_at": None}, {}, "CHG-1 is not approved"),
        ({"system": "github"}, {}, "CHG-1 is about github"),
        ({"resource": "acorn-billing-*"}, {}, "CHG-1 is about acorn-billing-*"),
        ({"resource": ""}, {}, "CHG-1 names no resource"),
        ({"resource": "*"}, {}, "CHG-1 names no resource"),
        ({"window_end": End(NOON - MINUTE)}, {}, "CHG-1 counts only until 2026-03-04 11:59 UTC"),
        ({"window_start": Moment(NOON + MINUTE)}, {}, "CHG-1 counts only from 2026-03-04 12:01 UTC"),
        ({"approved_at": Moment(NOON + MINUTE)}, {}, "CHG-1 counts only from 2026-03-04 12:01 UTC"),
        ({"opened": Moment(NOON + MINUTE)}, {}, "CHG-1 counts only from 2026-03-04 12:01 UTC"),
        ({**times(NOON - DAY - MINUTE), "window_end": None}, {}, "CHG-1 counts only until 2026-03-04 11:59 UTC"),
        ({}, {"country": "NL", "source_ip": "203.0.113.9"}, "it was done from NL, priya belongs to DE"),
        ({}, {"outcome": "denied"}, None),
        ({}, {"actor": Principal("priya", "priya", "human", "ambiguous")}, "it is not certain that priya did it"),
        ({}, {"actor": Principal("mira", "mira")}, None),
        ({"type": "helpdesk"}, {}, None),
        ({"type": "incident"}, {}, None),
        ({"type": "pentest"}, {}, None),
    ],
)
def test_a_change_that_fits_in_all_but_one_thing_explains_nothing(
    ticket: dict[str, Any], event: dict[str, Any], doubt: str | None
) -> None:
    fit = papers(changed(CHANGE, **ticket)).explain(aws(**event))
    said = wrong(fit)
    assert not doubt or doubt in said


@pytest.mark.parametrize(
    ("action", "service"),
    [
        ("StopLogging", "cloudtrail"),
        ("DeleteTrail", "cloudtrail"),
        ("GetSecretValue", "secretsmanager"),
        ("DeleteDBSnapshot", "rds"),
        ("ScheduleKeyDeletion", "kms"),
    ],
)
def test_what_no_change_explains(action: str, service: str) -> None:
    fit = papers(CHANGE).explain(aws(action, service=service))
    assert not fit.explained
    assert not fit.lowers
    assert not fit.doubts or wrong(fit) == f"{service}:{action} is left to people whatever was approved"


@pytest.mark.parametrize("field", ["id", "requester", "approver", "subject"])
def test_free_text_that_names_somebody_closes_nothing(field: str) -> None:
    text = "priya may do this to acorn-platform-api-role, approved by mira"
    assert papers(changed(CHANGE, **{"requester": "liam", "subject": "liam", field: text})).explain(aws()) == NONE


def test_paper_counts_to_its_last_moment_and_from_the_second_it_begins() -> None:
    filed = papers(changed(CHANGE, window_start=Moment(NOON + 700_000)))
    assert filed.explain(aws(time=NOON)).explained, "the log cut its time to the second"
    assert wrong(filed.explain(aws(time=NOON - MINUTE)))
    assert papers(CHANGE).explain(aws(time=NOON + HOUR)).explained
    assert wrong(papers(CHANGE).explain(aws(time=NOON + HOUR + MINUTE)))
    assert papers(CHANGE).explain(aws(time=NOON + HOUR + NEAR + MINUTE)) == NONE


def test_the_company_s_own_networks_are_home_wherever_they_are() -> None:
    assert papers(CHANGE).explain(aws(country="US", source_ip="198.51.100.7")).explained


def test_a_partial_fit_lowers_only_where_all_but_the_thing_fits() -> None:
    assert papers(CHANGE).explain(SECURITY_GROUP).lowers
    assert not papers(changed(CHANGE, resource="")).explain(aws()).lowers
    assert not papers(changed(CHANGE, status="rejected")).explain(aws()).lowers
    assert not papers(changed(CHANGE, status="rejected")).explain(SECURITY_GROUP).lowers
    assert not papers(CHANGE).explain(aws(time=NOON + HOUR + MINUTE)).lowers
    assert papers(CHANGE).explain(SECURITY_GROUP).doubts == (
        "not explained by change CHG-1 approved by mira until 2026-03-04 13:00 UTC",
        "CHG-1 is about acorn-platform-*",
    )


def test_a_helpdesk_ticket_that_names_no_thing_is_about_its_subject() -> None:
    alone = papers(changed(RESET, resource=""))
    assert alone.explain(okta(FACTORS)).explained
    assert not alone.explain(okta(FACTORS, target="priya")).explained
    assert not alone.explain(okta(FACTORS, target="")).explained
    assert "names no resource" in wrong(papers(changed(RESET, resource="*")).explain(okta(FACTORS)))
    added = okta(ADDED, group="sales-readers")
    assert "names no resource" in wrong(papers(changed(ACCESS, resource="")).explain(added))


def test_the_helpdesk_resets_factors_on_a_ticket_of_whose_they_are() -> None:
    fit = papers(RESET).explain(okta(FACTORS))
    assert fit.explained == "helpdesk HD-1 approved by hugo until 2026-03-04 13:00 UTC"


@pytest.mark.parametrize(
    ("ticket", "event"),
    [
        ({}, okta(FACTORS, target="mira")),
        ({}, okta(FACTORS, actor="priya")),
        ({}, okta(FACTORS, actor="hugo")),
        ({}, okta(FACTORS, actor="liam", target="liam")),
        ({}, okta(FACTORS, target="")),
        ({}, okta("user.session.start")),
        ({"requester": "jin"}, okta(FACTORS)),
        ({"subject": "mira"}, okta(FACTORS)),
        ({"approver": "mira"}, okta(FACTORS)),
        ({"resource": "mira@acorn.example"}, okta(FACTORS)),
    ],
)
def test_a_reset_the_ticket_does_not_ask_for(ticket: dict[str, Any], event: AuditEvent) -> None:
    fit = papers(changed(RESET, **ticket)).explain(event)
    assert not fit.explained


def test_an_access_request_explains_the_group_that_was_asked_for() -> None:
    filed = papers(ACCESS)
    assert filed.explain(okta(ADDED, group="sales-readers")).explained
    assert wrong(filed.explain(okta(ADDED, group="sales-admins"))) == "ACC-1 is about sales-readers"
    assert not filed.explain(okta(ADDED, target="mira", group="sales-readers")).explained
    assert not filed.explain(okta(ADDED, actor="zane", group="sales-readers")).explained


def test_who_works_off_tickets_may_be_known_by_their_role() -> None:
    """Where the approver is the manager of who asked, and not of who acts."""
    role = Role(name="okta-helpdesk", system="okta", actions=("group.user_membership.*",))
    by_manager = changed(ACCESS, approver="mira")
    added = okta(ADDED, actor="zane", group="sales-readers")
    assert not papers(by_manager, roles=(role,)).explain(okta(ADDED, group="sales-readers")).explained
    assert papers(by_manager, roles=(role,)).explain(added).explained
    other = changed(role, actions=("user.lifecycle.*",))
    assert not papers(by_manager, roles=(other,)).explain(added).explained


def test_whoever_is_on_call_repairs_what_the_incident_is_about() -> None:
    filed = papers(INCIDENT, SHIFT)
    assert filed.explain(k8s()).explained.startswith("incident INC-1 approved by mira")
    assert filed.explain(k8s("create", "pods/exec", "payments/api-1")).explained
    assert filed.explain(okta("user.session.start", actor="priya", target="")).explained, "one has to sign in first"
    assert wrong(filed.explain(k8s(name="checkout/api"))) == "INC-1 is about payments"
    assert not filed.explain(k8s("get", "secrets", "payments/db")).explained
    assert not filed.explain(aws()).explained


@pytest.mark.parametrize(
    "shift",
    [
        changed(SHIFT, start=Moment(NOON + MINUTE)),
        changed(SHIFT, end=End(NOON - MINUTE)),
        changed(SHIFT, user="mira"),
    ],
)
def test_on_call_on_another_day_or_somebody_else(shift: Any) -> None:
    assert wrong(papers(INCIDENT, shift).explain(k8s())) == "priya is not on call"


def test_an_incident_needs_another_hand_but_no_approver() -> None:
    opened = changed(INCIDENT, approver="", approved_at=None, status="open")
    assert (
        papers(changed(opened, requester="mira"), SHIFT)
        .explain(k8s())
        .explained.startswith("incident INC-1 opened by mira")
    )
    assert wrong(papers(opened, SHIFT).explain(k8s())) == "nobody else stands behind INC-1"


def test_a_shift_alone_explains_nothing() -> None:
    assert papers(SHIFT).explain(k8s()) == NONE


def test_a_tester_may_be_refused_from_the_announced_range() -> None:
    fit = papers(WINDOW, TEST).explain(msgspec.structs.replace(PROBE, outcome="denied"))
    assert fit.explained == "pentest pentest-1 (PEN-1) from 192.0.2.224/27 until 2026-03-04 13:00 UTC"


def test_a_tester_from_outside_is_known_by_the_name_in_the_log() -> None:
    outside = changed(WINDOW, testers=("eve@pentest.example",))
    filed = papers(outside, changed(TEST, requester="eve@pentest.example"))
    eve = Principal("okta:eve@pentest.example", "Eve", "human", "verified")
    assert filed.explain(msgspec.structs.replace(PROBE, actor=eve)).explained
    assert not filed.explain(msgspec.structs.replace(PROBE, actor=eve, source_ip="203.0.113.9")).explained
    for other in ("okta:mallory@pentest.example", "eve@pentest.example", "anonymous:okta:192.0.2.230"):
        assert filed.explain(msgspec.structs.replace(PROBE, actor=Principal(other, "eve@pentest.example"))) == NONE


def test_a_stranger_has_no_other_paper() -> None:
    stranger = changed(CHANGE, requester="eve", subject="eve")
    assert papers(stranger).explain(aws(actor=Principal("aws:eve", "eve"))) == NONE


@pytest.mark.parametrize(
    ("window", "ticket", "event"),
    [
        ({}, {}, {"source_ip": "203.0.113.9"}),
        ({}, {}, {"source_ip": None}),
        ({}, {}, {"source_ip": "no address"}),
        ({}, {}, {"actor": Principal("priya", "priya")}),
        ({}, {}, {"source": "github"}),
        ({}, {}, {"time": NOON + HOUR + MINUTE}),
        ({"scope": ("okta",)}, {}, {}),
        ({"scope": ("*",)}, {}, {}),
        ({"source_ranges": ()}, {}, {}),
        ({"ticket": "PEN-2"}, {}, {}),
        ({"ticket": ""}, {}, {}),
        ({}, {"status": "rejected"}, {}),
        ({}, {"approver": "zane"}, {}),
    ],
)
def test_what_no_pentest_explains(window: dict[str, Any], ticket: dict[str, Any], event: dict[str, Any]) -> None:
    filed = papers(changed(WINDOW, **window), changed(TEST, **ticket))
    assert not filed.explain(msgspec.structs.replace(PROBE, **event)).explained


def test_a_grant_explains_what_its_role_permits() -> None:
    fit = papers(GRANT, ADMIN_TICKET).explain(aws("ModifyDBInstance", "some-database", "rds"))
    assert fit.explained == "role aws-admin granted by mira (ACC-9) until 2026-03-04 13:00 UTC"


@pytest.mark.parametrize(
    ("grant", "ticket", "role", "event"),
    [
        ({}, {}, {}, aws("DeleteBucket", "acorn-platform-logs", "s3")),
        ({}, {}, {"account": "data"}, aws("ModifyDBInstance", "db", "rds")),
        ({}, {}, {"resources": ("acorn-*",)}, aws("ModifyDBInstance", "db", "rds")),
        ({}, {}, {"name": "another"}, aws("ModifyDBInstance", "db", "rds")),
        ({"granted_by": "priya"}, {}, {}, aws("ModifyDBInstance", "db", "rds")),
        ({"granted_by": ""}, {}, {}, aws("ModifyDBInstance", "db", "rds")),
        ({"expires": End(NOON - MINUTE)}, {}, {}, aws("ModifyDBInstance", "db", "rds")),
        ({"system": "github"}, {}, {}, aws("ModifyDBInstance", "db", "rds")),
        ({"ticket": "ACC-8"}, {}, {}, aws("ModifyDBInstance", "db", "rds")),
        ({}, {"status": "rejected"}, {}, aws("ModifyDBInstance", "db", "rds")),
        ({}, {"approver": "priya"}, {}, aws("ModifyDBInstance", "db", "rds")),
        ({}, {}, {"actions": ("*",)}, aws("StopLogging", "trail", "cloudtrail")),
    ],
)
def test_what_no_grant_explains(
    grant: dict[str, Any], ticket: dict[str, Any], role: dict[str, Any], event: Any
) -> None:
    roles = (
        changed(Role(name="aws-admin", system="aws", account="prod", actions=("rds:*",), resources=("*",)), **role),
    )
    filed = papers(changed(GRANT, **grant), changed(ADMIN_TICKET, **ticket), roles=roles)
    assert not filed.explain(event).explained


def test_the_rows_of_a_role_add_up() -> None:
    rows = tuple(
        Role(name="aws-admin", system="aws", account="prod", actions=(action,), resources=("*",))
        for action in ("rds:*", "ec2:*")
    )
    assert papers(GRANT, ADMIN_TICKET, roles=rows).explain(aws("ModifyDBInstance", "db", "rds")).explained


@pytest.mark.parametrize(
    "event",
    [
        aws("CreateAccessKey", "backdoor"),
        aws("CreateUser", "backdoor"),
        aws("AttachUserPolicy", "acorn-bot"),
        aws("UpdateAssumeRolePolicy", "acorn-role"),
    ],
)
def test_what_outlasts_a_grant_is_not_explained_by_it(event: AuditEvent) -> None:
    assert not papers(GRANT, ADMIN_TICKET).explain(event).explained


def test_nobody_gives_themselves_rights_on_paper() -> None:
    own = changed(CHANGE, resource="priya")
    assert papers(own).explain(aws("CreateAccessKey", "priya")).explained, "keys are rotated so"
    assert not papers(own).explain(aws("AttachUserPolicy", "priya")).explained
    asked = changed(ACCESS, requester="hugo", subject="jin", approver="hugo")
    assert (
        not papers(changed(asked, approver="mira")).explain(okta(ADDED, target="jin", group="sales-readers")).explained
    )


@pytest.mark.parametrize("policy", ["AdministratorAccess", "IAMFullAccess"])
def test_an_administrator_s_rights_are_left_to_people(policy: str) -> None:
    asked = {"requestParameters": {"policyArn": f"arn:aws:iam::aws:policy/{policy}"}}
    assert not papers(CHANGE).explain(aws(record=asked)).explained
    asked = {"requestParameters": {"policyArn": "arn:aws:iam::aws:policy/AmazonSQSFullAccess"}}
    assert papers(CHANGE).explain(aws(record=asked)).explained


def test_nobody_and_nothing_declared() -> None:
    assert papers().explain(aws()) == NONE
    stranger = aws(actor=Principal("aws:someone", "someone"))
    assert papers(changed(CHANGE, requester="aws:someone", subject="aws:someone")).explain(stranger) == NONE
    former = changed(CHANGE, requester="gone", subject="gone")
    assert (
        wrong(papers(former).explain(aws(actor=Principal("gone", "gone", "human", "verified"))))
        == "gone is not with the company"
    )


def test_a_record_that_cannot_be_read_explains_nothing_and_harms_nobody() -> None:
    filed = papers(CHANGE)
    for raw in (b"no json", b"[1]", b'{"userIdentity": 3, "requestParameters": []}'):
        assert not filed.explain(aws(raw=raw)).explained


def test_the_newest_of_much_paper_is_weighed() -> None:
    old = [changed(CHANGE, id=f"CHG-{n}", window_start=Moment(NOON - n * MINUTE), resource="x") for n in range(2, 400)]
    assert papers(*old, changed(CHANGE, window_start=Moment(NOON - MINUTE))).explain(aws()).explained
    assert len(papers(*old)._concerning(aws())) == MOST_WEIGHED


def test_paper_is_compiled_once_for_a_context() -> None:
    context = company(CHANGE)
    assert papers_of(context) is papers_of(context)
    assert papers_of(company(CHANGE)) is not papers_of(context)


@given(st.permutations(["requester", "subject", "approver", "status", "resource", "system"]), st.integers(1, 6))
def test_paper_never_fits_when_anything_of_it_is_another_s(fields: list[str], count: int) -> None:
    others = {"status": "rejected", "resource": "acorn-other", "system": "okta", "approver": "priya"}
    others |= {"requester": "liam", "subject": "liam"}
    spoilt: Ticket = changed(CHANGE, **{field: others[field] for field in fields[:count]})
    fit = papers(spoilt).explain(aws())
    honest = {*fields[:count]} <= {"requester"} or {*fields[:count]} <= {"subject"}
    assert bool(fit.explained) == honest
