"""How a rule reads a field: from the vendor's record by path, or from the normalised event by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from audit.context_schema import Person
from audit.event import AuditEvent, rfc3339
from rules.access import access_of
from rules.declared import OF_PERSON, days_employed, days_since_seen, foreign_accounts
from rules.view import FIRST_SEEN, MISSING, History, View, members, texts

Getter = Callable[[View], Any]


def _is_new(bit: int, history: History) -> bool:
    return bool(history.new & bit)


def _team_share(place: int, history: History) -> Any:
    share = history.team(place)
    return MISSING if share is None else share


NORMALISED: dict[str, Callable[[AuditEvent], Any]] = {
    "id": lambda event: event.id,
    "time": lambda event: rfc3339(event.time),
    "source": lambda event: event.source,
    "action": lambda event: event.action,
    "outcome": lambda event: event.outcome,
    "actor.id": lambda event: event.actor.id,
    "actor.name": lambda event: event.actor.name,
    "actor.kind": lambda event: event.actor.kind,
    "actor.identity": lambda event: event.actor.identity,
    "target.id": lambda event: event.target and event.target.id,
    "target.name": lambda event: event.target and event.target.name,
    "target.kind": lambda event: event.target and event.target.kind,
    "target.identity": lambda event: event.target and event.target.identity,
    "resource.type": lambda event: event.resource and event.resource.type,
    "resource.name": lambda event: event.resource and event.resource.name,
    "source_ip": lambda event: event.source_ip,
    "country": lambda event: event.country,
    "asn": lambda event: event.asn,
    "user_agent": lambda event: event.user_agent,
    "session_id": lambda event: event.session_id,
    "account": lambda event: event.account,
    "marks": lambda event: list(event.marks),
}


FROM_HISTORY: dict[str, Callable[[History], Any]] = {
    "history_days": lambda history: history.days,
    **{f"first_seen.{kind}": partial(_is_new, 1 << place) for place, kind in enumerate(FIRST_SEEN)},
    **{f"team_share.{kind}": partial(_team_share, place) for place, kind in enumerate(FIRST_SEEN)},
}
"""Fields that only the live pipeline and replay can fill: missing in a stateless run, and for an actor nobody knows."""

SINCE_SEEN = "actor.days_since_seen"
"""From the past, or where there is none from the context's last_login."""

FOREIGN_ACCOUNTS = "foreign_accounts"

TARGET_EMPLOYED = "target.days_employed"

ACCESS = "access.decision"
"""What the declared authorization model says; missing where no role is declared."""

FROM_CONTEXT = (*OF_PERSON, SINCE_SEEN, FOREIGN_ACCOUNTS, TARGET_EMPLOYED, ACCESS)
"""Fields that need what the company declares."""

FIELDS = (*NORMALISED, *FROM_HISTORY, *FROM_CONTEXT)
"""Every name behind "auditwatch."."""

EITHER = "|"
"""Between the names of a field that is found under several: no Sigma field has it in its name."""

_SELECTED = re.compile(r"(?P<list>[^\[\]|]+)\[(?P<key>[^\[\]=|]+)=(?P<value>[^\[\]|]+)\]\.(?P<rest>[^\[\]|]+)")


def canonical(field: str, product: str) -> str:
    """The field's one name: with the prefix "auditwatch." where it is read from the normalised event.

    Raises:
        KeyError: when the normalised event has no such field; its argument is the name without prefix.
    """
    if not field.startswith("auditwatch."):
        if product != "auditwatch":
            return field
        if field.startswith("raw."):
            return field.removeprefix("raw.")
        field = "auditwatch." + field
    name = field.removeprefix("auditwatch.")
    if name not in FIELDS:
        raise KeyError(name)
    return field


def is_path(field: str) -> bool:
    """Whether a name can be read: parts between dots, and at most one list[key=value] on the way."""
    return _SELECTED.fullmatch(field) is not None or not any(mark in field for mark in "[]|")


def getter(field: str) -> Getter:
    """A function that reads a canonical field of a View.

    A path tries the literal dotted key first, then the parts; on its way through lists it goes into every
    member and answers the list of what it found. `list[key=value].rest` goes into the members whose key has that
    value. Of several names, EITHER between them, it answers what any of them has.
    """
    if EITHER in field:
        return _either([getter(name) for name in field.split(EITHER)])
    if field.startswith("auditwatch."):
        return _ours(field.removeprefix("auditwatch."))
    if selected := _SELECTED.fullmatch(field):
        return _selected(getter(selected["list"]), selected["key"], selected["value"].lower(), selected["rest"])
    head, _, rest = field.partition(".")
    if not rest:
        return lambda view: view.record.get(field, MISSING)
    return _path(field, head, tuple(_steps(rest)))


def _either(getters: list[Getter]) -> Getter:
    """What any of them finds; null only where none finds more."""

    def get(view: View) -> Any:
        found = [value for read in getters if (value := read(view)) is not MISSING]
        if len(found) < 2:
            return found[0] if found else MISSING
        return [value for value in found if value is not None] or None

    return get


def _selected(read: Getter, key: str, wanted: str, rest: str) -> Getter:
    steps = tuple(_steps(rest))

    def get(view: View) -> Any:
        found = [
            _descend(member, steps)
            for member in members([read(view)])
            if member.__class__ is dict and wanted in (text.lower() for text in texts(member.get(key)))
        ]
        found = [value for value in found if value is not MISSING]
        return found or MISSING

    return get


def _ours(name: str) -> Getter:
    if name in NORMALISED:
        return _normalised(NORMALISED[name])
    if name == SINCE_SEEN:
        return _since_seen
    if name == FOREIGN_ACCOUNTS:
        return _foreign_accounts
    if name == TARGET_EMPLOYED:
        return _target_employed
    if name == ACCESS:
        return _access
    if name in OF_PERSON:
        return _declared(OF_PERSON[name])
    read = FROM_HISTORY[name]
    return lambda view: MISSING if view.history is None else read(view.history)


def _declared(read: Callable[[Person, AuditEvent], Any]) -> Getter:
    def get(view: View) -> Any:
        value = None if view.person is None else read(view.person, view.event)
        return MISSING if value is None else value

    return get


def _foreign_accounts(view: View) -> Any:
    found = foreign_accounts(view.context, view.event, view.record)
    return MISSING if found is None else found


def _access(view: View) -> Any:
    access = access_of(view.context)
    return access.decide(view.event, view.record).kind if access.observed else MISSING


def _target_employed(view: View) -> Any:
    target = view.event.target
    person = view.context.person(target.id) if target else None
    days = days_employed(person, view.event.time) if person else None
    return MISSING if days is None else days


def _since_seen(view: View) -> Any:
    if view.history is None:
        return MISSING
    if view.history.idle == 0:
        return 0
    days = days_since_seen(view.person, view.event.time, view.history.idle)
    return MISSING if days is None else days


def _normalised(read: Callable[[AuditEvent], Any]) -> Getter:
    def get(view: View) -> Any:
        value = read(view.event)
        return MISSING if value is None else value

    return get


def _steps(path: str) -> list[tuple[str, str]]:
    parts = path.split(".")
    return [(".".join(parts[position:]), part) for position, part in enumerate(parts)]


def _path(field: str, head: str, steps: tuple[tuple[str, str], ...]) -> Getter:
    def get(view: View) -> Any:
        record = view.record
        value = record.get(field, MISSING)
        if value is not MISSING:
            return value
        value = record.get(head, MISSING)
        return MISSING if value is MISSING or value is None else _descend(value, steps)

    return get


def _descend(value: Any, steps: tuple[tuple[str, str], ...]) -> Any:
    for position, (rest, part) in enumerate(steps):
        if value.__class__ is dict:
            found = value.get(rest, MISSING)
            if found is not MISSING:
                return found
            if rest is part or rest == part:
                return MISSING
            value = value.get(part, MISSING)
        elif value.__class__ is list:
            return _into_members(value, steps[position:])
        else:
            return MISSING
    return value


def _into_members(values: list[Any], steps: tuple[tuple[str, str], ...]) -> Any:
    found = [_descend(member, steps) for member in members(values) if member.__class__ is dict]
    found = [value for value in found if value is not MISSING]
    return found or MISSING
