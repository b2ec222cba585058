"""Google Workspace: activities of the Admin SDK Reports API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from audit.event import ActorKind, AuditEvent, Outcome, Principal, Resource
from audit.sources.fields import (
    NOBODY,
    Unreadable,
    address,
    country_code,
    first,
    instant,
    mapping,
    record_id,
    sequence,
    text,
)

LARGEST_SPREAD = 64 * 2**20
"""Bytes the events of one activity may take together, each carrying the record's head."""

_OUTCOMES: dict[str, Outcome] = {
    "login_success": "success",
    "login_failure": "failure",
    "login_blocked": "denied",
    "ACCESS_DENY_EVENT": "denied",
}
_TARGETS = ("USER_EMAIL", "user_email", "target_user", "affected_email_address")
_RESOURCES = (
    ("document", "doc_id"),
    ("group", "GROUP_EMAIL"),
    ("group", "group_email"),
    ("group", "group_id"),
    ("role", "ROLE_NAME"),
    ("application", "APPLICATION_NAME"),
    ("application", "app_name"),
    ("application", "application_name"),
    ("application", "client_id"),
    ("calendar", "calendar_id"),
    ("device", "DEVICE_ID"),
    ("setting", "SETTING_NAME"),
    ("domain", "DOMAIN_NAME"),
    ("org_unit", "ORG_UNIT_NAME"),
)


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The events of one activity: one for each entry of its `events`, each carrying only that entry in `raw`.

    Raises:
        Unreadable: when it has no named event, or so many of them that they would fill the memory.
    """
    written = record.get("events")
    entries = [record] if written is None else sequence(written)
    if not entries or any(text(mapping(entry).get("name")) is None for entry in entries):
        raise Unreadable("it has no events with a name: not a Google Workspace activity")
    if len(entries) == 1:
        return [_event(record, mapping(entries[0]), raw, "")]
    if len(entries) * len(raw) > LARGEST_SPREAD:
        raise Unreadable(f"it has {len(entries)} events in {len(raw)} bytes: too many in one activity")
    return [
        _event(record, entry, orjson.dumps({**record, "events": [entry]}), f"#{index}")
        for index, entry in enumerate(entries)
    ]


def _event(record: Mapping[str, Any], entry: Mapping[str, Any], raw: bytes, suffix: str) -> AuditEvent:
    action = text(entry.get("name")) or ""
    head = mapping(record.get("id"))
    parameters = _parameters(entry.get("parameters"))
    outcome = _outcome(entry, action)
    network = mapping(record.get("networkInfo"))
    qualifier = text(head.get("uniqueQualifier"))
    actor = _actor(mapping(record.get("actor")), anonymous=action == "login_failure")
    return AuditEvent(
        id=record_id(f"{qualifier}{suffix}" if qualifier else None, raw),
        time=instant(head.get("time")),
        source="google_workspace",
        action=action,
        outcome=outcome,
        actor=actor,
        target=_target(parameters, actor),
        resource=_resource(parameters),
        source_ip=address(record.get("ipAddress")) or address(parameters.get("ip_address")),  # Meet
        country=country_code(network.get("regionCode")),
        asn=_asn(first(network.get("ipAsn"))),
        account=text(head.get("customerId")),
        raw=raw,
    )


def _outcome(entry: Mapping[str, Any], action: str) -> Outcome:
    """Workspace logs deeds without their end, but for sign-ins and what its access rules refuse."""
    status = mapping(entry.get("status")).get("eventStatus")
    if status == "FAILED" or status == "FAILURE":
        return "failure"
    if status == "SUCCESS" or status == "SUCCEEDED":
        return "success"
    return _OUTCOMES.get(action, "unknown")


def _actor(actor: Mapping[str, Any], anonymous: bool) -> Principal:
    email, profile = text(actor.get("email")), text(actor.get("profileId"))
    caller = text(actor.get("key"))
    if email is None and actor.get("callerType") == "KEY" and caller:
        return Principal(caller, caller, "service")
    key = email.lower() if email else profile
    if key is None:
        return NOBODY
    return Principal(key, email or key, _kind(email), "anonymous" if anonymous else "asserted")


def _kind(email: str | None) -> ActorKind:
    if email is None:
        return "unknown"
    return "service" if email.endswith("gserviceaccount.com") else "human"


def _parameters(written: object) -> Mapping[str, Any]:
    """Values by name, of [{"name", "value"}] or of an object."""
    if type(written) is dict:
        return written
    pairs = [pair for pair in sequence(written) if type(pair) is dict]
    return {pair["name"]: pair.get("value") for pair in pairs if type(pair.get("name")) is str}


def _target(parameters: Mapping[str, Any], actor: Principal) -> Principal | None:
    """The user an administrator changes, a file is shared with, or Google warns about."""
    for field in _TARGETS:
        name = text(parameters.get(field))
        if name and "@" in name and name.lower() != actor.id:
            return Principal(name.lower(), name, _kind(name))
    return None


def _resource(parameters: Mapping[str, Any]) -> Resource | None:
    for kind, field in _RESOURCES:
        name = text(parameters.get(field))
        if name:
            return Resource(kind, name)
    return None


def _asn(number: object) -> int | None:
    return number if type(number) is int and 0 < number < 2**32 else None
