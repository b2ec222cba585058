"""Microsoft 365: the Office 365 Management Activity API and exports of the Unified Audit Log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from audit.event import ActorKind, AuditEvent, Identity, Outcome, Principal, Resource
from audit.sources.entra_codes import judged
from audit.sources.fields import NOBODY, Unreadable, endpoint, instant, mapping, record_id, sequence, text

LONGEST_DATA = 32_768
"""Characters of an alert's details that are looked into."""

_OUTCOMES: dict[str, Outcome] = {
    "success": "success",
    "succeeded": "success",
    "partiallysucceeded": "success",
    "true": "success",
    "failed": "failure",
    "failure": "failure",
    "false": "failure",
}
_LOGINS = {"UserLoggedIn", "UserLoginFailed"}
_PEOPLE = {0, 2, "Regular", "Admin"}
_NO_NAMES = {"", "Not Available", "Unknown", "<null>"}
_GUEST, _ANONYMOUS = "urn:spo:guest#", "urn:spo:anon#"
_SHARED_WITH = {"Member", "Guest", "Partner"}


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of one audit record.

    Raises:
        Unreadable: when it has no Operation.
    """
    action = text(record.get("Operation"))
    if action is None:
        raise Unreadable("it has no Operation: not a Microsoft 365 audit record")
    workload = text(record.get("Workload")) or "unknown"
    outcome, proven = _end(record, action)
    actor = _actor(record, "asserted" if proven else "anonymous")
    extended = sequence(record.get("ExtendedProperties"))
    return [
        AuditEvent(
            id=record_id(record.get("Id"), raw),
            time=instant(record.get("CreationTime")),
            source="o365",
            action=action,
            outcome=outcome,
            actor=actor,
            target=_target(record, workload, actor),
            resource=_resource(record, workload),
            source_ip=_address(record),
            user_agent=text(record.get("UserAgent")) or _named(extended, "UserAgent") or _client(record),
            session_id=_session(record),
            account=text(record.get("OrganizationId")),
            raw=raw,
        )
    ]


def _end(record: Mapping[str, Any], action: str) -> tuple[Outcome, bool]:
    """The outcome, and whether the actor had proved himself; a failed sign-in may bear ResultStatus Success."""
    if action in _LOGINS:
        outcome, proven = judged(record.get("ErrorNumber"))
        if outcome in ("failure", "denied") or (outcome == "unknown" and record.get("ErrorNumber") is not None):
            return outcome, proven
        return ("success", True) if action == "UserLoggedIn" else ("failure", False)
    status = text(record.get("ResultStatus"))
    if status is None:  # SharePoint, Teams and others log what was done, and nothing else
        return "success", True
    return _OUTCOMES.get(status.lower(), "unknown"), True


def _actor(record: Mapping[str, Any], identity: Identity) -> Principal:
    name = text(record.get("UserId")) or ""
    if name in _NO_NAMES:
        name = text(record.get("UserKey")) or ""
    if name in _NO_NAMES:
        return NOBODY
    if name.startswith(_ANONYMOUS):  # somebody with the link
        return Principal(name, name, "unknown", "anonymous")
    name = name.removeprefix(_GUEST) or name
    return Principal(name.lower() if "@" in name else name, name, _kind(record, name), identity)


def _kind(record: Mapping[str, Any], name: str) -> ActorKind:
    kind = record.get("UserType")
    if name == "app@sharepoint":
        return "service"
    if type(kind) in (int, str) and kind not in _PEOPLE:
        return "service"
    return "human" if "@" in name else "unknown"


def _target(record: Mapping[str, Any], workload: str, actor: Principal) -> Principal | None:
    """The user a directory call or an alert is about, whom a file is shared with, who is let into a mailbox."""
    name = _suspect(record)
    if workload == "AzureActiveDirectory":
        name = text(record.get("ObjectId"))
    elif text(record.get("TargetUserOrGroupType")) in _SHARED_WITH:
        name = text(record.get("TargetUserOrGroupName"))
    elif workload == "Exchange":
        name = _named(sequence(record.get("Parameters")), "User") or text(record.get("MailboxOwnerUPN"))
    if name is None or "@" not in name or name.lower() == actor.id:
        return None
    return Principal(name.lower(), name, "human")


def _suspect(record: Mapping[str, Any]) -> str | None:
    """The user a security alert is about: named in the JSON text of its `Data`."""
    data = record.get("Data")
    if type(data) is not str or "AlertId" not in record or len(data) > LONGEST_DATA:
        return None
    try:
        found = mapping(orjson.loads(data))
    except orjson.JSONDecodeError:
        return None
    return text(found.get("f3u")) or text(found.get("suid")) or text(found.get("trc"))


def _resource(record: Mapping[str, Any], workload: str) -> Resource | None:
    mailbox = text(record.get("MailboxOwnerUPN"))
    if mailbox:
        return Resource("mailbox", mailbox.lower())
    name = text(record.get("ObjectId")) or text(record.get("TeamName")) or text(record.get("ApplicationId"))
    return Resource(text(record.get("ItemType")) or workload, name) if name and name not in _NO_NAMES else None


def _address(record: Mapping[str, Any]) -> str | None:
    return (
        endpoint(record.get("ClientIP"))
        or endpoint(record.get("ClientIPAddress"))
        or endpoint(record.get("ActorIpAddress"))
    )


def _client(record: Mapping[str, Any]) -> str | None:
    return text(record.get("ClientInfoString"))


def _session(record: Mapping[str, Any]) -> str | None:
    return (
        text(mapping(record.get("AppAccessContext")).get("AADSessionId"))
        or text(record.get("SessionId"))
        or _named(sequence(record.get("DeviceProperties")), "SessionId")
        or text(record.get("UserSessionId"))
    )


def _named(pairs: list[Any], name: str) -> str | None:
    """The value in a list of {"Name": ..., "Value": ...}."""
    for pair in pairs:
        if type(pair) is dict and pair.get("Name") == name:
            return text(pair.get("Value"))
    return None
