"""Mistakes in duties that are kept apart: roles nobody declared, one role twice, exceptions one makes oneself."""

from __future__ import annotations

from collections.abc import Iterator

from audit.context_people import system_of
from audit.context_read import Rows, near
from audit.context_schema import Role, Separation

SECTION = "separation_of_duties"
Found = Iterator[tuple[str, int, tuple[str | int, ...], str]]
"""Section, row, place within the row, and what is wrong."""


def separations(rows: Rows) -> Found:
    """A separation has a name of its own, two roles or more that are declared, and exceptions others agreed to."""
    roles: list[Role] = rows.sections["roles"]
    names: dict[str, frozenset[tuple[str, str]]] = {}
    for role in roles:
        one = frozenset({(system_of(role.system.lower()), role.name)})
        for name in {role.name, f"{role.system}:{role.name}", f"{system_of(role.system)}:{role.name}"}:
            names[name] = names.get(name, frozenset()) | one
    hands = {person.id: person.owner if person.kind == "service" else "" for person in rows.sections["users"]}
    seen: set[str] = set()
    for index, row in enumerate(rows.sections[SECTION]):
        if not row.name.strip() or row.name in seen:
            what = f"'{row.name}' is declared already" if row.name in seen else "a separation with an empty name"
            yield SECTION, index, ("name",), f"{what}: give it a name of its own"
        seen.add(row.name)
        yield from _roles(index, row, names)
        yield from _exceptions(index, row, hands)


def unknown_tickets(rows: Rows) -> Found:
    """Tickets of exceptions that the files do not hold."""
    known = {ticket.id for ticket in rows.sections["tickets"]}
    for index, row in enumerate(rows.sections[SECTION]):
        for at, one in enumerate(row.exceptions):
            if one.ticket and one.ticket not in known:
                what = f"ticket '{one.ticket}' is not declared{near(one.ticket, known)}"
                yield SECTION, index, ("exceptions", at, "ticket"), what


def _roles(index: int, row: Separation, names: dict[str, frozenset[tuple[str, str]]]) -> Found:
    taken: dict[tuple[str, str], int] = {}
    for at, name in enumerate(row.roles):
        if name not in names:
            what = f"role '{name}' is not declared{near(name, set(names))}"
            yield SECTION, index, ("roles", at), what
        for one in sorted(names.get(name, ())):
            if (first := taken.setdefault(one, at)) != at:
                what = f"'{name}' and '{row.roles[first]}' are the same role {one[0]}:{one[1]}: name each once"
                yield SECTION, index, ("roles", at), what
                break
    if len(row.roles) < 2:
        yield SECTION, index, ("roles",), f"'{row.name}' names one role or none: name the two or more kept apart"


def _exceptions(index: int, row: Separation, hands: dict[str, str]) -> Found:
    """`hands` has every declared id, with the owner of those that are a service's."""
    for at, one in enumerate(row.exceptions):
        place = ("exceptions", at)
        if one.user not in hands:
            yield SECTION, index, (*place, "user"), f"user '{one.user}' is not declared{near(one.user, set(hands))}"
        if not one.ticket.strip():
            yield SECTION, index, (*place, "ticket"), "an exception without a ticket: name it"
        if not one.approver.strip() or one.user in (one.approver, hands.get(one.approver)):
            what = f"the exception of '{one.user}' is approved by {one.approver or 'nobody'}: somebody else must"
            yield SECTION, index, (*place, "approver"), what
