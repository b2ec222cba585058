"""Administrators' rights and access for outsiders, as each vendor's records tell of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import AuditEvent
from rules.paper_deed import action_of
from rules.paper_limits import administers, lets_in
from tests.rules.papers import aws, changed, company, k8s, okta

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
OTHERS = "999988887777"
GROUPS = "http://acs.amazonaws.com/groups/global"


def policy(*statements: dict[str, Any]) -> str:
    return orjson.dumps({"Version": "2012-10-17", "Statement": [*statements]}).decode()


def gives(source: str, record: dict[str, Any]) -> str:
    return administers(changed(okta("x"), source=source), record)


def aws_gives(**asked: Any) -> str:
    return gives("cloudtrail", {"requestParameters": asked})


def opened(action: str, service: str, asked: dict[str, Any]) -> str:
    """To whom a call opens a thing of the company's."""
    event = aws(action, "thing", service, {"requestParameters": asked})
    record = orjson.loads(event.raw)
    return lets_in(event, action_of(event, record), record, company())


@pytest.mark.parametrize(
    ("statement", "all_"),
    [
        (EVERYTHING, True),
        ({"Effect": "Allow", "Action": ["s3:Get*", "IAM:*"], "Resource": ["*"]}, True),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::acorn-*"}, False),
        ({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, False),
    ],
)
def test_a_policy_written_inline_that_allows_everything(statement: dict[str, Any], all_: bool) -> None:
    said = "a policy that allows everything" if all_ else ""
    assert aws_gives(policyDocument=policy({"Effect": "Deny"}, statement)) == said
    assert aws_gives(inlinePolicy=policy(statement)) == said
    assert aws_gives(policyDocument=orjson.dumps({"Statement": statement}).decode()) == said, "one needs no list"


def test_the_vendors_policies_for_administrators() -> None:
    assert aws_gives(policyArn="arn:aws:iam::aws:policy/AdministratorAccess") == "AdministratorAccess"
    assert aws_gives(managedPolicyArn="arn:aws:iam::aws:policy/job-function/PowerUserAccess") == "PowerUserAccess"
    assert aws_gives(policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess") == ""


@pytest.mark.parametrize(
    ("body", "role"),
    [
        ({"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}}, "cluster-admin"),
        ({"roleRef": {"kind": "ClusterRole", "name": "view"}}, ""),
        ({"rules": [{"verbs": ["get"], "resources": ["pods"]}, {"verbs": ["*"], "resources": ["*"]}]}, "everything"),
        ({"rules": [{"verbs": ["*"], "resources": ["pods"]}]}, ""),
    ],
)
def test_a_cluster_s_administrators(body: dict[str, Any], role: str) -> None:
    said = gives("kubernetes", {"requestObject": body})
    assert bool(said) == bool(role)
    assert role in said


@pytest.mark.parametrize(
    ("verb", "kind", "body", "administers_"),
    [
        ("create", "rolebindings", {}, True),
        ("patch", "clusterrolebindings", {"requestObject": {"subjects": []}}, True),
        ("patch", "rolebindings", {"responseObject": {"roleRef": {"name": "admin"}}}, True),
        ("patch", "rolebindings", {"responseObject": {"roleRef": {"name": "view"}}}, False),
        ("delete", "rolebindings", {}, False),
        ("create", "deployments", {}, False),
    ],
)
def test_a_binding_of_which_the_log_does_not_tell_the_role_may_be_any(
    verb: str, kind: str, body: dict[str, Any], administers_: bool
) -> None:
    assert bool(gives("kubernetes", {"verb": verb, "objectRef": {"resource": kind}, **body})) is administers_


def test_the_administrators_of_directories_and_projects() -> None:
    change = {"displayName": "Role.DisplayName", "newValue": '"Global Administrator"'}
    target = {"type": "User", "modifiedProperties": [change]}
    assert gives("entra", {"targetResources": [target]}) == "Global Administrator"
    assert gives("entra", {"properties": {"targetResources": [{"displayName": "Privileged Role Administrator"}]}})
    assert not gives("entra", {"targetResources": [{"displayName": "Reports Reader"}]})
    super_admin = {"name": "ROLE_NAME", "value": "_SEED_ADMIN_ROLE"}
    assert (
        gives("google_workspace", {"events": [{"name": "ASSIGN_ROLE", "parameters": [super_admin]}]}) == "Super Admin"
    )
    assert gives("gcp", bound("roles/owner")) == "roles/owner"
    assert not gives("gcp", bound("roles/viewer"))
    assert not gives("gcp", bound("roles/owner", action="REMOVE"))


def bound(role: str, member: str = "user:eve@acorn.example", action: str = "ADD") -> dict[str, Any]:
    deltas = [{"action": action, "role": role, "member": member}]
    return {"protoPayload": {"serviceData": {"policyDelta": {"bindingDeltas": deltas}}}}


@pytest.mark.parametrize(
    ("action", "service", "asked", "who"),
    [
        (
            "UpdateAssumeRolePolicy",
            "iam",
            {"policyDocument": policy({"Effect": "Allow", "Principal": "*"})},
            "everybody",
        ),
        (
            "PutBucketPolicy",
            "s3",
            {"bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}}]}},
            "everybody",
        ),
        ("PutBucketPolicy", "s3", {"bucketPolicy": {"Statement": [{"Effect": "Deny", "Principal": "*"}]}}, ""),
        (
            "PutBucketPolicy",
            "s3",
            {"bucketPolicy": {"Statement": {"Effect": "Allow", "Principal": "*", "Condition": {"Bool": {}}}}},
            "",
        ),
        ("PutBucketPolicy", "s3", {"bucketPolicy": {"Statement": [{"Effect": "Allow", "Resource": "*"}]}}, ""),
        ("PutBucketAcl", "s3", {"x-amz-acl": "public-read"}, "everybody"),
        ("PutBucketAcl", "s3", {"AccessControlPolicy": {"Grantee": {"URI": f"{GROUPS}/AllUsers"}}}, "everybody"),
        (
            "PutBucketPublicAccessBlock",
            "s3",
            {"PublicAccessBlockConfiguration": {"BlockPublicAcls": False}},
            "everybody",
        ),
        ("PutBucketPublicAccessBlock", "s3", {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}, ""),
        (
            "ModifySnapshotAttribute",
            "ec2",
            {"createVolumePermission": {"add": {"items": [{"group": "all"}]}}},
            "everybody",
        ),
        (
            "ModifySnapshotAttribute",
            "ec2",
            {"createVolumePermission": {"add": {"items": [{"userId": OTHERS}]}}},
            f"account {OTHERS}",
        ),
        ("ModifyDBSnapshotAttribute", "rds", {"valuesToAdd": ["all"]}, "everybody"),
        ("AddPermission20150331v2", "lambda", {"principal": "*"}, "everybody"),
        ("AddPermission20150331v2", "lambda", {"principal": "s3.amazonaws.com"}, ""),
        (
            "PutKeyPolicy",
            "kms",
            {"policy": policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OTHERS}:root"}})},
            f"account {OTHERS}",
        ),
        (
            "PutKeyPolicy",
            "kms",
            {"policy": policy({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}})},
            "",
        ),
        ("RunInstances", "ec2", {"minCount": "all", "x": OTHERS}, ""),
    ],
)
def test_to_whom_a_call_opens_a_thing(action: str, service: str, asked: dict[str, Any], who: str) -> None:
    assert opened(action, service, asked) == who


def test_a_project_opened_to_everybody() -> None:
    event = changed(okta("SetIamPolicy"), source="gcp")
    assert lets_in(event, "SetIamPolicy", bound("roles/viewer", "allUsers"), company()) == "everybody"
    assert lets_in(event, "SetIamPolicy", bound("roles/viewer"), company()) == ""


JUNK: Any = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4) | st.sampled_from(["{", '{"Statement":[1]}', "*", "all"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["requestParameters", "policyDocument", "Statement", "Effect", "Principal", "AWS", "requestObject", "rules",
             "roleRef", "events", "parameters", "protoPayload", "serviceData", "policyDelta", "bindingDeltas",
             "properties", "targetResources", "modifiedProperties", "newValue"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
SOURCES = st.sampled_from([aws("PutKeyPolicy", service="kms"), k8s(), *(changed(okta("x"), source=one) for one in
                           ("entra", "google_workspace", "gcp", "okta"))])  # fmt: skip


@given(SOURCES, st.dictionaries(st.sampled_from(["requestParameters", "events", "properties", "protoPayload"]), JUNK))
def test_whatever_stands_in_a_record_raises_nothing(event: AuditEvent, record: dict[str, Any]) -> None:
    assert isinstance(administers(event, record), str)
    assert isinstance(lets_in(event, "kms:PutKeyPolicy", record, company()), str)


def test_what_is_endless_is_looked_at_for_a_while_only() -> None:
    deep: Any = "all"
    for _ in range(1_000):
        deep = [deep]
    assert "many" in opened("PutBucketAcl", "s3", {"x": ["no"] * 100_000}), "which does not mean that it is harmless"
    event = aws("PutBucketAcl", "thing", "s3")
    assert "many" in lets_in(event, "s3:PutBucketAcl", {"requestParameters": {"x": deep}}, company())
