"""Attempts to have an attack explained: paper that is real, and a deed that is not quite what it was given for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audit.context import Context
from audit.context_schema import Declared, End, Moment, Person, Ticket
from audit.event import AuditEvent, Principal
from rules.paper import Papers
from tests.rules.papers import (
    ACCESS,
    ADMIN,
    ADMIN_TICKET,
    CHANGE,
    GRANT,
    HOUR,
    INCIDENT,
    MINUTE,
    NOON,
    PEOPLE,
    RESET,
    SHIFT,
    TEST,
    WINDOW,
    aws,
    changed,
    k8s,
    okta,
    papers,
    wrong,
)

ADDED = "group.user_membership.add"
GROUP = "sales-readers"


def in_role(role: str, **asked: Any) -> dict[str, Any]:
    issuer = {"type": "Role", "userName": role, "arn": f"arn:aws:iam::111122223333:role/{role}"}
    return {"userIdentity": {"sessionContext": {"sessionIssuer": issuer}}, "requestParameters": asked}


@pytest.mark.parametrize("pattern", ["a*", "**a**", "*-*", "*/*", "arn:*", "arn:aws:*", "arn:aws:iam::*", "*:*"])
def test_a_pattern_for_everything_is_as_vague_as_a_star(pattern: str) -> None:
    named = {"resources": [{"ARN": "arn:aws:iam::111122223333:role/acorn-platform-api-role"}]}
    fit = papers(changed(CHANGE, resource=pattern)).explain(aws(record=named))
    assert wrong(fit) == "CHG-1 names no resource"
    assert not fit.lowers


@pytest.mark.parametrize("pattern", ["a*", "*w*", "*"])
def test_the_scope_of_a_test_is_not_everything(pattern: str) -> None:
    probe = aws(actor=Principal("zane", "z", "human", "verified"), source_ip="192.0.2.230")
    assert papers(WINDOW, TEST).explain(probe).explained
    assert not papers(changed(WINDOW, scope=(pattern,)), TEST).explain(probe).explained


def test_a_session_name_chosen_by_whoever_assumes_a_role_is_no_proof_of_a_person() -> None:
    chosen = aws(actor=Principal("priya", "priya@acorn.example", "human", "asserted"))
    assert wrong(papers(CHANGE).explain(chosen)) == "it is not certain that priya did it"


def test_the_role_one_works_in_does_not_stand_for_what_is_done_in_it() -> None:
    worked = in_role("acorn-platform-deployer")
    fit = papers(CHANGE).explain(aws("TerminateInstances", "i-finance", "ec2", worked))
    assert wrong(fit) == "CHG-1 is about acorn-platform-*"
    named = papers(changed(CHANGE, resource="acorn-platform-deployer"))
    assert named.explain(aws("TerminateInstances", "i-finance", "ec2", worked)).explained, "the ticket names the role"
    for action in ("AttachRolePolicy", "CreateAccessKey", "CreateUser"):
        assert not named.explain(aws(action, "finance", record=worked)).explained


def test_the_role_one_works_in_is_oneself() -> None:
    own = aws(record=in_role("acorn-platform-api-role"))
    assert wrong(papers(CHANGE).explain(own)) == "priya gave themselves rights"
    assert papers(CHANGE).explain(aws(record=in_role("another"))).explained


def test_a_copy_is_also_of_where_it_comes_from() -> None:
    def copy(source: str) -> AuditEvent:
        asked = {"bucketName": "acorn-platform-x", "x-amz-copy-source": source}
        return aws("CopyObject", "acorn-platform-x", "s3", {"requestParameters": asked})

    assert papers(CHANGE).explain(copy("acorn-platform-y/a.csv")).explained
    assert not papers(CHANGE).explain(copy("finance-payroll/all.csv")).explained


def test_all_instances_of_a_call_have_to_be_meant() -> None:
    def ends(*names: str) -> AuditEvent:
        rows = {"items": [{"instanceId": name} for name in names]}
        return aws("TerminateInstances", names[0], "ec2", {"requestParameters": {"instancesSet": rows}})

    filed = papers(changed(CHANGE, resource="i-0123*"))
    assert filed.explain(ends("i-01234", "i-01235")).explained
    assert not filed.explain(ends("i-01234", "i-finance")).explained


def test_rights_are_not_explained_by_the_name_of_who_gets_them() -> None:
    filed = papers(changed(ACCESS, resource="liam@acorn.example"))
    fit = filed.explain(okta(ADDED, group="super-admins"))
    assert wrong(fit) == "ACC-1 is about liam@acorn.example"
    assert not fit.lowers, "which rights they are is the whole question"
    change = changed(CHANGE, system="entra", resource="liam")
    assert not papers(change).explain(okta("Add member to role", "priya", group="Helpdesk", source="entra")).explained


def test_rights_for_a_user_are_those_the_ticket_names() -> None:
    def attached(policy: str) -> AuditEvent:
        asked = {"userName": "liam", "policyArn": f"arn:aws:iam::aws:policy/{policy}"}
        return aws("AttachUserPolicy", "liam", "iam", {"requestParameters": asked}, actor=JIN, target=LIAM)

    filed = papers(changed(ACCESS, system="aws", resource="ReadOnlyAccess"))
    assert filed.explain(attached("ReadOnlyAccess")).explained
    assert not filed.explain(attached("AmazonS3FullAccess")).explained


JIN, LIAM = Principal("jin", "jin", "human", "verified"), Principal("liam", "liam")


def test_nobody_who_left_is_let_in_again_on_paper() -> None:
    filed = papers(changed(RESET, subject="gone", requester="liam", resource=""))
    fit = filed.explain(okta("user.lifecycle.reactivate", target="gone"))
    assert wrong(fit) == "gone, whom it is for, is not with the company"


def test_a_role_of_the_same_name_in_an_account_of_others_is_another() -> None:
    def assumed(account: str) -> AuditEvent:
        return aws("AssumeRole", f"arn:aws:iam::{account}:role/acorn-platform-deployer", "sts")

    assert papers(CHANGE).explain(assumed("111122223333")).explained
    assert wrong(papers(CHANGE).explain(assumed("999988887777"))) == "CHG-1 is about acorn-platform-*"
    in_full = changed(CHANGE, resource="arn:aws:iam::999988887777:role/acorn-platform-deployer")
    assert papers(in_full).explain(assumed("999988887777")).explained


def test_who_profits_does_not_approve() -> None:
    gets = okta(ADDED, target="hugo", group=GROUP)
    asked = changed(ACCESS, subject="hugo", approver="hugo")
    assert wrong(papers(asked).explain(gets)) == "ACC-1 was approved by hugo"


def test_a_second_account_of_the_same_human_does_not_approve() -> None:
    second = Person(id="priya-admin", owner="priya", team="sre", country="DE")

    def explained(row: Any, event: AuditEvent, *more: Ticket) -> bool:
        tickets = (row, *more) if isinstance(row, Ticket) else more
        grants = () if isinstance(row, Ticket) else (row,)
        users = (*PEOPLE, second)
        return bool(Papers(Context(Declared(users=users, roles=(ADMIN,), tickets=tickets, temporary_grants=grants)))
                    .explain(event).explained)  # fmt: skip

    assert explained(CHANGE, aws())
    assert not explained(changed(CHANGE, approver="priya-admin"), aws())
    assert not explained(changed(CHANGE, approver="priya", requester="priya-admin"), by("priya-admin"))
    modify = aws("ModifyDBInstance", "db", "rds", account=None)
    assert explained(GRANT, modify, ADMIN_TICKET)
    assert not explained(changed(GRANT, granted_by="priya-admin"), modify, ADMIN_TICKET)


def by(actor: str) -> AuditEvent:
    return aws(actor=Principal(actor, actor, "human", "verified"))


@pytest.mark.parametrize("ticket", [{"requester": "liam", "subject": "liam"}, {"system": "okta"}])
def test_a_grant_does_not_rest_on_a_ticket_about_something_else(ticket: dict[str, Any]) -> None:
    modify = aws("ModifyDBInstance", "db", "rds")
    assert papers(GRANT, ADMIN_TICKET).explain(modify).explained
    assert not papers(GRANT, changed(ADMIN_TICKET, **ticket)).explain(modify).explained


def test_what_opens_a_thing_to_outsiders_is_left_to_people() -> None:
    trust = orjson.dumps({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}}]})
    asked = {"requestParameters": {"roleName": "acorn-platform-api-role", "policyDocument": trust.decode()}}
    fit = papers(CHANGE).explain(aws("UpdateAssumeRolePolicy", record=asked))
    assert wrong(fit) == "access for account 999988887777 is left to people"


def test_a_letter_that_only_looks_the_same_is_another() -> None:
    filed = papers(changed(ACCESS, resource="marketing"))
    assert filed.explain(okta(ADDED, group="MARKETING")).explained
    for name in ("mar\u212aeting", "m\u0430rketing", "marketing\u200b", "marketing\x00", "marketing "):
        assert not filed.explain(okta(ADDED, group=name)).explained


Spoil = Callable[[Any], Any]


def spoils(**fields: Any) -> Spoil:
    return lambda row: changed(row, **fields)


EARLY, LATE = Moment(NOON - MINUTE), Moment(NOON + MINUTE)
ANY_TICKET: tuple[Spoil, ...] = (
    spoils(approver=""), spoils(approver="robot"), spoils(approver="gone"), spoils(approver="Mira "),
    spoils(approver="nobody"), spoils(status="rejected"), spoils(status="cancelled"), spoils(status="on hold"),
    spoils(status="approved?"), spoils(status="not approved"), spoils(opened=LATE), spoils(approved_at=LATE),
    spoils(window_start=LATE), spoils(window_end=End(EARLY)),
    lambda row: changed(row, approver=row.requester), lambda row: changed(row, approver=row.subject),
    spoils(resource=""), spoils(resource="*"), spoils(resource="* *"), spoils(resource="x"),
    lambda row: changed(row, resource=row.resource.replace("a", "\u0430")),
    lambda row: changed(row, resource=row.resource + "?"),
    spoils(system="gitlab"), lambda row: changed(row, type="pentest"), spoils(requester="zane", subject="zane"),
)  # fmt: skip
DEED: tuple[Spoil, ...] = (
    spoils(time=NOON - 2 * HOUR), spoils(time=NOON + 2 * HOUR), spoils(time=0), spoils(time=2**53),
    spoils(outcome="denied"), spoils(outcome="failure"), spoils(country="NL", source_ip="203.0.113.9"),
    spoils(action="x"), spoils(action=""), spoils(resource=None, target=None), spoils(source="gitlab"),
    *(spoils(actor=Principal(name, name, "human", "verified")) for name in
      ("zane", "gone", "robot", "Priya", "aws:priya", "pr\u0456ya", "")),
    lambda event: changed(event, actor=changed(event.actor, identity="asserted")),
    lambda event: changed(event, actor=changed(event.actor, identity="ambiguous")),
    lambda event: changed(event, actor=changed(event.actor, identity="anonymous")),
)  # fmt: skip
FITTING: list[tuple[Ticket, AuditEvent, tuple[Any, ...]]] = [
    (CHANGE, aws(), ()),
    (RESET, okta("user.mfa.factor.reset_all"), ()),
    (ACCESS, okta(ADDED, group=GROUP), ()),
    (INCIDENT, k8s(), (SHIFT,)),
]


@pytest.mark.parametrize(("ticket", "event", "more"), FITTING)
def test_what_is_spoilt_below_fits(ticket: Ticket, event: AuditEvent, more: tuple[Any, ...]) -> None:
    assert papers(ticket, *more).explain(event).explained


@given(
    st.sampled_from(FITTING),
    st.lists(st.sampled_from(ANY_TICKET), max_size=2),
    st.lists(st.sampled_from(DEED), max_size=1),
)
def test_paper_of_which_anything_is_taken_away_never_explains(
    fitting: tuple[Ticket, AuditEvent, tuple[Any, ...]], worse: list[Spoil], other: list[Spoil]
) -> None:
    ticket, event, more = fitting
    for spoil in worse:
        ticket = spoil(ticket)
    for spoil in other:
        event = spoil(event)
    assume(ticket.type != "helpdesk" or ticket.resource)  # which may be about its subject alone
    explained = bool(papers(ticket, *more).explain(event).explained)
    assert not explained or (not worse and not other), (ticket, event)
