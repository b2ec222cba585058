"""The single steps of weighing paper: windows, evidence, what a role permits."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_schema import End, Moment, Role
from audit.event import AuditEvent
from rules.paper_deed import Deed, deed_of
from rules.paper_fit import OPEN_ENDED, evidence, permits, short, window
from tests.rules.papers import CHANGE, GRANT, HOUR, INCIDENT, NOON, WINDOW, aws, changed, company, k8s


def deed(event: AuditEvent) -> Deed:
    context = company()
    person = context.person("priya")
    assert person is not None
    return deed_of(event, orjson.loads(event.raw), person, context)


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


@pytest.mark.parametrize(
    ("changes", "event", "permitted"),
    [
        ({}, MODIFY, True),
        ({"account": "111122223333"}, MODIFY, True),
        ({"account": ""}, MODIFY, True),
        ({"account": "data"}, MODIFY, False),
        ({"actions": ("*",)}, MODIFY, True),
        ({"actions": ()}, MODIFY, False),
        ({"resources": ()}, MODIFY, False),
        ({"resources": ("*",)}, aws("ModifyDBInstance", "", "rds", resource=None), True),
        ({}, aws("ModifyDBInstance", "", "rds", resource=None), False),
        ({}, aws("DeleteDBInstance", "acorn-db", "rds"), False),
    ],
)
def test_what_a_role_permits(changes: dict[str, object], event: AuditEvent, permitted: bool) -> None:
    assert permits(changed(AWS, **changes), deed(event)) is permitted


CLUSTER = Role(name="c", system="k8s", verbs=("get", "patch"), resources=("deploy*",), namespaces=("payments",))


@pytest.mark.parametrize(
    ("event", "permitted"),
    [
        (k8s("patch", "deployments", "payments/api"), True),
        (k8s("delete", "deployments", "payments/api"), False),
        (k8s("patch", "secrets", "payments/api"), False),
        (k8s("patch", "deployments", "checkout/payments"), False),
        (k8s("get", "deployments", resource=None), False),
    ],
)
def test_what_a_role_permits_in_the_cluster(event: AuditEvent, permitted: bool) -> None:
    assert permits(CLUSTER, deed(event)) is permitted
