"""The mapping files that ship: each is sound, and reads its vendor's records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import audit.sources
from audit.event import parse_rfc3339
from audit.sources import SOURCES
from audit.sources.mapping import load_mapping
from tests.audit.sources.golden import assert_golden, normalised

MAPS = sorted((Path(audit.sources.__file__).parent / "maps").glob("*.yml"))
ADA = {"id": "U1", "name": "Ada", "email": "Ada@acme.example"}

GOLDEN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "Auth0: a sign-in from a log stream": (
        "auth0",
        {
            "log_id": "9002",
            "data": {
                "type": "s",
                "log_id": "9002",
                "date": "2026-03-02T08:15:30.123Z",
                "user_id": "auth0|61",
                "user_name": "ada@acme.example",
                "client_name": "Portal",
                "ip": "198.51.100.7",
                "hostname": "acme.eu.auth0.com",
                "details": {"session_id": "s-1"},
            },
        },
        {
            "id": "9002",
            "time": parse_rfc3339("2026-03-02T08:15:30.123Z"),
            "action": "s",
            "outcome": "success",
            "actor": ("auth0|61", "ada@acme.example", "human", "asserted"),
            "resource": ("application", "Portal"),
            "source_ip": "198.51.100.7",
            "session_id": "s-1",
            "account": "acme.eu.auth0.com",
        },
    ),
    "Auth0: a call with a token": (
        "auth0",
        {
            "type": "sapi",
            "date": "2026-03-02T08:15:30Z",
            "details": {"request": {"auth": {"credentials": {"jti": "j1"}}}},
        },
        {"session_id": "j1"},
    ),
    "Auth0: a wrong password": (
        "auth0",
        {"type": "fp", "user_id": "auth0|61", "user_name": "ada", "date": "2026-03-02T08:15:30Z"},
        {"outcome": "failure", "actor": ("auth0|61", "ada", "human", "anonymous")},
    ),
    "Auth0: an administrator's call by a machine": (
        "auth0",
        {
            "type": "sapi",
            "client_id": "c-1",
            "date": "2026-03-02T08:15:30Z",
            "details": {"request": {"method": "post", "path": "/api/v2/roles"}},
        },
        {"outcome": "success", "actor": ("c-1", "c-1", "service", "asserted"), "resource": ("api", "/api/v2/roles")},
    ),
    "OneLogin: somebody takes another's place": (
        "onelogin",
        {
            "event_type_id": 3,
            "uuid": "u-1",
            "event_timestamp": "2026-03-02 08:15:30 UTC",
            "actor_user_id": 1,
            "actor_user_name": "Ada",
            "user_id": 2,
            "user_name": "Bob",
            "ipaddr": "192.0.2.1",
        },
        {
            "action": "user_assumed_another_user",
            "time": parse_rfc3339("2026-03-02T08:15:30Z"),
            "actor": ("1", "Ada", "human", "asserted"),
            "target": ("2", "Bob", "unknown", "asserted"),
        },
    ),
    "OneLogin: a number without a name": (
        "onelogin",
        {"event_type_id": "149", "created_at": "2026-03-02T08:15:30Z", "actor_system": "Mapping"},
        {"action": "149", "outcome": "unknown", "actor": ("Mapping", "Mapping", "unknown", "asserted")},
    ),
    "Duo: a push that is approved": (
        "duo",
        {
            "txid": "t-1",
            "event_type": "authentication",
            "isotimestamp": "2026-03-02T08:15:30.5+00:00",
            "timestamp": 1,
            "result": "success",
            "reason": "user_approved",
            "user": {"name": "ada", "key": "DU1"},
            "application": {"name": "VPN"},
            "access_device": {"ip": "198.51.100.7:1234"},
        },
        {
            "id": "t-1",
            "time": parse_rfc3339("2026-03-02T08:15:30.5Z"),
            "outcome": "success",
            "actor": ("ada", "ada", "human", "verified"),
            "resource": ("application", "VPN"),
            "source_ip": "198.51.100.7",
        },
    ),
    "Duo: a push that is called fraud": (
        "duo",
        {"event_type": "authentication", "timestamp": 1772439330, "result": "fraud", "user": {"name": "ada"}},
        {
            "time": parse_rfc3339("2026-03-02T08:15:30Z"),
            "outcome": "denied",
            "actor": ("ada", "ada", "human", "anonymous"),
        },
    ),
    "Duo: an administrator": (
        "duo",
        {
            "action": "admin_2fa_error",
            "timestamp": 1772439330,
            "username": "Ada",
            "object": "bob",
            "description": '{"ip_address": "192.0.2.1"}',
        },
        {"action": "admin_2fa_error", "outcome": "failure", "source_ip": "192.0.2.1", "resource": ("object", "bob")},
    ),
    "Cloudflare: the API": (
        "cloudflare",
        {
            "id": "c-1",
            "when": "2026-03-02T08:15:30Z",
            "action": {"type": "rec_del", "result": True},
            "actor": ADA | {"ip": "192.0.2.1", "type": "user"},
            "resource": {"type": "DNS_record", "id": "7"},
            "metadata": {"zone_name": "acme.example"},
            "owner": {"id": "o"},
        },
        {
            "id": "c-1",
            "outcome": "success",
            "actor": ("ada@acme.example", "Ada@acme.example", "human", "asserted"),
            "resource": ("DNS_record", "acme.example"),
            "account": "o",
        },
    ),
    "Cloudflare: Logpush": (
        "cloudflare",
        {
            "ID": "c-2",
            "When": "2026-03-02T08:15:30Z",
            "ActionType": "x",
            "ActionResult": False,
            "ActorID": "1",
            "ActorIP": "::ffff:192.0.2.1",
            "ActorType": "system",
        },
        {"action": "x", "outcome": "failure", "actor": ("1", "1", "service", "asserted"), "source_ip": "192.0.2.1"},
    ),
    "Slack: a file": (
        "slack",
        {
            "id": "s-1",
            "date_create": 1772439330,
            "action": "file_downloaded",
            "actor": {"type": "user", "user": ADA},
            "entity": {"type": "file", "file": {"name": "plan.pdf"}},
            "context": {"ip_address": "192.0.2.1", "ua": "Slack", "location": {"id": "E1"}, "session_id": 9},
        },
        {
            "time": parse_rfc3339("2026-03-02T08:15:30Z"),
            "outcome": "unknown",
            "actor": ("ada@acme.example", "Ada", "human", "asserted"),
            "target": None,
            "resource": ("file", "plan.pdf"),
            "session_id": "9",
            "account": "E1",
        },
    ),
    "Slack: a member": (
        "slack",
        {
            "date_create": "2026-03-02 08:15:30",
            "action": "role_change_to_admin",
            "actor": {"user": ADA},
            "entity": {"type": "user", "user": {"email": "bob@acme.example", "name": "Bob"}},
        },
        {"target": ("bob@acme.example", "Bob", "human", "asserted"), "resource": ("user", "bob@acme.example")},
    ),
    "Slack: an access log": (
        "slack",
        {"user_id": "U1", "username": "ada", "date_last": 1772439330, "ip": "192.0.2.1", "country": "AT"},
        {"action": "access_log", "actor": ("U1", "ada", "human", "asserted"), "country": "AT"},
    ),
    "1Password: a sign-in turned away": (
        "onepassword",
        {
            "uuid": "o-1",
            "session_uuid": "x",
            "timestamp": "2026-03-02T09:15:30+01:00",
            "category": "firewall_failed",
            "type": "continent_blocked",
            "country": "FR",
            "target_user": ADA,
            "client": {"app_name": "1Password", "ip_address": "192.0.2.1"},
        },
        {
            "time": parse_rfc3339("2026-03-02T08:15:30Z"),
            "action": "continent_blocked",
            "outcome": "denied",
            "actor": ("ada@acme.example", "Ada", "human", "anonymous"),
            "country": "FR",
            "session_id": "x",
        },
    ),
    "1Password: an audit event": (
        "onepassword",
        {
            "uuid": "o-2",
            "timestamp": "2026-03-02T08:15:30Z",
            "action": "join",
            "object_type": "gm",
            "object_uuid": "g-1",
            "actor_uuid": "A1",
            "actor_details": ADA,
            "aux_details": {"email": "Bob@acme.example", "name": "Bob"},
            "session": {"uuid": "y", "ip": "192.0.2.1"},
        },
        {
            "outcome": "unknown",
            "target": ("bob@acme.example", "Bob", "human", "asserted"),
            "resource": ("gm", "g-1"),
            "source_ip": "192.0.2.1",
        },
    ),
    "1Password: an item is used, as older records tell it": (
        "onepassword",
        {"uuid": "o-3", "timestamp": "2026-03-02T08:15:30Z", "item_uuid": "i-1", "user": ADA},
        {"action": "item_usage", "resource": ("item", "i-1")},
    ),
    "Atlassian: Jira's file": (
        "atlassian",
        {
            "timestamp": {"epochSecond": 1772439330, "nano": 37000000},
            "auditType": {"actionI18nKey": "jira.auditing.user.added.to.group", "action": "User added to group"},
            "author": {"id": "10000", "name": "ada", "type": "ApplicationUser"},
            "affectedObjects": [{"type": "GROUP", "name": "jira-administrators"}],
            "source": "192.0.2.1",
            "system": "https://jira.acme.example",
        },
        {
            "time": parse_rfc3339("2026-03-02T08:15:30.037Z"),
            "action": "jira.auditing.user.added.to.group",
            "actor": ("ada", "ada", "human", "asserted"),
            "resource": ("GROUP", "jira-administrators"),
            "source_ip": "192.0.2.1",
            "account": "https://jira.acme.example",
        },
    ),
    "Atlassian: nobody": (
        "atlassian",
        {
            "timestamp": "2026-03-02T08:15:30Z",
            "type": {"actionI18nKey": "x"},
            "author": {"name": "Anonymous", "type": "user"},
        },
        {"actor": ("Anonymous", "Anonymous", "human", "anonymous")},
    ),
    "Atlassian: an organisation's administrator takes another's place": (
        "atlassian",
        {
            "id": "a-1",
            "attributes": {
                "action": "user_logged_in_as_user",
                "time": "2026-03-02T08:15:30Z",
                "actor": ADA,
                "context": [{"attributes": {"email": "Bob@acme.example"}}],
            },
        },
        {
            "actor": ("ada@acme.example", "Ada", "human", "asserted"),
            "target": ("bob@acme.example",) * 2 + ("unknown", "asserted"),
        },
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    source, record, expected = GOLDEN[name]
    assert_golden(source, record, expected)


@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.stem)
def test_every_file_is_sound_bears_its_sources_name_and_is_tested(path: Path) -> None:
    name, _ = load_mapping(path)
    assert name == path.stem
    assert name in SOURCES
    assert name in {source for source, _, _ in GOLDEN.values()}


def test_there_are_files() -> None:
    assert len(MAPS) >= 7


def test_a_module_is_not_replaced_by_a_file() -> None:
    modules = {path.stem for path in Path(audit.sources.__file__).parent.glob("*.py")}
    assert not modules & {path.stem for path in MAPS}
    assert normalised("okta", {"eventType": "x"}).source == "okta"
