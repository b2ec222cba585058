"""What is well written and still wrong in a context: two people under one name, roles nobody declared, times turned.

References to what may lie outside the files (a former manager, an old ticket) are only remarked on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import import_module
from ipaddress import ip_network
from typing import get_args

from audit.context_duties import Found, separations, unknown_tickets
from audit.context_people import SYSTEM_OF, system_of
from audit.context_read import Problem, Rows, near
from audit.context_schema import WEEKDAYS, Person, RangeKind, Role
from audit.tokens import SIGNATURE

SYSTEMS = ("aws", "okta", "github", "k8s", "entra", "google", "linux", "slack")


def errors(rows: Rows) -> list[Problem]:
    """Every contradiction in the rows, with its file and line."""
    checks: tuple[Callable[[Rows], Found], ...] = (
        _ids,
        _identities,
        _patterns,
        _systems,
        _duplicate_roles,
        _role_names,
        _role_users,
        separations,
        _times,
        _conditions,
        _networks,
        _places,
        _token_keys,
    )
    return _problems(rows, checks)


def warnings(rows: Rows) -> list[Problem]:
    """References to people and tickets that the files do not hold."""
    return _problems(rows, (_unknown_people, _unknown_tickets, unknown_tickets))


def _problems(rows: Rows, checks: tuple[Callable[[Rows], Found], ...]) -> list[Problem]:
    made = []
    for check in checks:
        for section, index, place, what in check(rows):
            file, where = rows.at(section, index, *place)
            made.append(file.problem(where, f"{section}: {what}"))
    return made


def _token_keys(rows: Rows) -> Found:
    """An issuer is declared once, with public keys of which each has a name of its own."""
    seen: set[str] = set()
    for index, issuer in enumerate(rows.sections["token_issuers"]):
        if issuer.issuer in seen:
            yield "token_issuers", index, ("issuer",), f"'{issuer.issuer}' is declared twice: put its keys together"
        seen.add(issuer.issuer)
        kids: set[str] = set()
        for at, key in enumerate(issuer.keys):
            kid = str(key.get("kid", ""))
            if fault := import_module(SIGNATURE).fault_of(key):
                yield "token_issuers", index, ("keys", at), fault
            elif kid in kids:
                yield "token_issuers", index, ("keys", at), f"a second key '{kid}': its kid must tell it apart"
            kids.add(kid)


def _where(rows: Rows, section: str, index: int) -> str:
    file, place = rows.at(section, index)
    return f"{file.path}:{file.lines.line(place)}"


def _ids(rows: Rows) -> Found:
    """An id is given once and is not empty."""
    for section, word in (("users", "user"), ("tickets", "ticket"), ("pentest_windows", "pentest window")):
        seen: dict[str, int] = {}
        for index, row in enumerate(rows.sections[section]):
            if not row.id.strip():
                yield section, index, ("id",), f"a {word} with an empty id: give it one"
                continue
            first = seen.setdefault(row.id.casefold(), index)
            if first != index:
                yield (
                    section,
                    index,
                    ("id",),
                    (f"{word} '{row.id}' is declared already at {_where(rows, section, first)}: keep one"),
                )


def _identities(rows: Rows) -> Found:
    """A name in a system and an access key belong to one person (patterns may overlap: identify says "ambiguous")."""
    owner: dict[tuple[str, str], int] = {}
    for index, person in enumerate(rows.sections["users"]):
        for place, system, name in _names_of(person):
            if not name.strip():
                yield "users", index, place, f"an empty identity of '{person.id}': remove it"
                continue
            first = owner.setdefault((system, name), index)
            if first != index and rows.sections["users"][first].id != person.id:
                yield (
                    "users",
                    index,
                    place,
                    (
                        f"{system} '{name}' belongs already to '{rows.sections['users'][first].id}' "
                        f"({_where(rows, 'users', first)}): give it to one person"
                    ),
                )


def _names_of(person: Person) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for source, names in person.identities.items():
        for index, name in enumerate(names):
            if "*" not in name:
                yield ("identities", source, index), system_of(source), name.lower()
    for index, key in enumerate(person.access_keys):
        yield ("access_keys", index), "access key", key


def _patterns(rows: Rows) -> Found:
    """A pattern says something of its own: "*" would make everybody one person."""
    for index, person in enumerate(rows.sections["users"]):
        for source, names in person.identities.items():
            for at, name in enumerate(names):
                if "*" in name and not set(name.lower().replace("/", ":").replace("*", "").split(":")) - _ARN_WORDS:
                    place = ("identities", source, at)
                    yield (
                        "users",
                        index,
                        place,
                        f"'{name}' matches everybody: name a role, an account or a person in it",
                    )


def _systems(rows: Rows) -> Found:
    """A system that is nearly a known one is a slip of the pen."""
    known = (*SYSTEMS, *SYSTEM_OF)
    for index, person in enumerate(rows.sections["users"]):
        for system in person.identities:
            near = [] if system in known else get_close_matches(system.lower(), known, n=1, cutoff=0.75)
            if near:
                yield "users", index, ("identities", system), f"unknown system '{system}': did you mean '{near[0]}'?"


def _duplicate_roles(rows: Rows) -> Found:
    """A row says something of its own: rows of one name add up."""
    seen: dict[Role, int] = {}
    for index, role in enumerate(rows.sections["roles"]):
        first = seen.setdefault(role, index)
        if first != index:
            where = _where(rows, "roles", first)
            yield (
                "roles",
                index,
                ("name",),
                f"role '{role.name}' of {role.system} is declared already at {where}: keep one",
            )


def _role_names(rows: Rows) -> Found:
    """Roles that are held are declared, once roles are declared at all."""
    roles: list[Role] = rows.sections["roles"]
    if not roles:
        return
    known = {role.name for role in roles} | {f"{role.system}:{role.name}" for role in roles}
    for index, person in enumerate(rows.sections["users"]):
        for at, name in enumerate(person.roles):
            if name not in known:
                yield (
                    "users",
                    index,
                    ("roles", at),
                    f"'{person.id}' has role '{name}', which is not declared{near(name, known)}",
                )
    systems: defaultdict[str, set[str]] = defaultdict(set)
    for role in roles:
        systems[role.name].add(role.system)
    for section in ("temporary_grants", "role_changes"):
        for index, row in enumerate(rows.sections[section]):
            if row.role not in known:
                yield section, index, ("role",), f"role '{row.role}' is not declared{near(row.role, known)}"
            elif row.role in systems and row.system not in systems[row.role]:
                where = ", ".join(sorted(systems[row.role]))
                yield (
                    section,
                    index,
                    ("system",),
                    f"role '{row.role}' is declared for {where}, not for '{row.system}': correct it",
                )


def _role_users(rows: Rows) -> Found:
    """Who is given a role or a shift is declared."""
    known = {person.id for person in rows.sections["users"]}
    for section in ("temporary_grants", "role_changes", "oncall"):
        for index, row in enumerate(rows.sections[section]):
            if row.user not in known:
                yield section, index, ("user",), f"user '{row.user}' is not declared{near(row.user, known)}"


def _times(rows: Rows) -> Found:
    """Nothing ends before it starts."""
    for section, start, end in _SPANS:
        for index, row in enumerate(rows.sections[section]):
            first, last = getattr(row, start), getattr(row, end)
            if first is not None and last is not None and last < first:
                yield section, index, (end,), f"{end} is before {start}: correct one"
    for index, person in enumerate(rows.sections["users"]):
        for at, leave in enumerate(person.leave):
            if leave.end < leave.start:
                yield "users", index, ("leave", at), "leave ends before it starts: correct one"


def _conditions(rows: Rows) -> Found:
    """Hours are hours, days are days, networks are networks."""
    for index, role in enumerate(rows.sections["roles"]):
        asked = role.conditions
        if asked is None:
            continue
        if asked.hours and not _HOURS.fullmatch(asked.hours):
            yield "roles", index, ("conditions", "hours"), f"'{asked.hours}' is no span of hours: write 08:00-18:00"
        for at, day in enumerate(asked.weekdays):
            if day not in WEEKDAYS:
                yield "roles", index, ("conditions", "weekdays", at), f"'{day}': write one of {', '.join(WEEKDAYS)}"
        for at, text in enumerate(asked.networks):
            if text not in get_args(RangeKind) and (fault := _network_fault(text)):
                yield "roles", index, ("conditions", "networks", at), f"{fault}, or one of office, vpn, internal"


def _networks(rows: Rows) -> Found:
    """Networks are networks, and written once."""
    for section, key in (("ip_ranges", "cidr"), ("ip_geo", "prefix")):
        seen: dict[object, int] = {}
        for index, row in enumerate(rows.sections[section]):
            text = getattr(row, key)
            fault = _network_fault(text)
            if fault:
                yield section, index, (key,), fault
                continue
            first = seen.setdefault(ip_network(text), index)
            if first != index:
                yield (
                    section,
                    index,
                    (key,),
                    f"'{text}' is declared already at {_where(rows, section, first)}: keep one",
                )
    for index, window in enumerate(rows.sections["pentest_windows"]):
        for at, text in enumerate(window.source_ranges):
            if fault := _network_fault(text):
                yield "pentest_windows", index, ("source_ranges", at), fault


def _network_fault(text: str) -> str | None:
    try:
        ip_network(text)
    except ValueError as error:
        return f"'{text}' is no network ({error}): write one such as 10.0.0.0/8"
    return None


def _places(rows: Rows) -> Found:
    """Places are on Earth."""
    for index, row in enumerate(rows.sections["ip_geo"]):
        if row.country and not (len(row.country) == 2 and row.country.isascii() and row.country.isalpha()):
            yield (
                "ip_geo",
                index,
                ("country",),
                f"'{row.country}' is no country: write two letters such as DE (ISO 3166-1)",
            )
        for key, most in (("lat", 90), ("lon", 180)):
            value = getattr(row, key)
            if value is not None and not -most <= value <= most:
                yield "ip_geo", index, (key,), f"{key} {value} is outside -{most} to {most} degrees: correct it"


def _unknown_people(rows: Rows) -> Found:
    known = {person.id for person in rows.sections["users"]}
    for section, key in _PEOPLE:
        for index, row in enumerate(rows.sections[section]):
            name = getattr(row, key)
            if name and name not in known:
                yield section, index, (key,), f"{key} '{name}' is not declared{near(name, known)}"


def _unknown_tickets(rows: Rows) -> Found:
    known = {ticket.id for ticket in rows.sections["tickets"]}
    for section in ("temporary_grants", "role_changes", "pentest_windows"):
        for index, row in enumerate(rows.sections[section]):
            if row.ticket and row.ticket not in known:
                yield section, index, ("ticket",), f"ticket '{row.ticket}' is not declared{near(row.ticket, known)}"


_ARN_WORDS = frozenset({"", "arn", "aws", "aws-us-gov", "aws-cn", "iam", "sts", "user", "role", "assumed-role"})
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d")
_SPANS = (
    ("users", "start_date", "end_date"),
    ("temporary_grants", "start", "expires"),
    ("tickets", "window_start", "window_end"),
    ("oncall", "start", "end"),
    ("pentest_windows", "start", "end"),
)
_PEOPLE = (("users", "manager"), ("temporary_grants", "granted_by"), ("tickets", "requester"), ("tickets", "approver"))
