"""Who hands responsibility to whom: ownership of repositories, organisations, accounts, applications and files.

A grant adds somebody; a handover moves who answers for a thing. Which actions do is in rules/paper_actions.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from audit.context_people import system_of
from audit.event import AuditEvent
from rules.paper_actions import hands_over
from rules.paper_deed import action_of

Record = Mapping[str, Any]
LONGEST = 120
MOST_PARAMETERS = 50


def is_handover(event: AuditEvent, record: Record) -> bool:
    """Whether an event moved responsibility for something; of GitHub's members only who becomes an owner counts."""
    if event.outcome not in ("success", "unknown"):
        return False
    if not hands_over(system_of(event.source), action_of(event, record)):
        return False
    return event.action not in _MEMBERS or _text(record, "permission") == "admin"


def receiver_of(event: AuditEvent, record: Record) -> str:
    """Who or what gets it, as far as the record tells; else ""."""
    named = _RECEIVERS.get(event.source)
    found = named(record) if named else ""
    return (found or (event.target.id if event.target else ""))[:LONGEST]


def _github(record: Record) -> str:
    return _text(record, "new_nwo")


def _aws(record: Record) -> str:
    asked = _inner(record, "requestParameters")
    invited = _text(_inner(asked, "target"), "id")
    return invited or _text(asked, "destinationParentId") or _text(asked, "accountId")


def _google(record: Record) -> str:
    """The destination, where the event's own target is whose files they were."""
    events = record.get("events")
    first = events[0] if isinstance(events, list) and events and isinstance(events[0], dict) else {}
    named = _DESTINATIONS.get(_text(first, "name"))
    rows = first.get("parameters")
    listed = rows[:MOST_PARAMETERS] if named and isinstance(rows, list) else []
    return next((_text(row, "value") for row in listed if isinstance(row, dict) and row.get("name") == named), "")


def _inner(record: Record, key: str) -> Record:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


def _text(record: Record, key: str) -> str:
    found = record.get(key)
    return found if isinstance(found, str) else ""


_MEMBERS = ("org.update_member", "org.add_member")
_RECEIVERS: Mapping[str, Callable[[Record], str]] = {"cloudtrail": _aws, "github": _github, "google_workspace": _google}
_DESTINATIONS = {
    "CREATE_DATA_TRANSFER_REQUEST": "DESTINATION_USER_EMAIL",
    "TRANSFER_DOCUMENT_OWNERSHIP": "NEW_VALUE",
    "UPDATE_DOMAIN_PRIMARY_ADMIN_EMAIL": "NEW_VALUE",
}
