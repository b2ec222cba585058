"""Whether somebody gave rights to themselves: events leave the target out where it is the actor, the raw record tells.

Only where a user is named and is who acts. What people accept or order for themselves (an invitation, an application
out of a catalogue) is none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from audit.event import AuditEvent

Record = Mapping[str, Any]
MOST_TARGETS = 20
_ACCEPTED = frozenset({"org.add_member", "repo.add_member", "application.user_membership.add"})


def is_to_oneself(event: AuditEvent, record: Record) -> bool:
    """Whether whom an event is done to is who did it, under whichever account."""
    if event.target:
        return event.target.id == event.actor.id
    named = _NAMED.get(event.source)
    return named is not None and event.action not in _ACCEPTED and named(record)


def _okta(record: Record) -> bool:
    actor, targets = _inner(record, "actor"), record.get("target")
    key = actor.get("id")
    listed = targets[:MOST_TARGETS] if isinstance(targets, list) else []
    users = [one.get("id") for one in listed if isinstance(one, dict) and one.get("type") == "User"]
    return bool(key) and bool(users) and all(one == key for one in users)


def _github(record: Record) -> bool:
    actor, user = record.get("actor"), record.get("user")
    return isinstance(actor, str) and isinstance(user, str) and actor.lower() == user.lower() != ""


def _aws(record: Record) -> bool:
    who = _inner(record, "userIdentity")
    user = _inner(record, "requestParameters").get("userName")
    return bool(user) and who.get("type") == "IAMUser" and user == who.get("userName")


def _inner(record: Record, key: str) -> Record:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


_NAMED: dict[str, Callable[[Record], bool]] = {"okta": _okta, "github": _github, "cloudtrail": _aws}
