from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import AuditEvent, Principal, Resource
from rules.access_asked import (
    SSO,
    WHOLE,
    Asked,
    arn_names,
    asked,
    asked_by_name,
    assumed_role,
    level,
    more_names,
    plain_aws,
)
from tests.rules.accessing import PROD, call, git, okta, request, sso


@pytest.mark.parametrize(
    ("host", "name", "action"),
    [
        ("s3.amazonaws.com", "GetObject", "s3:getobject"),
        ("s3.amazonaws.com", "ListObjectsV2", "s3:listbucket"),
        ("s3.amazonaws.com", "HeadObject", "s3:getobject"),
        ("monitoring.amazonaws.com", "GetMetricData", "cloudwatch:getmetricdata"),
        ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", "lambda:updatefunctioncode"),
        ("tagging.amazonaws.com", "GetResources", "tag:getresources"),
        (None, "X", "unknown:x"),
    ],
)
def test_a_call_is_named_as_the_permission_it_takes(host: object, name: str, action: str) -> None:
    event = AuditEvent("e", 0, "cloudtrail", name, "success", Principal("ada", "Ada"))
    found = asked(event, {"eventSource": host})
    assert found is not None
    assert found.action == action


def test_a_role_may_spell_a_call_as_the_trail_does_or_as_iam_does() -> None:
    assert plain_aws("lambda:ListFunctions20150331") == plain_aws("Lambda:ListFunctions") == "lambda:listfunctions"
    assert plain_aws("s3:ListObjects") == plain_aws("s3:ListBucket")
    assert plain_aws("*:Describe*") == "*:describe*"


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (call(), Asked("aws", PROD, "s3:getobject", "acorn-web-assets")),
        (call(action="ec2:DescribeVpcs", on=""), Asked("aws", PROD, "ec2:describevpcs", "")),
        (request("ada", "get", "pods/log", "web/api"), Asked("k8s", "", "get pods/log", "web")),
        (request("ada", "list", "nodes", "*"), Asked("k8s", "", "list nodes", WHOLE)),
        (git("ada", "git.push", "Acorn/X"), Asked("github", "", "git.push", "acorn/x")),
        (git("ada", "org.add_member"), Asked("github", "", "org.add_member", WHOLE)),
        (sso("ada", "Jira"), Asked("okta", "", SSO, "jira")),
        (okta("ada", "user.lifecycle.create"), Asked("okta", "", "user.lifecycle.create", "")),
    ],
)
def test_the_table_of_each_source(seen: tuple, what: Asked) -> None:
    assert asked(*seen) == what


@pytest.mark.parametrize(
    "seen",
    [
        call(action="signin:ConsoleLogin", on=""),
        request("ada", "get", "path", "/api/v1").__class__(request("ada", "get", "path", "/healthz")),
        request("ada", "create", "selfsubjectaccessreviews", "*"),
        git("ada", "user.login"),
        okta("ada", "user.session.start"),
        okta("ada", "policy.evaluate_sign_on"),
        okta("ada", "user.mfa.factor.activate"),
        okta("okta:system", "user.lifecycle.create", kind="service"),
    ],
)
def test_roles_do_not_speak_of_everything(seen: tuple) -> None:
    assert asked(*seen) is None


def test_a_factor_reset_for_somebody_else_is_an_administrators_doing() -> None:
    event, record = okta("ada", "user.mfa.factor.reset_all")
    other = AuditEvent("e", 0, "okta", event.action, "success", event.actor, Principal("bob", "Bob"))
    assert asked(event, record) is None
    assert asked(other, record) == Asked("okta", "", event.action, "")


def test_paths_of_the_cluster_that_are_no_discovery_are_asked_about() -> None:
    assert asked(*request("ada", "get", "path", "/metrics")) == Asked("k8s", "", "get /metrics", WHOLE)


@pytest.mark.parametrize(
    ("action", "needed"),
    [("git.clone", 0), ("pull_request_review.submit", 0), ("git.push", 1), ("pull_request.merge", 1),
     ("protected_branch.destroy", 2), ("made.up", 2)],
)  # fmt: skip
def test_a_github_action_takes_a_level(action: str, needed: int) -> None:
    assert level(action) == needed


def test_other_names_come_from_the_record() -> None:
    record = {
        "resources": [{"ARN": "arn:aws:s3:::b/k"}, {"arn": "x"}, 7],
        "requestParameters": {"bucketName": "b", "key": "k"},
    }
    event, _ = call(on="b")
    assert more_names(event, record) == ["arn:aws:s3:::b/k", "x", "b/k"]
    assert more_names(event, {"resources": "no list", "requestParameters": None}) == []


@pytest.mark.parametrize("broken", [{}, {"userIdentity": []}, {"userIdentity": {"sessionContext": 1}},
                                    {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": 3}}}}])  # fmt: skip
def test_a_record_without_role_session_has_none(broken: dict) -> None:
    assert assumed_role(broken) == ("", "")


@pytest.mark.parametrize(
    ("arn", "names"),
    [
        ("*", ["*"]),
        ("arn:aws:s3:::b", ["b"]),
        ("arn:aws:s3:::b/*", ["b/*", "b"]),
        ("arn:aws:s3:::b/secret/*", ["b/secret/*"]),
        ("arn:aws:ec2:eu:1:instance/i-1", ["i-1"]),
        ("arn:aws:lambda:eu:1:function:web-*", ["web-*"]),
        ("arn:aws:dynamodb:eu:1:table/t", ["t"]),
        ("arn:aws:logs:eu:1:log-group:/aws/x:*", ["/aws/x"]),
        ("arn:aws:secretsmanager:eu:1:secret:web/db-??????".replace("?", "*"), ["web/db*"]),
        ("arn:aws:ssm:eu:1:parameter/web/*", ["/web/*"]),
        ("arn:aws:kms:eu:1:key/uuid", ["uuid"]),
        ("arn:aws:iam::1:role/path/name", ["name"]),
    ],
)
def test_an_arn_by_the_names_the_trail_knows_it_by(arn: str, names: list[str]) -> None:
    assert [name for name in arn_names(arn) if name != arn or arn == "*"] == names


def test_people_name_what_they_mean() -> None:
    assert asked_by_name("s3:GetObject", "b", PROD) == Asked("aws", PROD, "s3:getobject", "b")
    assert asked_by_name("get pods/log", "") == Asked("k8s", "", "get pods/log", WHOLE)
    assert asked_by_name("git.push", "Acorn/X") == Asked("github", "", "git.push", "acorn/x")
    assert asked_by_name(SSO, "Jira") == Asked("okta", "", SSO, "jira")
    assert asked_by_name("sudo", "web-1", system="linux") == Asked("linux", "", "sudo", "web-1")


_KEYS = [
    "userIdentity",
    "sessionContext",
    "sessionIssuer",
    "resources",
    "ARN",
    "requestParameters",
    "key",
    "eventSource",
]
_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["userIdentity", "resources", "requestParameters", "eventSource"]), _JSON),
       st.sampled_from(["cloudtrail", "kubernetes", "github", "okta", "linux"]), st.text(max_size=20),
       st.none() | st.builds(Resource, st.text(max_size=10), st.text(max_size=20)))  # fmt: skip
def test_no_record_breaks_it(record: dict, source: str, action: str, thing: Resource | None) -> None:
    event = AuditEvent("e", 0, source, action, "success", Principal("ada", "Ada"), resource=thing)
    asked(event, record)
    more_names(event, record)
    assumed_role(record)
