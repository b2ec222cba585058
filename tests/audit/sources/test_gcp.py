from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.context import EMPTY
from audit.event import parse_rfc3339
from audit.sources import gcp
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.reader import read
from tests.audit.sources.golden import ARRIVAL, Golden, assert_golden, normalised


def entry(method: str, granted: Any = True, who: Any = None, **payload: Any) -> dict[str, Any]:
    return {
        "insertId": "i-1",
        "logName": "projects/acme-prod/logs/cloudaudit.googleapis.com%2Factivity",
        "timestamp": "2026-03-02T08:15:30.123456789Z",
        "receiveTimestamp": "2026-03-02T08:15:31Z",
        "resource": {"type": "gce_instance", "labels": {"project_id": "acme-prod"}},
        "protoPayload": {
            "methodName": method,
            "serviceName": "compute.googleapis.com",
            "resourceName": "projects/acme-prod/zones/z/instances/web1",
            "authenticationInfo": {"principalEmail": "Ada@acme.example"} if who is None else who,
            "authorizationInfo": [{"granted": granted, "permission": "compute.instances.delete"}],
            "requestMetadata": {"callerIp": "198.51.100.7", "callerSuppliedUserAgent": "gcloud/400"},
        }
        | payload,
    }


ADA = ("ada@acme.example", "Ada@acme.example", "human", "asserted")
ROBOT = "deploy@acme-prod.iam.gserviceaccount.com"

GOLDEN: Golden = {
    "an instance is deleted": (
        entry("v1.compute.instances.delete"),
        {
            "id": "i-1",
            "time": parse_rfc3339("2026-03-02T08:15:30.123456Z"),
            "action": "v1.compute.instances.delete",
            "outcome": "success",
            "actor": ADA,
            "target": None,
            "resource": ("gce_instance", "projects/acme-prod/zones/z/instances/web1"),
            "source_ip": "198.51.100.7",
            "user_agent": "gcloud/400",
            "account": "acme-prod",
        },
    ),
    "permission denied": (entry("x", None, status={"code": 7, "message": "PERMISSION_DENIED"}), {"outcome": "denied"}),
    "not granted": (entry("x", False), {"outcome": "denied"}),
    "a call that went well though an optional check was not granted": (
        entry("x", authorizationInfo=[{"granted": True}, {"granted": False}], status={"code": 5}),
        {"outcome": "failure"},
    ),
    "gone wrong": (entry("x", status={"code": 5, "message": "NOT_FOUND"}), {"outcome": "failure"}),
    "an empty status is a good one": (entry("x", None, status={}), {"outcome": "success"}),
    "nothing said of the end": (entry("x", authorizationInfo=[]), {"outcome": "unknown"}),
    "inside Google's network": (
        entry("x", requestMetadata={"callerIp": "private", "callerSuppliedUserAgent": None}),
        {"source_ip": None, "user_agent": None},
    ),
    "a service account": (
        entry("x", who={"principalEmail": ROBOT}),
        {"actor": (ROBOT, ROBOT, "service", "asserted")},
    ),
    "a subject without an address": (
        entry("x", who={"principalSubject": "principal://pool/subject/ada"}),
        {"actor": ("principal://pool/subject/ada",) * 2 + ("unknown", "asserted")},
    ),
    "nobody in particular": (
        entry("io.k8s.get", who={"principalEmail": "system:anonymous"}),
        {"actor": ("system:anonymous", "system:anonymous", "unknown", "anonymous")},
    ),
    "somebody takes a service account's place": (
        entry("google.iam.credentials.v1.GenerateAccessToken", resourceName=f"projects/-/serviceAccounts/{ROBOT}"),
        {"target": (ROBOT, ROBOT, "service", "asserted")},
    ),
    "a role is granted": (
        entry(
            "SetIamPolicy",
            serviceData={
                "policyDelta": {
                    "bindingDeltas": [
                        {"action": "REMOVE", "member": "user:eve@acme.example"},
                        {"action": "ADD", "member": "user:Bob@acme.example", "role": "roles/owner"},
                    ]
                }
            },
        ),
        {"target": ("bob@acme.example", "Bob@acme.example", "human", "asserted")},
    ),
    "a failed sign-in proves nobody": (
        entry("google.login.LoginService.loginFailure", None),
        {"outcome": "failure", "actor": (*ADA[:3], "anonymous")},
    ),
    "Google warns about an account": (
        entry(
            "google.login.LoginService.suspiciousLogin",
            None,
            {},
            metadata={"event": [{"parameter": [{"name": "affected_email_address", "value": "ada@acme.example"}]}]},
        ),
        {"outcome": "unknown", "actor": ("ada@acme.example", "ada@acme.example", "human", "anonymous")},
    ),
    "an organization's log": (
        entry("x") | {"logName": "organizations/123/logs/a", "resource": {"type": "organization"}},
        {"account": "123", "resource": ("organization", "projects/acme-prod/zones/z/instances/web1")},
    ),
    "only received": (
        {key: value for key, value in entry("x").items() if key != "timestamp"},
        {"time": parse_rfc3339("2026-03-02T08:15:31Z")},
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("gcp", *GOLDEN[name])


def test_the_envelope() -> None:
    assert len(read("gcp", orjson.dumps({"entries": [entry("x"), entry("y")]}), ARRIVAL, EMPTY)) == 2


@pytest.mark.parametrize("foreign", [{}, {"protopayload": {"methodName": "x"}}, {"protoPayload": {"methodName": {}}}])
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="methodName"):
        gcp.normalise(foreign, b"{}")


def test_a_bare_entry_has_nobody_and_no_time() -> None:
    event = normalised("gcp", {"protoPayload": {"methodName": "x"}})
    assert (event.actor.identity, event.time, event.resource, event.account) == ("anonymous", UNTIMED, None, None)
