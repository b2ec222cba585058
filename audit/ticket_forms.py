"""Tickets as other systems send them, turned into rows of the context."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from audit.context_schema import Ticket, TicketType, decode_moment
from audit.event import parse_rfc3339, rfc3339
from audit.yaml_lines import BadText, read_yaml

LONGEST = 200
"""Characters of a value; an id may have 64."""
TIMES = frozenset({"opened", "approved_at", "window_start", "window_end", "updated"})
PEOPLE = frozenset({"requester", "approver", "subject"})
FIELDS = Ticket.__struct_fields__
CAME_TO_NOTHING = frozenset({
    "won't do", "won't fix", "declined", "rejected", "duplicate", "cannot reproduce", "incomplete", "withdrawn",
    "canceled", "cancelled", "request cancelled", "request rejected", "closed incomplete", "closed skipped", "4", "8",
})  # fmt: skip
"""How tickets end of which nothing came: Jira's resolutions, and ServiceNow's states in words and as numbers."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TYPES: tuple[str, ...] = get_args(TicketType)


class BadTicket(ValueError):
    """What arrived is no ticket; the message says what is missing or wrong."""


class Form(msgspec.Struct, frozen=True):
    """Where a system's records have each field: paths like `fields.reporter.emailAddress`; the first filled one counts.

    `types` are the system's own words for sorts of tickets, in lower case; `statuses` those that are called otherwise
    here. `outcomes` are where it says how a ticket ended: what came to nothing keeps the status of an approved one.
    A form of its own (`strict`) has no other fields than these.
    """

    paths: Mapping[str, tuple[str, ...]]
    types: Mapping[str, str] = {}
    statuses: Mapping[str, str] = {}
    outcomes: tuple[str, ...] = ()
    strict: bool = False


NATIVE = Form({name: (name,) for name in FIELDS}, {name: name for name in _TYPES}, strict=True)
JIRA = Form(
    {
        "id": ("issue.key", "key"),
        "type": ("issue.fields.issuetype.name", "fields.issuetype.name"),
        "requester": ("issue.fields.reporter.emailAddress", "fields.reporter.emailAddress"),
        "opened": ("issue.fields.created", "fields.created"),
        "status": ("issue.fields.status.name", "fields.status.name"),
        "updated": ("issue.fields.updated", "fields.updated"),
    },
    {
        "access request": "access",
        "service request with approvals": "access",
        "change": "change",
        "incident": "incident",
        "service request": "helpdesk",
        "support": "helpdesk",
        "pentest": "pentest",
    },
    outcomes=("issue.fields.resolution.name", "fields.resolution.name"),
)
SERVICENOW = Form(
    {
        "id": ("number",),
        "type": ("sys_class_name", "type"),
        "requester": ("requested_by.email", "requested_by", "opened_by.email", "opened_by"),
        "approver": ("approver.email", "approver"),
        "subject": ("requested_for.email", "requested_for"),
        "system": ("system",),
        "resource": ("cmdb_ci.name", "cmdb_ci"),
        "opened": ("opened_at", "sys_created_on"),
        "approved_at": ("approved_at",),
        "window_start": ("start_date",),
        "window_end": ("end_date",),
        "status": ("approval", "state"),
        "updated": ("sys_updated_on",),
    },
    {
        "change_request": "change",
        "incident": "incident",
        "sc_req_item": "access",
        "sc_request": "access",
        "u_pentest": "pentest",
    },
    outcomes=("state", "stage"),
)
FORMS: dict[str, Form] = {"auditwatch": NATIVE, "jira": JIRA, "servicenow": SERVICENOW}


def row_of(record: Any, form: Form, person: Callable[[str], str] = str) -> dict[str, str]:
    """The row of the context's `tickets` that a record stands for; `person` turns an e-mail or name into a declared id.

    Raises:
        BadTicket: it is no ticket of this form; nothing is guessed.
    """
    if not isinstance(record, dict):
        raise BadTicket("not a JSON object")
    if form.strict and (unknown := next((name for name in record if name not in FIELDS), None)):
        raise BadTicket(f"unknown field {unknown[:LONGEST]!r}: known are {', '.join(FIELDS)}")
    row: dict[str, str] = {}
    for name in FIELDS:
        if value := _first(record, form.paths.get(name, ())):
            row[name] = _value(name, value, form, person)
    if "id" not in row or "type" not in row or "opened" not in row:
        missing = [name for name in ("id", "type", "opened") if name not in row]
        looked = "; ".join(
            f"{name} is looked for at {', '.join(form.paths.get(name, ())) or 'no place'}" for name in missing
        )
        raise BadTicket(f"no {' and no '.join(missing)}: {looked}")
    if any(_first(record, (path,)).lower() in CAME_TO_NOTHING for path in form.outcomes):
        row["status"] = "cancelled"
    try:
        ticket = msgspec.convert(row, Ticket, dec_hook=decode_moment)
    except msgspec.ValidationError as error:
        raise BadTicket(str(error)) from error
    if ticket.window_start is not None and ticket.window_end is not None and ticket.window_end < ticket.window_start:
        raise BadTicket(f"window_end {row['window_end']} is before window_start {row['window_start']}: correct one")
    return row


def read_forms(path: Path) -> dict[str, Form]:
    """The forms there are, with the paths, types and statuses of a YAML file over them.

    Raises:
        BadTicket: the file cannot be used; the message has path and, where known, line.
    """
    try:
        tree = read_yaml(path.read_bytes())
    except BadText as error:
        raise BadTicket(f"{path}:{error.line}: {error.what}") from error
    except OSError as error:
        raise BadTicket(f"{path}: {error.strerror}") from error
    if not isinstance(tree, dict):
        raise BadTicket(f"{path}: write the name of a form ({', '.join(FORMS)}, or your own) and its fields below it")
    return FORMS | {str(name): _form(path, str(name), fields) for name, fields in tree.items()}


def _form(path: Path, name: str, fields: Any) -> Form:
    base = FORMS.get(name, Form({}))
    if not isinstance(fields, dict):
        raise BadTicket(f"{path}: {name}: write field: path, one a line")
    paths, words = dict(base.paths), {"types": dict(base.types), "statuses": dict(base.statuses)}
    for field, value in fields.items():
        if field in words and isinstance(value, dict):
            words[str(field)] |= {str(word).lower(): str(own) for word, own in value.items()}
        elif field in FIELDS and isinstance(value, str | list):
            paths[str(field)] = (value,) if isinstance(value, str) else tuple(map(str, value))
        else:
            raise BadTicket(f"{path}: {name}: {field}: not one of {', '.join((*FIELDS, *words))}, or not a path")
    return Form(paths, words["types"], words["statuses"], base.outcomes, base.strict and paths == base.paths)


def _first(record: dict[str, Any], paths: tuple[str, ...]) -> str:
    for path in paths:
        found = _at(record, path)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
            return str(found).strip()
    return ""


def _at(record: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(record, list) and step.isdecimal() and int(step) < len(record):
            record = record[int(step)]
        elif isinstance(record, dict):
            record = record.get(step)
        else:
            return None
    return record


def _value(name: str, value: str, form: Form, person: Callable[[str], str]) -> str:
    if len(value) > LONGEST:
        raise BadTicket(f"{name} has {len(value)} characters: at most {LONGEST} are taken")
    if name == "id" and not _ID.fullmatch(value):
        raise BadTicket(f"id {value!r} is none: letters, digits, '.', '_' and '-', at most 64")
    if name == "type":
        kind = form.types.get(value.lower())
        if kind not in _TYPES:
            raise BadTicket(f"type {value!r} is not known: say under types: which of {', '.join(_TYPES)} it is")
        return kind
    if name in TIMES:
        try:
            return rfc3339(parse_rfc3339(value))
        except (ValueError, OverflowError) as error:
            raise BadTicket(f"{name} {value!r} is no time: send 2026-03-02T09:00:00Z") from error
    if name == "status":
        return form.statuses.get(value.lower(), value.lower())
    return person(value) if name in PEOPLE else value
