"""Whom a correlation's windows are kept by, and whom its findings count against: an entity named by the group.

All matches of one group must come to one place, so the entity has to follow from the group. Where one of the fields
names a person for sure, an address, a session or a resource, that is the entity; otherwise it is the group itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rules.correlation import BETWEEN, EntityOf
from rules.fields import EITHER, getter
from rules.view import MISSING, View, texts

MOST_LENGTH = 256
ENTITIES: dict[str, str] = {
    "auditwatch.actor.id": "user",
    "auditwatch.target.id": "target",
    "userIdentity.arn": "user",
    "userIdentity.principalId": "user",
    "user.username": "user",
    "protoPayload.authenticationInfo.principalEmail": "user",
    "auditwatch.source_ip": "ip",
    "sourceIPAddress": "ip",
    "client.ipAddress": "ip",
    "actor_ip": "ip",
    "sourceIPs": "ip",
    "auditwatch.session_id": "session",
    "authenticationContext.externalSessionId": "session",
    "userIdentity.accessKeyId": "session",
    "responseElements.credentials.accessKeyId": "session",
    "auditwatch.resource.name": "resource",
    "repo": "resource",
    "objectRef.name": "resource",
    "requestParameters.bucketName": "resource",
}
"""What a field is: "user" the actor and "target" whom they acted on (of names only those that were authenticated)."""


class Kept(NamedTuple):
    """The kind of an entity and the part of the group that names it; "group" where the whole group does."""

    kind: str
    part: int = 0


def kept_by(fields: Sequence[Sequence[str]]) -> Kept:
    """By what the groups are kept, given each rule's fields for the same group: the first part that all agree on."""
    for part in range(min((len(one) for one in fields), default=0)):
        kinds = {_kind(one[part]).replace("target", "user") for one in fields}
        if len(kinds) == 1 and "" not in kinds:
            return Kept(kinds.pop(), part)
    return Kept("group")


def entity_of(kept: Kept, fields: Sequence[str], picks: Sequence[int]) -> EntityOf:
    """How the entity of a match is read, given its event and its group of these fields.

    `picks` are the parts of the group that make the group of the outermost correlation, which the entity follows from.
    """
    part = picks[kept.part] if kept.kind != "group" else 0
    if kept.kind == "user":
        return _target if _kind(fields[part]) == "target" else _actor
    if kept.kind == "ip":
        return lambda view, group: f"ip:{group.split(BETWEEN)[part]}"
    if kept.kind == "group":
        return lambda view, group: _group(group, picks)
    get, kind = getter(fields[part]), kept.kind

    def named(view: View, group: str) -> str:
        value = get(view)
        found = texts(value) if value is not MISSING else []
        return f"{kind}:{found[0][:MOST_LENGTH] if found else ''}"

    return named


def _kind(field: str) -> str:
    return ENTITIES.get(field.partition(EITHER)[0], "")


def _actor(view: View, group: str) -> str:
    return f"user:{view.event.actor.id}"


def _target(view: View, group: str) -> str:
    return f"user:{view.event.target.id if view.event.target else ''}"


def _group(group: str, picks: Sequence[int]) -> str:
    parts = group.split(BETWEEN)
    return "group:" + (" ".join(parts[at] for at in picks)[: 2 * MOST_LENGTH] or "all")
