from __future__ import annotations

from typing import Any

import pytest

from audit.event import parse_rfc3339
from audit.sources import kubernetes
from audit.sources.fields import UNTIMED, Unreadable
from tests.audit.sources.golden import Golden, assert_golden, normalised

ALLOW = {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}
FORBID = {"authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": ""}
ADA: dict[str, Any] = {
    "username": "ada@acme.example",
    "groups": ["developers", "system:authenticated"],
    "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1f2e"]},
}
PAYROLL = {"resource": "secrets", "namespace": "payroll", "name": "db-password", "apiVersion": "v1"}


def record(verb: str, thing: Any = PAYROLL, code: int | None = 200, user: Any = ADA, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "91afc40c-f1ef-4956-b85a-7e12d09511e9",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/payroll/secrets/db-password?timeout=5s",
        "verb": verb,
        "user": user,
        "sourceIPs": ["198.51.100.7", "10.0.0.1"],
        "userAgent": "kubectl/v1.32.5",
        "objectRef": thing,
        "responseStatus": {"metadata": {}, "code": code} if code else None,
        "requestReceivedTimestamp": "2026-03-02T08:15:30.123456Z",
        "stageTimestamp": "2026-03-02T08:15:31.000000Z",
        "annotations": ALLOW,
    } | fields


BINDING = {"resource": "clusterrolebindings", "name": "backdoor", "apiGroup": "rbac.authorization.k8s.io"}
MACHINE = {"username": "system:serviceaccount:payroll:runner", "groups": ["system:serviceaccounts"]}
GOLDEN: Golden = {
    "a secret is read": (
        record("get"),
        {
            "id": "91afc40c-f1ef-4956-b85a-7e12d09511e9",
            "time": parse_rfc3339("2026-03-02T08:15:30.123456Z"),
            "action": "get",
            "outcome": "success",
            "actor": ("ada@acme.example", "ada@acme.example", "human", "asserted"),
            "target": None,
            "resource": ("secrets", "payroll/db-password"),
            "source_ip": "198.51.100.7",
            "user_agent": "kubectl/v1.32.5",
            "session_id": "JTI=1f2e",
            "account": None,
        },
    ),
    "all secrets of all namespaces": (
        record("list", {"resource": "secrets", "apiVersion": "v1"}),
        {"resource": ("secrets", "*")},
    ),
    "with a client certificate": (
        record("get", user=ADA | {"extra": {"authentication.kubernetes.io/credential-id": ["X509SHA256=9f86"]}}),
        {"session_id": None},
    ),
    "on EKS, in an AWS session": (
        record("get", user=ADA | {"extra": {"accessKeyId": ["ASIAEXAMPLE"], "arn": ["arn:aws:sts::1:x"]}}),
        {"session_id": "ASIAEXAMPLE"},
    ),
    "on EKS, with a lasting key": (
        record("get", user=ADA | {"extra": {"accessKeyId": ["AKIA1"]}}),
        {"session_id": None},
    ),
    "forbidden": (record("get", code=403, annotations=FORBID), {"outcome": "denied"}),
    "forbidden, the code alone says so": (record("get", code=403, annotations=None), {"outcome": "denied"}),
    "not found": (record("get", code=404), {"outcome": "failure"}),
    "allowed, and no code": (record("watch", code=None), {"outcome": "success"}),
    "nothing said": (record("watch", code=None, annotations=None), {"outcome": "unknown"}),
    "a shell in a pod, as it starts": (
        record("create", {"resource": "pods", "subresource": "exec", "namespace": "payroll", "name": "api-0"}, 101)
        | {"stage": "ResponseStarted"},
        {"outcome": "success", "resource": ("pods/exec", "payroll/api-0")},
    ),
    "nobody signed in": (
        record("list", code=403, user={"username": "system:anonymous", "groups": ["system:unauthenticated"]}),
        {"actor": ("system:anonymous", "system:anonymous", "unknown", "anonymous"), "session_id": None},
    ),
    "a service account": (
        record("create", user=MACHINE),
        {"actor": (MACHINE["username"], MACHINE["username"], "service", "asserted")},
    ),
    "posing as somebody else": (
        record("get", impersonatedUser={"username": "system:admin", "groups": ["system:masters"]}),
        {"target": ("system:admin", "system:admin", "service", "asserted")},
    ),
    "a role for a service account": (
        record(
            "create",
            BINDING,
            201,
            requestObject={"subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": "payroll"}]},
        ),
        {
            "resource": ("clusterrolebindings", "backdoor"),
            "target": (
                "system:serviceaccount:payroll:runner",
                "system:serviceaccount:payroll:runner",
                "service",
                "asserted",
            ),
        },
    ),
    "a pod named by its body": (
        record("create", {"resource": "pods", "namespace": "dev"}, 201, requestObject={"metadata": {"name": "shell"}}),
        {"resource": ("pods", "dev/shell")},
    ),
    "a path that is no object": (
        record("get", None, requestURI="/metrics?x=1"),
        {"resource": ("path", "/metrics")},
    ),
    "a crash": (record("create", code=None) | {"stage": "Panic"}, {"outcome": "failure"}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("kubernetes", *GOLDEN[name])


def test_the_stages_of_one_deed() -> None:
    """RequestReceived is no deed yet; the later stages share the deed's id, so the second counts as a repeat."""
    assert kubernetes.normalise(record("get") | {"stage": "RequestReceived"}, b"{}") == []
    started, complete = (
        normalised("kubernetes", record("get") | {"stage": f"Response{end}"}) for end in ("Started", "Complete")
    )
    assert started.id == complete.id


def test_an_unauthenticated_caller_is_anonymous_whatever_he_calls_himself() -> None:
    event = normalised("kubernetes", record("get", code=401))
    assert (event.outcome, event.actor.identity) == ("denied", "anonymous")


def test_without_a_user_or_a_time() -> None:
    event = normalised("kubernetes", {"verb": "get"})
    assert (event.time, event.actor.identity, event.resource) == (UNTIMED, "anonymous", None)


@pytest.mark.parametrize(
    "foreign",
    [
        {},
        {"kind": "Event", "reason": "Pulling", "involvedObject": {}},
        {"jsonPayload": {"kind": "Event"}},
        {"verb": None},
        {"verb": {}},
    ],
)
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="verb"):
        kubernetes.normalise(foreign, b"{}")
