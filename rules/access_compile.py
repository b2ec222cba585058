"""Declared roles as look-ups: which deeds of a system each allows, on what, and who holds it from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from audit.context_people import system_of
from audit.context_schema import (
    Company,
    Conditions,
    Declared,
    Grant,
    PentestWindow,
    Person,
    Role,
    RoleChange,
    Ticket,
)
from rules.access_asked import LEVELS, SSO, WHOLE, arn_names, level, plain_aws
from rules.access_conditions import Globs, flaw_of
from rules.paper_state import GRACE

ALWAYS = -(1 << 62)
FOREVER = 1 << 62


class Actions(Protocol):
    """Tells which actions a rule is about: globs, verbs on kinds of thing, or a level."""

    def match(self, name: str) -> bool:
        """Whether it is about this one."""


class Verbs:
    """Kubernetes: verbs on kinds of resource, asked as "get pods/log"."""

    __slots__ = ("_resources", "_verbs")

    def __init__(self, role: Role) -> None:
        named = (name if name.startswith("/") else _without_group(name) for name in role.resources)
        self._verbs, self._resources = Globs(role.verbs), Globs(named)

    def match(self, name: str) -> bool:
        """Whether both fit."""
        verb, _, resource = name.partition(" ")
        return self._verbs.match(verb) and self._resources.match(resource)


def _without_group(name: str) -> str:
    """A kind of resource without its API group: deployments.apps is deployments, and pods/log stays."""
    kind, sign, sub = name.partition("/")
    return f"{kind.partition('.')[0]}{sign}{sub}"


class UpTo:
    """GitHub: everything that takes at most a permission."""

    __slots__ = ("_most",)

    def __init__(self, permission: str) -> None:
        self._most = LEVELS.index(permission) if permission in LEVELS else _OTHER_LEVELS.get(permission, 0)

    def match(self, name: str) -> bool:
        """Whether it takes no more."""
        return level(name) <= self._most


class Allowed(NamedTuple):
    """Actions, and on what: None is anything; `personal` are patterns in which ${user} stands for the holder's id."""

    actions: Actions
    on: Globs | None
    personal: tuple[str, ...] = ()


class Row:
    """A declared role; its patterns are compiled when they are first asked for."""

    __slots__ = ("_allowed", "_company", "account", "role", "system")

    def __init__(self, role: Role, company: Company) -> None:
        self.role = role
        self.system = system_of(role.system.lower())
        self.account = company.aws_accounts.get(role.account, role.account.strip("*"))
        self._company = company
        self._allowed: tuple[Allowed, ...] | None = None

    @property
    def allowed(self) -> tuple[Allowed, ...]:
        """What it allows."""
        if self._allowed is None:
            self._allowed = tuple(_ALLOWED.get(self.system, _others)(self.role, self._company))
        return self._allowed

    def of(self, action: str) -> Iterator[Allowed]:
        """What it allows of an action."""
        return (one for one in self.allowed if one.actions.match(action))


class Holding:
    """A role in somebody's hands, from `start` to `end` (µs, both included).

    `paper` is the grant or change it comes from, None where the person's own row names it. `flaw` says why it does not
    count ("" where it does), `plain` that nothing but time and resource need be asked.
    """

    __slots__ = ("end", "flaw", "own", "paper", "plain", "row", "start")

    def __init__(
        self,
        row: Row,
        span: tuple[int, int],
        paper: Grant | RoleChange | None = None,
        own: bool = False,
        flaw: str = "",
    ) -> None:
        self.row, self.paper, self.own, self.flaw = row, paper, own, flaw
        self.start, self.end = span
        self.plain = not flaw and row.role.conditions is None and not row.role.break_glass

    @property
    def role(self) -> Role:
        """The role as it is declared."""
        return self.row.role

    @property
    def conditions(self) -> Conditions | None:
        """When it counts."""
        return self.row.role.conditions

    def holds(self, time: int) -> bool:
        """Whether it is held at a time; logs cut theirs."""
        return self.start - GRACE <= time <= self.end

    def order(self) -> tuple[bool, bool, bool, bool, int]:
        """What is asked first: what needs no more questions, and ends last."""
        role = self.row.role
        return bool(self.flaw), role.break_glass, role.conditions is not None, self.paper is not None, -self.end


class Book:
    """All roles, and who holds which."""

    def __init__(self, declared: Declared) -> None:
        self.rows = [Row(role, declared.company) for role in declared.roles]
        self._by_name: dict[str, list[Row]] = {}
        for row in self.rows:
            for name in {row.role.name, f"{row.role.system}:{row.role.name}", f"{row.system}:{row.role.name}"}:
                self._by_name.setdefault(name, []).append(row)
        self._tickets = {ticket.id: ticket for ticket in declared.tickets}
        self._papers: dict[str, list[Grant | RoleChange]] = {}
        papers: tuple[Grant | RoleChange, ...] = (*declared.role_changes, *declared.temporary_grants)
        for paper in papers:
            self._papers.setdefault(paper.user, []).append(paper)
        named = {name for person in declared.users for name in person.roles}
        named |= {paper.role for paper in papers}
        self._by_team = [row for row in self.rows if _for_a_team(row.role, named)]

    def called(self, name: str) -> list[Row]:
        """The roles of a name ("name" or "system:name")."""
        return self._by_name.get(name, [])

    def holdings(self, person: Person) -> list[Holding]:
        """Everything somebody holds, held, or will hold."""
        found = [Holding(row, (ALWAYS, FOREVER), own=True) for name in person.roles for row in self.called(name)]
        found += [Holding(row, (ALWAYS, FOREVER)) for row in self._by_team if _is_of(person, row.role)]
        for paper in self._papers.get(person.id, ()):
            for row in self.called(paper.role):
                if row.system == system_of(paper.system.lower()):
                    found += self._papered(row, paper)
        return sorted(found, key=Holding.order)

    def _papered(self, row: Row, paper: Grant | RoleChange) -> list[Holding]:
        """The holdings a grant gives: from its ticket's approval on, and before that a flawed one."""
        start, end = (paper.start, paper.expires) if isinstance(paper, Grant) else (paper.effective, FOREVER)
        ticket = self._tickets.get(paper.ticket)
        flaw = _flaw_of(ticket, paper, start) if ticket else None
        if isinstance(paper, Grant) and paper.granted_by == paper.user:
            return [Holding(row, (start, end), paper, flaw=f"{paper.user} granted it to themselves")]
        if ticket is None or flaw is None:
            return [Holding(row, (start, end), paper)]
        later = max(ticket.approved_at or 0, ticket.opened)
        if later > start and later < end and _flaw_of(ticket, paper, later) is None:
            return [Holding(row, (start, later - 1), paper, flaw=flaw), Holding(row, (later, end), paper)]
        return [Holding(row, (start, end), paper, flaw=flaw)]

    def is_off(self, window: PentestWindow, time: int) -> bool:
        """Whether the ticket of an announced test was not agreed to, or one of its testers approved it."""
        ticket = self._tickets.get(window.ticket)
        return ticket is not None and (flaw_of(ticket, "", time) is not None or ticket.approver in window.testers)

    def ticket(self, paper: Grant | RoleChange) -> Ticket | None:
        """The ticket a grant rests on."""
        return self._tickets.get(paper.ticket)


def _flaw_of(ticket: Ticket, paper: Grant | RoleChange, time: int) -> str | None:
    """Why a grant does not count with its ticket: that is about somebody else, or carries nothing.

    One ticket may move somebody in all systems; a grant for a time is of one.
    """
    if ticket.subject and paper.user not in (ticket.subject, ticket.requester):
        return f"ticket {ticket.id} is about {ticket.subject}"
    elsewhere = ticket.system and system_of(ticket.system.lower()) != system_of(paper.system.lower())
    if elsewhere and isinstance(paper, Grant):
        return f"ticket {ticket.id} is about {ticket.system}"
    return flaw_of(ticket, paper.user, time)


def _for_a_team(role: Role, named: set[str]) -> bool:
    """Whether a role is a team's: it names one, and nobody is given it by name."""
    return bool(role.teams or role.squad) and not named & {role.name, f"{role.system}:{role.name}"}


def _is_of(person: Person, role: Role) -> bool:
    return (not role.teams or person.team in role.teams) and (not role.squad or person.squad == role.squad)


def _aws(role: Role, company: Company) -> Iterable[Allowed]:
    if role.actions:
        actions = (action if ":" in action or action == "*" else f"*:{action}" for action in role.actions)
        yield _on(Globs(map(plain_aws, actions)), [name for arn in role.resources for name in arn_names(arn)])
    if role.may_assume:
        names = (name if name.startswith("arn:") or name == "*" else f"*/{name}" for name in role.may_assume)
        yield _on(Globs(["sts:assumerole", "sts:assumerolewith*"]), names)


def _k8s(role: Role, company: Company) -> Iterable[Allowed]:
    if role.verbs and role.resources:
        yield _on(Verbs(role), role.namespaces)


def _github(role: Role, company: Company) -> Iterable[Allowed]:
    names = [name.lower() for name in role.repos]
    names += [f"{company.github_org.lower()}/{name}" for name in names if "/" not in name and name != "*"]
    if role.permission:
        yield _on(UpTo(role.permission.lower()), names)
    if role.actions:
        yield _on(Globs(role.actions), [*names, WHOLE] if names else [])


def _okta(role: Role, company: Company) -> Iterable[Allowed]:
    if role.apps:
        yield _on(Globs([SSO]), [app.lower() for app in role.apps])
    if role.actions:
        yield _on(Globs(role.actions), role.resources)


def _others(role: Role, company: Company) -> Iterable[Allowed]:
    if role.actions or role.verbs:
        yield _on(Globs((*role.actions, *role.verbs)), role.resources)
    if role.apps:
        yield _on(Globs(["*"]), role.apps)


def _on(actions: Actions, names: Iterable[str]) -> Allowed:
    listed = list(names)
    personal = tuple(name for name in listed if _USER in name)
    plain = [name for name in listed if _USER not in name]
    return Allowed(actions, Globs(plain) if listed and "*" not in listed else None, personal)


def of_holder(patterns: Iterable[str], person: Person) -> Globs:
    """Patterns with the holder's id in them."""
    return Globs(pattern.replace(_USER, person.id) for pattern in patterns)


_USER = "${user}"
_ALLOWED = {"aws": _aws, "k8s": _k8s, "github": _github, "okta": _okta}
_OTHER_LEVELS = {"pull": 0, "triage": 0, "push": 1, "maintain": 1, "owner": 2}
