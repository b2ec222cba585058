"""Which role a grant gives to whom, as far as its record says it by name: a group, team, policy or cluster role.

Groups of an identity provider reach into other systems, so there a name may be that of a role of any system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from audit.context import Context
from audit.context_people import LONGEST_NAME, system_of
from audit.event import AuditEvent
from rules.oneself import is_to_oneself

Record = Mapping[str, Any]
MOST_NAMES = 50
PROVIDERS = frozenset({"okta", "entra", "google"})


def receivers(event: AuditEvent, record: Record, context: Context) -> tuple[str, ...]:
    """The principals that are given something, the actor included."""
    if event.source == "kubernetes":
        return tuple(dict.fromkeys(_bound(record, context)))
    if event.target:
        return (event.target.id,)
    return (event.actor.id,) if is_to_oneself(event, record) else ()


def names_given(event: AuditEvent, record: Record) -> tuple[str, ...]:
    """The names a role may bear that is given, the most telling first."""
    named = _NAMES.get(event.source, _nothing)(record)
    if event.source in ("kubernetes", "cloudtrail"):  # their resource is the binding, or the person
        return tuple(named)
    thing = event.resource.name[:LONGEST_NAME] if event.resource else ""
    plain = thing.rpartition("/")[2], thing.partition("@")[0]  # a team of an organisation, a group's address
    return tuple(dict.fromkeys(name for name in (thing, *plain, *named) if name))


def systems_reached(event: AuditEvent) -> tuple[str, ...]:
    """The systems whose roles an event may give; none: any."""
    system = system_of(event.source)
    return () if system in PROVIDERS else (system,)


def _nothing(record: Record) -> Iterator[str]:
    yield from ()


def _okta(record: Record) -> Iterator[str]:
    """Administrators' roles: "Super administrator, App administrator"."""
    given = _text(_inner(_inner(record, "debugContext"), "debugData"), "privilegeGranted")
    yield from (name.strip() for name in given.split(",")[:MOST_NAMES] if name.strip())


def _aws(record: Record) -> Iterator[str]:
    asked = _inner(record, "requestParameters")
    for key in ("groupName", "policyArn", "permissionSetArn", "policyName"):
        if name := _text(asked, key):
            yield name.rpartition("/")[2]


def _entra(record: Record) -> Iterator[str]:
    """Groups and roles are named among what changed of the user: newValue is JSON within JSON."""
    body = _inner(record, "properties") or record
    for target in _rows(body, "targetResources"):
        for change in _rows(target, "modifiedProperties"):
            if _text(change, "displayName") in _NAMED_IN_ENTRA and (name := _text(change, "newValue").strip('"')):
                yield name


def _kubernetes(record: Record) -> Iterator[str]:
    if name := _text(_inner(_inner(record, "requestObject"), "roleRef"), "name"):
        yield name


def _bound(record: Record, context: Context) -> Iterator[str]:
    """The declared people and programs that a binding names."""
    for subject in _rows(_inner(record, "requestObject"), "subjects"):
        name = _text(subject, "name")
        if subject.get("kind") == "ServiceAccount":
            name = f"system:serviceaccount:{_text(subject, 'namespace') or 'default'}:{name}"
        owners = context.people.named("k8s", name) if subject.get("kind") in ("User", "ServiceAccount") else ()
        if len(owners) == 1:
            yield from owners


def _rows(record: Record, key: str) -> list[Record]:
    found = record.get(key)
    return [one for one in found[:MOST_NAMES] if isinstance(one, dict)] if isinstance(found, list) else []


def _inner(record: Record, key: str) -> Record:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


def _text(record: Record, key: str) -> str:
    found = record.get(key)
    return found[:LONGEST_NAME] if isinstance(found, str) else ""


_NAMED_IN_ENTRA = ("Group.DisplayName", "Role.DisplayName", "AppRole.DisplayName")
_NAMES: dict[str, Callable[[Record], Iterator[str]]] = {
    "okta": _okta,
    "entra": _entra,
    "cloudtrail": _aws,
    "kubernetes": _kubernetes,
}
