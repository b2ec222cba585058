"""Separation of duties: which human holds two roles that are kept apart, by which accounts, and from when to when.

Held is what the authorization model says is held (own roles, a team's, grants, changes of roles; a flawed grant is
none), by the person and by the service accounts they own: an owner's program is the owner's hand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from audit.context import Context
from audit.context_schema import Exemption, Person, Role, Separation
from rules.access import access_of
from rules.access_compile import ALWAYS, FOREVER, Holding
from rules.access_conditions import Globs, flaw_of
from rules.paper_state import GRACE

Side = tuple[Separation, str]
"""A separation, and the one of its roles that is meant, as it names it."""


class Held(NamedTuple):
    """A role kept apart from others, in the hands of a declared account, until `end` (µs); an AWS role may be theirs
    by assuming it with the one of `holding`."""

    separation: Separation
    role: str
    account: str
    holding: Holding
    end: int

    def holds(self, time: int) -> bool:
        """Whether it is held at a time (µs); logs cut theirs."""
        return self.holding.start - GRACE <= time <= self.end


class Broken(NamedTuple):
    """Two roles of one separation that a human (an id) holds, from `start` to `end` (µs, both included)."""

    human: str
    one: Held
    other: Held

    @property
    def separation(self) -> Separation:
        """What keeps them apart."""
        return self.one.separation

    @property
    def start(self) -> int:
        """When the later of the two began."""
        return max(self.one.holding.start, self.other.holding.start)

    @property
    def end(self) -> int:
        """When the first of the two ends."""
        return min(self.one.end, self.other.end)

    def holds(self, time: int) -> bool:
        """Whether both are held at a time (µs)."""
        return self.start - GRACE <= time <= self.end


class Duties:
    """The separations of one context; who holds what is worked out when somebody is first asked about."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._access = access_of(context)
        self._tickets = {ticket.id: ticket for ticket in context.declared.tickets}
        self._sides: defaultdict[tuple[str, str], list[Side]] = defaultdict(list)
        self._apps: defaultdict[str, list[Side]] = defaultdict(list)
        for separation in context.declared.separation_of_duties:
            for name in separation.roles:
                rows = self._access.book.called(name)
                for key in {(row.system, row.role.name) for row in rows}:
                    self._sides[key].append((separation, name))
                for app in {_only_app(row.role) for row in rows if row.system == "okta"} - {""}:
                    self._apps[app].append((separation, name))
        self._owned: defaultdict[str, list[Person]] = defaultdict(list)
        for person in context.declared.users:
            if person.kind == "service" and person.owner:
                self._owned[person.owner].append(person)
        self._broken: dict[str, tuple[Broken, ...]] = {}

    def human(self, principal: str) -> str:
        """Whose hand an account is: its owner's, where it is a service of a declared person's, else its own."""
        person = self._context.person(principal)
        owned = person is not None and person.kind == "service" and self._context.person(person.owner) is not None
        return person.owner if person and owned else principal

    def broken(self, principal: str) -> tuple[Broken, ...]:
        """The pairs that the human behind an account holds, held or will hold; a look-up from the second time on."""
        found = self._broken.get(principal)
        if found is None:
            human = self.human(principal)
            found = tuple(_pairs(human, list(self.held(human)))) if self._sides else ()
            if self._context.person(principal) is not None:  # of strangers there is no end
                self._broken[principal] = found
        return found

    def held(self, human: str) -> Iterator[Held]:
        """What of the roles that are kept apart a human holds, held or will hold, under all accounts."""
        person = self._context.person(human)
        for account in (person, *self._owned.get(human, ())) if person else ():
            table = self._access.table(account.id)
            holdings = [each for listed in table.by_system.values() for each in listed] if table else []
            last = min(_end(person), _end(account))
            yield from _widest(
                [
                    Held(separation, role, account.id, holding, min(holding.end, last))
                    for holding in holdings
                    for separation, role in self._reached(holding)
                ]
            )

    def sides(self, system: str, role: str) -> list[Side]:
        """The separations a declared role belongs to, each with the name it has there."""
        return self._sides.get((system, role), [])

    def _reached(self, holding: Holding) -> Iterator[Side]:
        """The same of a role in somebody's hands, and of the AWS roles that it may assume."""
        if holding.flaw:
            return
        yield from self.sides(holding.row.system, holding.role.name)
        for pattern in holding.role.may_assume if holding.row.system == "aws" else ():
            for (system, role), sides in self._sides.items():
                if system == "aws" and role != holding.role.name and self._names(pattern, role):
                    yield from sides

    def _names(self, pattern: str, role: str) -> bool:
        """Whether a pattern of `may_assume` (a name or an ARN) is about a declared AWS role."""
        parts = pattern.split(":", 5)
        account = Globs([parts[4]]) if len(parts) == 6 else Globs(["*"])
        rows = (row for row in self._access.book.called(role) if row.system == "aws")
        named = Globs([pattern.rpartition("/")[2]]).match(role)
        return named and any(not row.account or account.match(row.account) for row in rows)

    def named(self, name: str, *systems: str) -> list[Side]:
        """The same of a role's name in some systems (in all, where none is given), letter case aside."""
        wanted = name.casefold()
        found = (
            side
            for (system, role), sides in self._sides.items()
            if role.casefold() == wanted and (not systems or system in systems)
            for side in sides
        )
        return list(dict.fromkeys(found))

    def of_application(self, name: str) -> list[Side]:
        """The same of the roles that are for one application of Okta's alone: who gets that, gets the role."""
        return self._apps.get(name.casefold(), [])

    def counterparts(self, human: str, side: Side, span: tuple[int, int]) -> list[Held]:
        """What a human holds in a span (µs) that is kept apart from a role they do not hold yet, exceptions aside."""
        separation, role = side
        if self.exemption(separation, human, span[0]):
            return []
        return [
            held
            for held in self.held(human)
            if held.separation is separation
            and held.role != role
            and held.holding.start - GRACE <= span[1]
            and span[0] <= held.end
        ]

    def exemption(self, separation: Separation, human: str, time: int) -> Exemption | None:
        """The exception by which somebody may hold both at a time (µs): in force, on a ticket that carries it."""
        return next((one for one in separation.exceptions if one.user == human and not self.lapsed(one, time)), None)

    def lapsed(self, one: Exemption, time: int) -> str:
        """Why an exception does not count at a time (µs); "" where it does. A ticket nobody declared is believed."""
        if time > one.until:
            return "it has ended"
        ticket = self._tickets.get(one.ticket)
        return (flaw_of(ticket, one.user, time) or "") if ticket else ""


@lru_cache(maxsize=2)
def duties_of(context: Context) -> Duties:
    """The separations of a context; compiled once."""
    return Duties(context)


def _widest(found: list[Held]) -> Iterator[Held]:
    """What an account holds, without what lies within another holding of that role: rows of one name, two grants."""
    reach: dict[Side, int] = {}
    for held in sorted(found, key=lambda held: (held.holding.start, -held.end)):
        side = held.separation, held.role
        if held.end > reach.get(side, ALWAYS):
            reach[side] = held.end
            yield held


def _end(person: Person | None) -> int:
    return person.end_date if person and person.end_date is not None else FOREVER


def _only_app(role: Role) -> str:
    return role.apps[0].casefold() if len(role.apps) == 1 else ""


def _pairs(human: str, held: list[Held]) -> Iterator[Broken]:
    for one, other in combinations(held, 2):
        if one.separation is other.separation and one.role != other.role:
            pair = Broken(human, one, other)
            if pair.start <= pair.end:
                yield pair
