"""Which role a grant gives to whom, read from the vendors' own records."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.event import AuditEvent
from audit.sources.reader import Reject, read
from rules.granted import names_given, receivers, systems_reached
from tests.rules.dutiful import NOON, company, joined, okta

BINDING = {
    "roleRef": {"kind": "ClusterRole", "name": "payers"},
    "subjects": [
        {"kind": "Group", "name": "all"},
        {"kind": "User", "name": "ada@x.com"},
        {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"},
        {"kind": "ServiceAccount", "name": "unknown"},
        "nonsense",
    ],
}


def seen(source: str, record: dict[str, Any]) -> AuditEvent:
    (found,) = read(source, orjson.dumps(record), NOON, company())
    assert not isinstance(found, Reject)
    (event,) = found
    return event


def test_a_binding_gives_a_cluster_role_to_each_it_names() -> None:
    about = {"resource": "rolebindings", "namespace": "payments", "name": "b"}
    record = {
        "auditID": "a", "stage": "ResponseComplete", "verb": "create", "user": {"username": "op@x.com"},
        "objectRef": about, "requestObject": BINDING, "requestReceivedTimestamp": "2026-03-04T12:00:00Z",
    }  # fmt: skip
    event = seen("kubernetes", record)
    assert receivers(event, record, company()) == ("ada", "bot")
    assert names_given(event, record) == ("payers",)
    assert systems_reached(event) == ("k8s",)


@pytest.mark.parametrize("subjects", [None, "ada", [{"kind": "User"}], [{"kind": "User", "name": 7}]])
def test_what_is_no_list_of_subjects_gives_nothing(subjects: Any) -> None:
    event, _ = joined()
    k8s = AuditEvent("e", NOON, "kubernetes", "create", "success", event.actor)
    record = {"requestObject": {"subjects": subjects, "roleRef": "x"}}
    assert (receivers(k8s, record, company()), names_given(k8s, record)) == ((), ())


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"userName": "ada", "groupName": "release"}, ("release",)),
        ({"userName": "ada", "policyArn": "arn:aws:iam::aws:policy/job/Billing"}, ("Billing",)),
        ({"userName": "ada", "policyName": "inline", "policyDocument": "{}"}, ("inline",)),
        ({"permissionSetArn": "arn:aws:sso:::permissionSet/ssoins-1/ps-2", "principalType": "USER"}, ("ps-2",)),
        ({"userName": 7, "groupName": ["release"]}, ()),
        (None, ()),
    ],
)
def test_aws_names_the_group_or_the_policy(asked: Any, names: tuple[str, ...]) -> None:
    record = {
        "eventID": "a", "eventTime": "2026-03-04T12:00:00Z", "eventSource": "iam.amazonaws.com",
        "eventName": "AddUserToGroup", "requestParameters": asked, "recipientAccountId": "1",
        "userIdentity": {"type": "IAMUser", "userName": "op", "arn": "arn:aws:iam::1:user/op"},
    }  # fmt: skip
    assert names_given(seen("cloudtrail", record), record) == names


def test_github_names_the_team() -> None:
    record = {"action": "team.add_member", "actor": "op", "user": "ada-x", "team": "acorn/payers", "@timestamp": 1}
    event = seen("github", record)
    assert set(names_given(event, record)) == {"acorn/payers", "payers"}
    assert receivers(event, record, company()) == ("github:ada-x",)
    assert systems_reached(event) == ("github",)


def test_okta_names_the_group_and_the_badge_and_reaches_into_every_system() -> None:
    event, _ = joined(group="release")
    assert set(names_given(event, {})) == {"release"}
    assert systems_reached(event) == ()
    record = {"debugContext": {"debugData": {"privilegeGranted": "Super administrator, App administrator"}}}
    badge, _ = okta("helper", "user.account.privilege.grant")
    assert names_given(badge, record) == ("Super administrator", "App administrator")


@pytest.mark.parametrize("wrapped", [True, False])
def test_entra_names_group_and_role_among_what_changed(wrapped: bool) -> None:
    changed = [
        {"displayName": "Group.ObjectID", "newValue": '"9c1e"'},
        {"displayName": "Group.DisplayName", "oldValue": None, "newValue": '"payers"'},
        "nonsense",
    ]
    body = {
        "activityDisplayName": "Add member to group", "result": "success", "id": "a",
        "activityDateTime": "2026-03-04T12:00:00Z",
        "initiatedBy": {"user": {"userPrincipalName": "op@x.com"}},
        "targetResources": [
            {"type": "User", "userPrincipalName": "ada@x.com", "modifiedProperties": changed},
            {"type": "Group", "id": "9c1e", "displayName": None},
        ],
    }  # fmt: skip
    record = {"category": "AuditLogs", "operationName": "Add member to group", "properties": body} if wrapped else body
    event = seen("entra", {**record, "time": "2026-03-04T12:00:00Z"})
    assert "payers" in names_given(event, record)
    assert receivers(event, record, company()) == ("ada",)
    assert systems_reached(event) == ()


def test_google_names_a_group_by_its_address() -> None:
    parameters = [{"name": "USER_EMAIL", "value": "ada@x.com"}, {"name": "GROUP_EMAIL", "value": "payers@x.com"}]
    record = {
        "id": {"time": "2026-03-04T12:00:00Z", "uniqueQualifier": "1", "applicationName": "admin"},
        "actor": {"email": "op@x.com"}, "events": [{"name": "ADD_GROUP_MEMBER", "parameters": parameters}],
    }  # fmt: skip
    event = seen("google_workspace", record)
    assert names_given(event, record) == ("payers@x.com", "payers")
    assert receivers(event, record, company()) == ("ada",)


def test_who_gives_to_themselves_receives() -> None:
    record = {"actor": {"id": "00u1"}, "target": [{"type": "User", "id": "00u1"}]}
    event, _ = okta("helper", "group.user_membership.add")
    assert receivers(event, record, company()) == ("helper",)
    assert receivers(event, {}, company()) == ()
