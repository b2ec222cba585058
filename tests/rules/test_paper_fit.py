"""The single steps of weighing paper: windows, evidence, what a role permits."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_schema import Conditions, End, Moment, Role, RoleChange
from audit.event import AuditEvent, Resource
from rules.paper_fit import NEW, evidence, short, window
from rules.paper_state import OPEN_ENDED
from tests.rules.papers import (
    ADMIN,
    ADMIN_TICKET,
    CHANGE,
    DAY,
    GRANT,
    HOUR,
    INCIDENT,
    NOON,
    WINDOW,
    aws,
    changed,
    k8s,
    papers,
    times,
)

hours = st.integers(-9, 9).map(lambda number: Moment(NOON + number * HOUR))


@given(hours, st.none() | hours, st.none() | hours)
def test_paper_never_counts_before_it_was_opened_and_approved(opened: Moment, approved: Moment, start: Moment) -> None:
    begin, end = window(changed(CHANGE, opened=opened, approved_at=approved, window_start=start, window_end=None))
    assert begin == max(one for one in (opened, approved, start) if one is not None)
    assert end == begin + OPEN_ENDED


def test_grants_and_tests_have_windows_of_their_own() -> None:
    assert window(GRANT) == (GRANT.start, GRANT.expires)
    assert window(WINDOW) == (WINDOW.start, WINDOW.end)
    assert window(changed(CHANGE, window_end=End(NOON)))[1] == NOON


def test_evidence_is_one_line_that_names_paper_people_and_time() -> None:
    assert evidence(CHANGE) == "change CHG-1 approved by mira until 2026-03-04 13:00 UTC"
    assert evidence(changed(INCIDENT, approver="")) == "incident INC-1 opened by priya until 2026-03-04 13:00 UTC"
    assert evidence(changed(GRANT, ticket="")) == "role aws-admin granted by mira until 2026-03-04 13:00 UTC"
    assert evidence(changed(WINDOW, ticket="")) == "pentest pentest-1 from 192.0.2.224/27 until 2026-03-04 13:00 UTC"


def test_times_are_told_to_the_minute() -> None:
    assert short(NOON + 59_999_999) == "2026-03-04 12:00 UTC"


AWS = Role(name="r", system="aws", account="prod", actions=("rds:Modify*",), resources=("acorn-*",))
MODIFY = aws("ModifyDBInstance", "acorn-db", "rds")


def permits(role: Role, event: AuditEvent) -> bool:
    """Whether a grant of the role, in order otherwise, explains the event."""
    grant = changed(GRANT, role=role.name, system=role.system)
    return papers(grant, changed(ADMIN_TICKET, system=role.system), roles=(role,)).explain(event).explained != ""


@pytest.mark.parametrize(
    ("changes", "event", "permitted"),
    [
        ({}, MODIFY, True),
        ({"account": "111122223333"}, MODIFY, True),
        ({"account": ""}, MODIFY, True),
        ({"account": "data"}, MODIFY, False),
        ({"actions": ("*",)}, MODIFY, True),
        ({"actions": ()}, MODIFY, False),
        ({"resources": ()}, MODIFY, True),
        ({"resources": ("other-*",)}, MODIFY, False),
        ({"resources": ("*",)}, aws("ModifyDBInstance", "", "rds", resource=None), True),
        ({}, aws("DeleteDBInstance", "acorn-db", "rds"), False),
        ({"conditions": Conditions(hours="08:00-18:00")}, MODIFY, True),
        ({"conditions": Conditions(hours="18:00-20:00")}, MODIFY, False),
    ],
)
def test_a_grant_explains_what_its_role_permits(changes: dict[str, object], event: AuditEvent, permitted: bool) -> None:
    assert permits(changed(AWS, **changes), event) is permitted


CLUSTER = Role(name="c", system="k8s", verbs=("get", "patch"), resources=("deploy*",), namespaces=("payments",))
CODE = Role(name="g", system="github", repos=("acorn/payments-*",), permission="write")


def push(repo: str, action: str = "git.push") -> AuditEvent:
    raw = orjson.dumps({"action": action, "repo": repo, "actor": "priya"})
    thing = Resource("repository", repo)
    return changed(k8s(), source="github", action=action, resource=thing, raw=raw)


@pytest.mark.parametrize(
    ("role", "event", "permitted"),
    [
        (CLUSTER, k8s("patch", "deployments", "payments/api"), True),
        (CLUSTER, k8s("delete", "deployments", "payments/api"), False),
        (CLUSTER, k8s("patch", "secrets", "payments/api"), False),
        (CLUSTER, k8s("patch", "deployments", "checkout/payments"), False),
        (CODE, push("acorn/payments-api"), True),
        (CODE, push("acorn/search-api"), False),
        (CODE, push("acorn/payments-api", "repo.destroy"), False),
    ],
)
def test_a_grant_explains_what_its_role_permits_elsewhere(role: Role, event: AuditEvent, permitted: bool) -> None:
    assert permits(role, event) is permitted


NEW_ROLE = RoleChange(user="priya", system="aws", role="aws-admin", effective=Moment(NOON - 3 * DAY), ticket="ACC-9")
APPROVED = changed(ADMIN_TICKET, **times(NOON - 4 * DAY, NOON - 3 * DAY))


def test_a_new_role_makes_what_only_it_permits_less_strange_and_explains_nothing() -> None:
    fit = papers(NEW_ROLE, APPROVED).explain(MODIFY)
    assert not fit.explained
    assert fit.lowers
    assert fit.kinds == {"new"}
    assert fit.doubts[0] == "not explained by role aws-admin held since 2026-03-01 12:00 UTC (ACC-9)"


@pytest.mark.parametrize(
    "rows",
    [
        (NEW_ROLE,),
        (changed(NEW_ROLE, ticket=""), APPROVED),
        (NEW_ROLE, changed(APPROVED, status="rejected")),
        (NEW_ROLE, changed(APPROVED, approver="priya")),
        (changed(NEW_ROLE, user="mira"), APPROVED),
        (changed(NEW_ROLE, effective=Moment(NOON + DAY)), APPROVED),
        (changed(NEW_ROLE, effective=Moment(NOON - NEW - HOUR)), APPROVED),
        (changed(NEW_ROLE, system="okta"), APPROVED),
    ],
)
def test_a_change_of_roles_that_does_not_stand_lowers_nothing(rows: tuple[Any, ...]) -> None:
    assert not papers(*rows).explain(MODIFY).lowers


def test_what_an_old_role_permits_too_is_not_new() -> None:
    old = changed(NEW_ROLE, role="r", effective=Moment(NOON - 60 * DAY))
    assert not papers(NEW_ROLE, old, APPROVED, roles=(ADMIN, AWS)).explain(MODIFY).lowers
    assert papers(NEW_ROLE, old, APPROVED, roles=(ADMIN, changed(AWS, actions=("s3:*",)))).explain(MODIFY).lowers


def test_a_new_role_is_no_reason_for_what_was_refused_or_done_from_elsewhere() -> None:
    company_of = papers(NEW_ROLE, APPROVED)
    assert not company_of.explain(changed(MODIFY, outcome="denied")).lowers
    assert not company_of.explain(changed(MODIFY, country="NL", source_ip="203.0.113.9")).lowers


def test_a_ticket_says_more_than_a_new_role() -> None:
    refused = changed(CHANGE, resource="acorn-db", status="rejected")
    assert papers(NEW_ROLE, APPROVED, refused).explain(MODIFY).kinds == {"refused"}
