from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.context import EMPTY
from audit.event import parse_rfc3339
from audit.sources import google_workspace
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.google_workspace import LARGEST_SPREAD
from audit.sources.reader import read
from tests.audit.sources.golden import ARRIVAL, Golden, assert_golden, normalised


def activity(*events: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "kind": "admin#reports#activity",
        "id": {
            "time": "2026-03-02T08:15:30.123Z",
            "uniqueQualifier": "-3752049694034652744",
            "applicationName": "admin",
            "customerId": "C0acme",
        },
        "actor": {"callerType": "USER", "email": "Ada@Acme.example", "profileId": "111"},
        "ipAddress": "198.51.100.7",
        "events": list(events),
    } | fields


def event(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "T", "name": name, "parameters": [{"name": key, "value": text} for key, text in parameters.items()]}


ADA = ("ada@acme.example", "Ada@Acme.example", "human", "asserted")

GOLDEN: Golden = {
    "a role is granted": (
        activity(event("ASSIGN_ROLE", USER_EMAIL="Bob@acme.example", ROLE_NAME="_SEED_ADMIN_ROLE")),
        {
            "id": "-3752049694034652744",
            "time": parse_rfc3339("2026-03-02T08:15:30.123Z"),
            "action": "ASSIGN_ROLE",
            "outcome": "unknown",
            "actor": ADA,
            "target": ("bob@acme.example", "Bob@acme.example", "human", "asserted"),
            "resource": ("role", "_SEED_ADMIN_ROLE"),
            "source_ip": "198.51.100.7",
            "account": "C0acme",
        },
    ),
    "a sign-in": (activity(event("login_success")), {"outcome": "success", "actor": ADA}),
    "a failed sign-in proves nobody": (
        activity(event("login_failure")),
        {"outcome": "failure", "actor": (*ADA[:3], "anonymous")},
    ),
    "an access rule says no": (activity(event("ACCESS_DENY_EVENT")), {"outcome": "denied"}),
    "an access rule would have said no": (activity(event("MONITOR_MODE_ACCESS_DENY_EVENT")), {"outcome": "unknown"}),
    "a status of its own": (
        activity(event("download") | {"status": {"eventStatus": "FAILED"}}),
        {"outcome": "failure"},
    ),
    "a document": (
        activity(event("download", doc_id="d-1", doc_title="Plan", owner="bob@acme.example")),
        {"resource": ("document", "d-1"), "target": None},
    ),
    "a call's address and country": (
        activity(
            event("call_ended", ip_address="192.0.2.1"),
            ipAddress=None,
            networkInfo={"ipAsn": [64500], "regionCode": "AT"},
        ),
        {"source_ip": "192.0.2.1", "country": "AT", "asn": 64500},
    ),
    "an API key": (
        activity(event("x"), actor={"callerType": "KEY", "key": "SYSTEM"}),
        {"actor": ("SYSTEM", "SYSTEM", "service", "asserted")},
    ),
    "a service account": (
        activity(event("x"), actor={"email": "a@p.iam.gserviceaccount.com"}),
        {"actor": ("a@p.iam.gserviceaccount.com",) * 2 + ("service", "asserted")},
    ),
    "only a profile": (
        activity(event("x"), actor={"profileId": "111"}),
        {"actor": ("111", "111", "unknown", "asserted")},
    ),
    "a change to oneself has no target": (activity(event("x", USER_EMAIL="ada@ACME.example")), {"target": None}),
    "an event by itself, its parameters an object": (
        {"id": {"time": "2026-03-02 08:15:30.123000000"}, "name": "CREATE_ROLE", "parameters": {"ROLE_NAME": "Root"}},
        {"action": "CREATE_ROLE", "resource": ("role", "Root"), "time": parse_rfc3339("2026-03-02T08:15:30.123Z")},
    ),
    "a number for a qualifier": (
        activity(event("x"), id={"uniqueQualifier": 1, "time": "2026-03-02T08:15:30Z"}),
        {"id": "1"},
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert_golden("google_workspace", *GOLDEN[name])


def test_each_event_of_an_activity_is_one_and_carries_only_itself() -> None:
    first, second = event("ADD_GROUP_MEMBER", USER_EMAIL="bob@acme.example"), event("ASSIGN_ROLE", ROLE_NAME="Root")
    record = activity(first, second)
    events = google_workspace.normalise(record, orjson.dumps(record))
    assert [found.id for found in events] == ["-3752049694034652744#0", "-3752049694034652744#1"]
    assert [found.action for found in events] == ["ADD_GROUP_MEMBER", "ASSIGN_ROLE"]
    assert [orjson.loads(found.raw)["events"] for found in events] == [[first], [second]]
    assert {found.actor.id for found in events} == {"ada@acme.example"}


def test_a_flood_in_one_activity_is_refused() -> None:
    """n events in a record of m bytes would take n * m bytes."""
    record = activity(*[{"name": "x"}] * 3000, ownerDomain="y" * 30_000)
    raw = orjson.dumps(record)
    assert 3000 * len(raw) > LARGEST_SPREAD
    with pytest.raises(Unreadable, match="3000 events"):
        google_workspace.normalise(record, raw)
    assert len(read("google_workspace", orjson.dumps(activity(*[event("x")] * 300)), ARRIVAL, EMPTY)[0]) == 300  # type: ignore[arg-type]


def test_the_envelope() -> None:
    page = {"kind": "admin#reports#activities", "items": [activity(event("x")), activity(event("y"))]}
    assert len(read("google_workspace", orjson.dumps(page), ARRIVAL, EMPTY)) == 2


@pytest.mark.parametrize(
    "foreign", [{}, {"events": []}, {"events": {}}, {"events": [{}]}, {"events": [{"name": "x"}, {"name": 1.5}]}]
)
def test_another_form_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="events with a name"):
        google_workspace.normalise(foreign, b"{}")


def test_a_bare_activity_has_nobody_and_no_time() -> None:
    found = normalised("google_workspace", {"events": [{"name": "x"}]})
    assert (found.actor.identity, found.time, found.resource) == ("anonymous", UNTIMED, None)
    assert found.id.startswith("sha256:")
