from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.context import EMPTY
from audit.event import parse_rfc3339
from audit.sources import entra
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.reader import read
from tests.audit.sources.golden import ARRIVAL, Golden, assert_golden, normalised

TENANT = "11111111-2222-3333-4444-555555555555"


def sign_in(code: int = 0, category: str = "SignInLogs", top: Any = None, **properties: Any) -> dict[str, Any]:
    return {
        "time": "2026-03-02T08:15:30.1234567Z",
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "category": category,
        "tenantId": TENANT,
        "resultType": str(code),
        "callerIpAddress": "198.51.100.7",
        "identity": "Ada Lovelace",
        "location": "AT",
        "properties": {
            "id": "si-1",
            "createdDateTime": "2026-03-02T08:14:00+00:00",
            "userDisplayName": "Ada Lovelace",
            "userPrincipalName": "Ada@Acme.example",
            "userId": "oid-ada",
            "appId": "app-1",
            "appDisplayName": "Azure Portal",
            "ipAddress": "198.51.100.7",
            "status": {"errorCode": code},
            "userAgent": "Mozilla/5.0",
            "location": {"countryOrRegion": "AT", "city": "Graz"},
            "authenticationRequirement": "singleFactorAuthentication",
            "autonomousSystemNumber": 64500,
            "servicePrincipalId": "",
            "sessionId": "s-1",
        }
        | properties,
    } | (top or {})


def audit(action: str, targets: Any, **properties: Any) -> dict[str, Any]:
    return {
        "time": "2026-03-02T08:15:30Z",
        "operationName": action,
        "category": "AuditLogs",
        "tenantId": TENANT,
        "callerIpAddress": "<null>",
        "properties": {
            "id": "Directory_1",
            "result": "success",
            "resultReason": "",
            "activityDisplayName": action,
            "activityDateTime": "2026-03-02T08:15:30Z",
            "initiatedBy": {
                "user": {"id": "oid-ada", "userPrincipalName": "ada@acme.example", "ipAddress": "192.0.2.1"}
            },
            "targetResources": targets,
            "additionalDetails": [{"key": "User-Agent", "value": "Graph/1.0"}],
        }
        | properties,
    }


BOB = {"id": "oid-bob", "displayName": "Bob Dahl", "type": "User", "userPrincipalName": "Bob@acme.example"}
ROLE = {"id": "oid-role", "displayName": "Global Administrator", "type": "Role"}
SERVICE = {"userPrincipalName": "", "userId": None, "servicePrincipalId": "sp-1", "servicePrincipalName": "deployer"}

GOLDEN: Golden = {
    "a sign-in": (
        sign_in(),
        {
            "id": "si-1",
            "time": parse_rfc3339("2026-03-02T08:15:30.123456Z"),
            "action": "Sign-in activity",
            "outcome": "success",
            "actor": ("ada@acme.example", "Ada Lovelace", "human", "asserted"),
            "target": None,
            "resource": ("application", "Azure Portal"),
            "source_ip": "198.51.100.7",
            "country": "AT",
            "asn": 64500,
            "user_agent": "Mozilla/5.0",
            "session_id": "s-1",
            "account": TENANT,
        },
    ),
    "a second factor": (
        sign_in(authenticationRequirement="multiFactorAuthentication"),
        {"actor": ("ada@acme.example", "Ada Lovelace", "human", "verified")},
    ),
    "a wrong password proves nobody": (
        sign_in(50126),
        {"outcome": "failure", "actor": ("ada@acme.example", "Ada Lovelace", "human", "anonymous")},
    ),
    "conditional access says no to a right password": (
        sign_in(53003),
        {"outcome": "denied", "actor": ("ada@acme.example", "Ada Lovelace", "human", "asserted")},
    ),
    "a required second factor that was not shown is not verified": (
        sign_in(50074, authenticationRequirement="multiFactorAuthentication"),
        {"outcome": "failure", "actor": ("ada@acme.example", "Ada Lovelace", "human", "asserted")},
    ),
    "a service principal": (
        sign_in(category="ServicePrincipalSignInLogs", **SERVICE),
        {"actor": ("sp-1", "deployer", "service", "asserted")},
    ),
    "a managed identity has no address": (
        sign_in(category="ManagedIdentitySignInLogs", top={"callerIpAddress": None}, **SERVICE | {"ipAddress": ""}),
        {"source_ip": None},
    ),
    "the Graph API's signIn": (
        {
            "id": "g-1",
            "createdDateTime": "2026-03-02T08:15:30Z",
            "userPrincipalName": "ada@acme.example",
            "userDisplayName": "Ada",
            "ipAddress": "192.0.2.1",
            "status": {"errorCode": 50126},
        },
        {
            "id": "g-1",
            "action": "Sign-in activity",
            "outcome": "failure",
            "time": parse_rfc3339("2026-03-02T08:15:30Z"),
            "source_ip": "192.0.2.1",
        },
    ),
    "somebody becomes an administrator": (
        audit("Add member to role", [BOB, ROLE]),
        {
            "id": "Directory_1",
            "action": "Add member to role",
            "outcome": "success",
            "actor": ("ada@acme.example", "ada@acme.example", "human", "asserted"),
            "target": ("bob@acme.example", "Bob Dahl", "human", "asserted"),
            "resource": ("Role", "Global Administrator"),
            "source_ip": "192.0.2.1",
            "user_agent": "Graph/1.0",
        },
    ),
    "a change to oneself has no target": (
        audit("Update user", [{"id": "oid-ada", "type": "User", "userPrincipalName": "ADA@acme.example"}]),
        {"target": None, "resource": ("User", "ADA@acme.example")},
    ),
    "in a session that the log names": (
        audit("Update user", [BOB], initiatedBy={"user": {"id": "o"}, "linkableIdentifiers": {"sessionId": "s-2"}}),
        {"session_id": "s-2"},
    ),
    "an application acts": (
        audit("Update user", [BOB], initiatedBy={"app": {"displayName": "Sync", "servicePrincipalId": "sp-9"}}),
        {
            "actor": ("sp-9", "Sync", "service", "asserted"),
            "target": ("bob@acme.example", "Bob Dahl", "human", "asserted"),
        },
    ),
    "not allowed": (
        audit("Add user", [BOB], result="failure", resultReason="Microsoft.Online.UnauthorizedAccessException"),
        {"outcome": "denied"},
    ),
    "gone wrong": (audit("Add user", [BOB], result="failure", resultReason="quota"), {"outcome": "failure"}),
    "the Graph API's directoryAudit": (
        audit("Add user", [BOB])["properties"],
        {"action": "Add user", "target": ("bob@acme.example", "Bob Dahl", "human", "asserted"), "account": None},
    ),
    "a suspected user did nothing": (
        {
            "time": "2/9/2026 9:54:27 AM",
            "operationName": "User Risk Detection",
            "category": "UserRiskEvents",
            "tenantId": TENANT,
            "properties": {
                "id": "r-1",
                "riskEventType": "passwordSpray",
                "ipAddress": "192.0.2.9",
                "userId": "oid-ada",
                "userPrincipalName": "ada@acme.example",
                "location": {"countryOrRegion": "US"},
            },
        },
        {
            "id": "r-1",
            "time": parse_rfc3339("2026-02-09T09:54:27Z"),
            "outcome": "unknown",
            "actor": ("ada@acme.example", "ada@acme.example", "human", "anonymous"),
            "resource": ("risk", "passwordSpray"),
            "source_ip": "192.0.2.9",
            "country": "US",
        },
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("entra", *GOLDEN[name])


def test_a_risky_user_is_not_the_records_own_id() -> None:
    """Its id is the user's: two changes of one user's risk are two events."""
    records = [
        {"operationName": "Risky user", "category": "RiskyUsers", "properties": {"id": "oid-ada", "riskState": state}}
        for state in ("atRisk", "dismissed")
    ]
    first, second = (normalised("entra", record) for record in records)
    assert first.id != second.id
    assert first.actor.id == second.actor.id == "oid-ada"


def test_the_envelopes() -> None:
    """Event Hubs' {"records": []}, and a page of the Graph API."""
    hub = {"records": [sign_in(), audit("Add user", [BOB])]}
    assert len(read("entra", orjson.dumps(hub), ARRIVAL, EMPTY)) == 2
    page = {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#auditLogs/signIns", "value": [sign_in()] * 3}
    assert len(read("entra", orjson.dumps(page), ARRIVAL, EMPTY)) == 3
    assert len(read("entra", orjson.dumps(sign_in() | {"value": [1, 2]}), ARRIVAL, EMPTY)) == 1


@pytest.mark.parametrize("foreign", [{}, {"category": 7}, {"eventName": "x"}, {"createdDateTime": "2026-01-01"}])
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="Entra"):
        entra.normalise(foreign, b"{}")


def test_a_bare_record_has_nobody_and_no_time() -> None:
    event = normalised("entra", {"category": "SignInLogs"})
    assert (event.actor.identity, event.time, event.outcome, event.resource) == ("anonymous", UNTIMED, "unknown", None)
    with pytest.raises(Unreadable, match="operationName"):
        entra.normalise({"category": "AuditLogs"}, b"{}")
