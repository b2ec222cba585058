from __future__ import annotations

from typing import Any

import pytest

from audit.event import parse_rfc3339
from audit.sources import okta
from audit.sources.fields import UNTIMED, Unreadable
from tests.audit.sources.golden import Golden, assert_golden, normalised

ADA = {
    "id": "00u1ada",
    "type": "User",
    "alternateId": "Ada@Acme.example",
    "displayName": "Ada Lovelace",
    "detailEntry": None,
}
BOB = {
    "id": "00u2bob",
    "type": "User",
    "alternateId": "bob@acme.example",
    "displayName": "Bob Dahl",
    "detailEntry": None,
}
ADMINS = {"id": "00g3", "type": "UserGroup", "alternateId": "unknown", "displayName": "Admins", "detailEntry": None}
PAYROLL = {"id": "0oa4", "type": "AppInstance", "alternateId": "Payroll", "displayName": "Payroll (SAML)"}


def record(event_type: str, result: str = "SUCCESS", actor: Any = ADA, **fields: Any) -> dict[str, Any]:
    return {
        "actor": actor,
        "client": {
            "userAgent": {"rawUserAgent": "Mozilla/5.0", "os": "Mac OS X", "browser": "CHROME"},
            "zone": "null",
            "device": "Computer",
            "id": None,
            "ipAddress": "198.51.100.7",
            "geographicalContext": {"city": "Graz", "state": "Styria", "country": "Austria", "postalCode": "8010"},
        },
        "authenticationContext": {"authenticationStep": 0, "credentialType": None, "externalSessionId": "idx-1"},
        "displayMessage": "something happened",
        "eventType": event_type,
        "outcome": {"result": result, "reason": None},
        "published": "2026-03-02T08:15:30.123Z",
        "securityContext": {"asNumber": 64500, "asOrg": "Example", "isp": "Example", "isProxy": False},
        "severity": "INFO",
        "debugContext": {"debugData": {"requestUri": "/api/v1/x"}},
        "transaction": {"type": "WEB", "id": "t1", "detail": {}},
        "uuid": "c0ffee00-0000-11ef-8000-000000000001",
        "version": "0",
        "request": {"ipChain": [{"ip": "198.51.100.7", "version": "V4", "source": None}]},
        "target": None,
    } | fields


SYSTEM = {"id": "spr1", "type": "SystemPrincipal", "alternateId": "system@okta.com", "displayName": "Okta System"}
APP = {"id": "0oa9", "type": "PublicClientAppEntity", "alternateId": "unknown", "displayName": "Provisioner"}
STRANGER = {"id": "unknown", "type": "User", "alternateId": "admin", "displayName": "unknown"}

GOLDEN: Golden = {
    "a sign-in": (
        record("user.session.start", target=[PAYROLL, ADA]),
        {
            "id": "c0ffee00-0000-11ef-8000-000000000001",
            "time": parse_rfc3339("2026-03-02T08:15:30.123Z"),
            "action": "user.session.start",
            "outcome": "success",
            "actor": ("ada@acme.example", "Ada Lovelace", "human", "asserted"),
            "target": None,
            "resource": ("AppInstance", "Payroll (SAML)"),
            "source_ip": "198.51.100.7",
            "country": "AT",
            "asn": 64500,
            "user_agent": "Mozilla/5.0",
            "session_id": "idx-1",
            "account": None,
        },
    ),
    "a failed sign-in proves nobody": (
        record("user.session.start", "FAILURE", outcome={"result": "FAILURE", "reason": "INVALID_CREDENTIALS"}),
        {"outcome": "failure", "actor": ("ada@acme.example", "Ada Lovelace", "human", "anonymous")},
    ),
    "a failed sign-in of a name nobody has": (
        record("user.session.start", "FAILURE", STRANGER),
        {"actor": ("admin", "admin", "human", "anonymous")},
    ),
    "a policy says no": (
        record(
            "policy.evaluate_sign_on", "DENY", target=[{"type": "PolicyEntity", "displayName": "Default", "id": "p"}]
        ),
        {"outcome": "denied", "resource": ("PolicyEntity", "Default")},
    ),
    "a policy says yes": (record("policy.evaluate_sign_on", "ALLOW"), {"outcome": "success"}),
    "a policy asks for more": (record("policy.evaluate_sign_on", "CHALLENGE"), {"outcome": "unknown"}),
    "a second factor": (
        record("user.authentication.auth_via_mfa"),
        {"actor": ("ada@acme.example", "Ada Lovelace", "human", "verified")},
    ),
    "somebody becomes an administrator": (
        record("group.user_membership.add", target=[BOB, ADMINS]),
        {
            "target": ("bob@acme.example", "Bob Dahl", "human", "asserted"),
            "resource": ("UserGroup", "Admins"),
        },
    ),
    "a reset of somebody's factors": (
        record("user.mfa.factor.reset_all", target=[BOB]),
        {"target": ("bob@acme.example", "Bob Dahl", "human", "asserted"), "resource": ("User", "Bob Dahl")},
    ),
    "a try at an application without being assigned": (
        record("app.generic.unauth_app_access_attempt", "FAILURE", target=[PAYROLL]),
        {
            "outcome": "denied",
            "resource": ("AppInstance", "Payroll (SAML)"),
            "actor": ("ada@acme.example", "Ada Lovelace", "human", "asserted"),
        },
    ),
    "Okta itself": (
        record("app.user_management", actor=SYSTEM, client={"ipAddress": None, "geographicalContext": None}),
        {"actor": ("spr1", "Okta System", "service", "asserted"), "source_ip": None, "country": None},
    ),
    "an API client": (
        record("group.lifecycle.delete", actor=APP, target=[ADMINS]),
        {"actor": ("0oa9", "Provisioner", "service", "asserted")},
    ),
    "too many requests": (record("system.org.rate_limit.violation", "RATE_LIMIT"), {"outcome": "failure"}),
    "no session, no address, a country nobody lists": (
        record(
            "user.session.end",
            authenticationContext={"externalSessionId": "unknown"},
            client={"ipAddress": "null", "geographicalContext": {"country": "Atlantis"}},
            securityContext={"asNumber": None},
        ),
        {"session_id": None, "source_ip": None, "country": None, "asn": None, "user_agent": None},
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("okta", *GOLDEN[name])


@pytest.mark.parametrize("foreign", [{}, {"eventtype": "user.session.start"}, {"eventType": {}}, {"eventType": ""}])
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="eventType"):
        okta.normalise(foreign, b"{}")


def test_a_bare_record_has_nobody_and_no_time() -> None:
    event = normalised("okta", {"eventType": "logout"})
    assert (event.actor.identity, event.time, event.target, event.resource) == ("anonymous", UNTIMED, None, None)


def test_the_target_is_another_than_the_actor_whatever_the_case() -> None:
    same = ADA | {"id": "other", "alternateId": "ADA@acme.example"}
    assert normalised("okta", record("user.account.update_password", target=[same])).target is None
    assert normalised("okta", record("x", target=[same, BOB])).target is not None
