from __future__ import annotations

from typing import Any

import pytest

from audit.event import parse_rfc3339
from audit.sources import azure
from audit.sources.fields import Unreadable
from tests.audit.sources.golden import Golden, assert_golden, normalised

SUBSCRIPTION = "/SUBSCRIPTIONS/AAAA-BBBB"
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
OID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
AMR = "http://schemas.microsoft.com/claims/authnmethodsreferences"


def activity(result: str = "Success", claims: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "time": "2026-03-02T08:15:30.5Z",
        "resourceId": f"{SUBSCRIPTION}/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.COMPUTE/VIRTUALMACHINES/WEB1",
        "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE",
        "category": "Administrative",
        "resultType": result,
        "resultSignature": "Succeeded.",
        "callerIpAddress": "198.51.100.7:50123",
        "identity": {"claims": {UPN: "Ada@acme.example", "name": "Ada Lovelace"} if claims is None else claims},
    } | fields


def vault(code: int, signature: str = "OK") -> dict[str, Any]:
    return activity(
        category="AuditEvent",
        operationName="SecretGet",
        resultSignature=signature,
        identity={"claim": {"oid": "oid-1", "appid": "app-1", "appidacr": "1"}},
        properties={
            "id": "https://kv.vault.azure.net/secrets/db",
            "httpStatusCode": code,
            "clientInfo": "curl/8",
        },
    )


GOLDEN: Golden = {
    "an administrator's call": (
        activity(),
        {
            "time": parse_rfc3339("2026-03-02T08:15:30.5Z"),
            "action": "MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE",
            "outcome": "success",
            "actor": ("ada@acme.example", "Ada Lovelace", "human", "asserted"),
            "resource": (
                "microsoft.compute/virtualmachines",
                "/subscriptions/aaaa-bbbb/resourcegroups/rg/providers/microsoft.compute/virtualmachines/web1",
            ),
            "source_ip": "198.51.100.7",
            "account": "aaaa-bbbb",
        },
    ),
    "with a second factor": (
        activity(claims={UPN: "ada@acme.example", AMR: "pwd,mfa"}),
        {"actor": ("ada@acme.example", "ada@acme.example", "human", "verified")},
    ),
    "a person from outside the directory": (
        activity(claims={UPN: "live.com#eve@outlook.example"}),
        {"actor": ("eve@outlook.example", "eve@outlook.example", "human", "asserted")},
    ),
    "a call that only begins": (activity("Start", resultSignature="Started."), {"outcome": "unknown"}),
    "a call that fails": (activity("Failure", resultSignature="Failed.Conflict"), {"outcome": "failure"}),
    "a call that is forbidden": (activity("Failure", resultSignature="Failed.Forbidden"), {"outcome": "denied"}),
    "a service principal": (
        activity(
            identity={
                "claims": {OID: "sp-1", "appid": "app-1"},
                "authorization": {"evidence": {"principalType": "ServicePrincipal", "principalId": "sp-1"}},
            }
        ),
        {"actor": ("sp-1", "sp-1", "service", "asserted")},
    ),
    "a secret is read": (
        vault(200),
        {
            "outcome": "success",
            "actor": ("oid-1", "oid-1", "service", "asserted"),
            "resource": ("microsoft.keyvault/object", "https://kv.vault.azure.net/secrets/db"),
            "user_agent": "curl/8",
        },
    ),
    "a secret that is not there, called a success": (vault(404, "Not Found"), {"outcome": "failure"}),
    "a secret one may not read, called a success": (vault(403), {"outcome": "denied"}),
    "a refusal told by the signature alone": (vault(200, "Forbidden"), {"outcome": "denied"}),
    "the REST form": (
        {
            "eventTimestamp": "2026-03-02T08:15:30Z",
            "operationName": {"value": "Microsoft.Network/networkSecurityGroups/write", "localizedValue": "..."},
            "status": {"value": "Succeeded"},
            "caller": "ada@acme.example",
            "claims": {"ipaddr": "192.0.2.1"},
            "eventDataId": "e-1",
            "resourceId": "/subscriptions/aaaa/resourceGroups/rg",
            "category": {"value": "Administrative"},
        },
        {
            "id": "e-1",
            "action": "Microsoft.Network/networkSecurityGroups/write",
            "outcome": "success",
            "actor": ("ada@acme.example", "ada@acme.example", "human", "asserted"),
            "source_ip": "192.0.2.1",
            "resource": ("subscription", "/subscriptions/aaaa/resourcegroups/rg"),
            "account": "aaaa",
        },
    ),
    "a call with a token whose id is padded": (
        activity(properties={"signInActivityId": "tok1=="}),
        {"session_id": "tok1"},
    ),
    "a call with no token's id": (activity(properties={"signInActivityId": "=="}), {"session_id": None}),
    "a call of the Graph API": (
        activity(
            category="MicrosoftGraphActivityLogs",
            operationName="Microsoft Graph Activity",
            identity=None,
            resultType=None,
            resultSignature="403",
            properties={"requestId": "q-1", "responseStatusCode": 403, "userId": "oid-ada", "userAgent": "py"},
        ),
        {"id": "q-1", "outcome": "denied", "actor": ("oid-ada", "oid-ada", "human", "asserted"), "user_agent": "py"},
    ),
    "an operational log": (
        {
            "EventName": "Retrieve ConsumerGroup",
            "EventTimeString": "11/3/2020 9:06:42 PM +00:00",
            "Status": "Succeeded",
            "Caller": "Portal",
            "callerIpAddress": "XX:2001:db8::1",
            "resourceId": "",
        },
        {
            "time": parse_rfc3339("2020-11-03T21:06:42Z"),
            "action": "Retrieve ConsumerGroup",
            "outcome": "success",
            "actor": ("Portal", "Portal", "unknown", "asserted"),
            "source_ip": None,
            "resource": None,
        },
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("entra", *GOLDEN[name])


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("8/22/2022 6:11:52 PM", "2022-08-22T18:11:52Z"),
        ("8/22/2022 12:00:00 AM", "2022-08-22T00:00:00Z"),
        ("12/1/2022 12:00:00 PM", "2022-12-01T12:00:00Z"),
        ("2022-08-22T18:11:52.1234567Z", "2022-08-22T18:11:52.123456Z"),
    ],
)
def test_moments(written: str, time: str) -> None:
    assert azure.moment(written) == parse_rfc3339(time)


@pytest.mark.parametrize(
    "written", ["13/22/2022 6:11:52 PM", "2/30/2022 6:11:52 PM", "8/22/2022", 7, "²/2/2022 1:11:52 PM"]
)
def test_no_moments(written: object) -> None:
    with pytest.raises(Unreadable, match="time"):
        azure.moment(written)


def test_an_operation_must_be_named() -> None:
    with pytest.raises(Unreadable, match="operationName"):
        azure.activity({"operationName": {"value": None}}, b"{}")


def test_two_records_of_one_call_are_two_events() -> None:
    """Start and Success share the correlation id, so it is no id of ours."""
    begun, done = (normalised("entra", activity(result, correlationId="c")) for result in ("Start", "Success"))
    assert begun.id != done.id
