"""Whether a piece of paper explains a deed: what of it does not fit, in words. Nothing left over: it does.

Actor, action, thing, system, time, state and approval all have to fit. Free text is never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Literal, NamedTuple

from audit.context import Context
from audit.context_people import system_of
from audit.context_schema import DAY, Grant, PentestWindow, Role, RoleChange, Shift, Ticket
from audit.event import rfc3339
from rules.declared import employment
from rules.paper_actions import can_explain, gives_rights, is_beyond_paper, is_sign_in, outlasts_a_grant
from rules.paper_deed import Deed, fits, says_something
from rules.paper_state import GRACE, OPEN_ENDED, REFUSED, stands, state_of

Paper = Ticket | Grant | PentestWindow | RoleChange
Kind = Literal[
    "action",
    "actor",
    "approval",
    "beyond",
    "new",
    "place",
    "refused",
    "resource",
    "rights",
    "state",
    "system",
    "time",
    "vague",
]

NEW = 14 * DAY
"""How long a role given for good is new (µs)."""
TWO_HANDS = {"access", "change", "helpdesk", "pentest"}
"""Types whose approver must be neither who acts nor who asked. An incident needs one other hand: asker or approver."""


class Doubt(NamedTuple):
    """One thing that does not fit."""

    kind: Kind
    text: str


class Desk(NamedTuple):
    """What is looked up while paper is weighed: the context, its tickets and roles by name, shifts and changes of roles
    by person. A role has a row for each sort of thing it permits."""

    context: Context
    tickets: dict[str, Ticket]
    roles: dict[tuple[str, str], list[Role]]
    shifts: dict[str, list[Shift]]
    changes: dict[str, list[RoleChange]]


def doubts(paper: Paper, deed: Deed, desk: Desk) -> Iterator[Doubt]:
    """What does not fit; nothing when the paper explains the deed."""
    if isinstance(paper, Ticket):
        yield from _ticket(paper, deed, desk)
    elif isinstance(paper, Grant):
        yield from _grant(paper, deed)
    elif isinstance(paper, RoleChange):
        yield from _new_role(paper, deed, desk)
    else:
        yield from _pentest(paper, deed)
    yield from standing(paper, deed.person.id, deed.event.time, desk)
    yield from _who(deed)
    yield from _beyond_paper(deed)


def standing(paper: Paper, actor: str, time: int, desk: Desk) -> Iterator[Doubt]:
    """What speaks against the paper itself, whatever was done on it at a time (µs): its window, state and approval."""
    if isinstance(paper, Ticket):
        yield from _agreed(paper, actor, desk)
        yield from _in_time(window(paper), time, f"{paper.id} counts")
    elif isinstance(paper, Grant):
        if _human(paper.granted_by, desk) == _human(paper.user, desk) or not _is_somebody(
            paper.granted_by, paper.start, desk
        ):
            yield Doubt("approval", f"role {paper.role} was granted by {paper.granted_by or 'nobody'}")
        yield from _in_time(window(paper), time, f"role {paper.role} was granted")
        if paper.ticket:
            yield from _behind(paper, actor, time, desk)
    elif isinstance(paper, RoleChange):
        yield from _in_time(window(paper), time, f"role {paper.role} is new")
        yield from _behind(paper, actor, None, desk)
    else:
        yield from _in_time(window(paper), time, f"{paper.id} runs")
        yield from _behind(paper, actor, time, desk)


def evidence(paper: Paper) -> str:
    """The paper in one line."""
    if isinstance(paper, Ticket):
        by = f"approved by {paper.approver}" if paper.approver else f"opened by {paper.requester}"
        return f"{paper.type} {paper.id} {by} until {short(window(paper)[1])}"
    if isinstance(paper, Grant):
        ticket = f" ({paper.ticket})" if paper.ticket else ""
        return f"role {paper.role} granted by {paper.granted_by}{ticket} until {short(paper.expires)}"
    if isinstance(paper, RoleChange):
        return f"role {paper.role} held since {short(paper.effective)} ({paper.ticket or 'no ticket'})"
    ticket = f" ({paper.ticket})" if paper.ticket else ""
    return f"pentest {paper.id}{ticket} from {', '.join(paper.source_ranges)} until {short(paper.end)}"


def window(paper: Paper) -> tuple[int, int]:
    """From when to when paper counts (µs): never before it was opened and approved."""
    if isinstance(paper, Grant):
        return paper.start, paper.expires
    if isinstance(paper, RoleChange):
        return paper.effective, paper.effective + NEW
    if isinstance(paper, PentestWindow):
        return paper.start, paper.end
    start = max(paper.opened, paper.approved_at or paper.opened, paper.window_start or paper.opened)
    return start, paper.window_end if paper.window_end is not None else start + OPEN_ENDED


def short(time: int) -> str:
    """A time to the minute, UTC."""
    return rfc3339(time)[:16].replace("T", " ") + " UTC"


def _who(deed: Deed) -> Iterator[Doubt]:
    declared = deed.event.actor.id == deed.person.id
    if deed.event.actor.identity not in (("verified",) if declared else ("verified", "asserted")):
        yield Doubt("actor", f"it is not certain that {deed.person.id} did it")
    if employment(deed.person, deed.event.time) not in ("current", "on_leave"):
        yield Doubt("actor", f"{deed.person.id} is not with the company")


def _beyond_paper(deed: Deed) -> Iterator[Doubt]:
    """What people look at whatever was approved."""
    if is_beyond_paper(deed.system, deed.action):
        yield Doubt("beyond", f"{deed.action} is left to people whatever was approved")
    if deed.administers:
        yield Doubt("beyond", f"rights of an administrator ({deed.administers}) are left to people")
    if deed.lets_in:
        yield Doubt("beyond", f"access for {deed.lets_in} is left to people")
    if deed.to_themselves and gives_rights(deed.system, deed.action):
        yield Doubt("beyond", f"{deed.person.id} gave themselves rights")


def _at_home(deed: Deed) -> Iterator[Doubt]:
    if deed.elsewhere:
        yield Doubt("place", f"it was done from {deed.elsewhere}, {deed.person.id} belongs to {deed.person.country}")


def _succeeded(deed: Deed) -> Iterator[Doubt]:
    if deed.refused:
        yield Doubt("action", "it was refused: nobody approves what is not permitted")


def _ticket(ticket: Ticket, deed: Deed, desk: Desk) -> Iterator[Doubt]:
    if not (ticket.type == "incident" and is_sign_in(deed.system, deed.action)):
        yield from _about(ticket, deed)
    yield from _actor_of(ticket, deed, desk)
    yield from _at_home(deed)
    yield from _succeeded(deed)


def _about(ticket: Ticket, deed: Deed) -> Iterator[Doubt]:
    """The system, the sort of action and the thing."""
    if ticket.system and system_of(ticket.system) != deed.system:
        yield Doubt("system", f"{ticket.id} is about {ticket.system}")
    if not can_explain(ticket.type, deed.system, deed.action):
        yield Doubt("action", f"a ticket of type {ticket.type} does not explain {deed.action}")
    if ticket.resource or ticket.type != "helpdesk":  # which may be about its subject alone: _actor_of sees to that
        yield from _about_the_thing(ticket, deed)
    if ticket.type == "pentest":
        yield Doubt("place", f"{ticket.id} alone does not say from where: it takes a pentest window")


def _about_the_thing(ticket: Ticket, deed: Deed) -> Iterator[Doubt]:
    if not says_something(ticket.resource):
        yield Doubt("vague", f"{ticket.id} names no resource")
    elif not all(fits(ticket.resource, names) for names in (_named(ticket, deed), *deed.more)):
        kind: Kind = "rights" if gives_rights(deed.system, deed.action) else "resource"
        yield Doubt(kind, f"{ticket.id} is about {ticket.resource}")


def _named(ticket: Ticket, deed: Deed) -> frozenset[str]:
    """The names by which a ticket may be about a deed.

    Rights are not what their receiver is called. A ticket that names a role explains what is done in its sessions, but
    neither rights nor credentials that are given in them.
    """
    things = deed.things - deed.receiver if gives_rights(deed.system, deed.action) else deed.things
    lasting = "*" in ticket.resource or outlasts_a_grant(deed.system, deed.action)
    return things if lasting else things | deed.session


def _actor_of(ticket: Ticket, deed: Deed, desk: Desk) -> Iterator[Doubt]:
    """Who asked, or whom it is about; helpdesk and access also whoever works them off."""
    actor, target = deed.person.id, deed.event.target
    own = actor in (ticket.requester, ticket.subject)
    if ticket.type == "incident" and not any(one.start <= deed.event.time <= one.end for one in _shifts(actor, desk)):
        yield Doubt("actor", f"{actor} is not on call")
    if ticket.type not in ("access", "helpdesk"):
        if not own:
            yield Doubt("actor", f"{ticket.id} is of {ticket.requester}")
        return
    if target and target.id != ticket.subject:
        yield Doubt("resource", f"{ticket.id} is about {ticket.subject or 'nobody'}")
    person = desk.context.person(target.id) if target else None
    if person and employment(person, deed.event.time) == "ended":
        yield Doubt("beyond", f"{person.id}, whom it is for, is not with the company")
    if ticket.type == "helpdesk" and (own or not target):
        yield Doubt("actor", f"{actor} serves no ticket of their own")
    elif not own and not (target and _serves(ticket, deed, desk)):
        yield Doubt(
            "actor", f"{actor} is not of {ticket.approver or 'nobody'}'s team, and no role of theirs is for this"
        )


def _serves(ticket: Ticket, deed: Deed, desk: Desk) -> bool:
    """Whether somebody works off tickets: in the approver's team, or in a declared role with just this action."""
    approver, person = desk.context.person(ticket.approver), deed.person
    if approver and approver.team and approver.team == person.team:
        return True
    rows = (row for name in person.roles for row in desk.roles.get((deed.system, name), ()))
    return any(_any(row.actions, deed.action) for row in rows)


def _shifts(person: str, desk: Desk) -> list[Shift]:
    return desk.shifts.get(person, [])


def _agreed(ticket: Ticket, actor: str, desk: Desk) -> Iterator[Doubt]:
    """In a state of agreement, by somebody else."""
    if not stands(ticket):
        kind: Kind = "refused" if state_of(ticket) in REFUSED else "state"
        yield Doubt(kind, f"{ticket.id} is {ticket.status or 'not approved'}")
    others = {ticket.approver} if ticket.type in TWO_HANDS else {ticket.approver, ticket.requester}
    concerned = {_human(name, desk) for name in (ticket.requester, ticket.subject, actor)}
    if ticket.type in TWO_HANDS and _human(ticket.approver, desk) in concerned:
        yield Doubt("approval", f"{ticket.id} was approved by {ticket.approver or 'nobody'}")
    elif not any(
        _is_somebody(name, ticket.opened, desk) for name in others if _human(name, desk) != _human(actor, desk)
    ):
        yield Doubt("approval", f"nobody else stands behind {ticket.id}")


def withdrawn(explained: str, tickets: Iterable[Ticket]) -> str:
    """What became of the paper that `evidence` named: "" while it stands, else why it explains nothing any more.

    A ticket that is not declared any more is an old one, and still explains.
    """
    text = _bare(explained)
    gone = next((one for one in tickets if not stands(one) and _bare(one.id) in text), None)
    return f"{gone.id} is {gone.status or 'not approved any more'}" if gone else ""


def _bare(text: str) -> str:
    """The words alone, a blank before and after each."""
    return f" {' '.join(text.translate(_MARKS).split())} "


def _is_somebody(name: str, time: int, desk: Desk) -> bool:
    """Whether a name is that of a person who was with the company."""
    person = desk.context.person(name)
    return person is not None and person.kind != "service" and employment(person, time) in ("current", "on_leave")


def _human(name: str, desk: Desk) -> str:
    """Whose an account is: people may have a second one, declared as owned by the first."""
    person = desk.context.person(name)
    return person.owner if person and person.owner and person.kind != "service" else name


def _in_time(span: tuple[int, int], time: int, what: str) -> Iterator[Doubt]:
    start, end = span
    if time <= start - GRACE:
        yield Doubt("time", f"{what} only from {short(start)}")
    elif time > end:
        yield Doubt("time", f"{what} only until {short(end)}")


def _grant(grant: Grant, deed: Deed) -> Iterator[Doubt]:
    if deed.person.id != grant.user:
        yield Doubt("actor", f"role {grant.role} is {grant.user}'s")
    if outlasts_a_grant(deed.system, deed.action):
        yield Doubt("beyond", f"{deed.action} outlasts the grant of role {grant.role}")
    yield from _at_home(deed)
    yield from _succeeded(deed)
    if system_of(grant.system) != deed.system:
        yield Doubt("system", f"role {grant.role} is one of {grant.system}")
    elif all(holding.paper != grant for holding in deed.allowed_by):
        yield Doubt("resource", f"role {grant.role} does not permit {deed.action} here")


def _new_role(change: RoleChange, deed: Deed, desk: Desk) -> Iterator[Doubt]:
    """At best it says why things are new to somebody: what is done with a role nobody asked for."""
    if deed.person.id != change.user:
        yield Doubt("actor", f"role {change.role} is {change.user}'s")
    yield from _at_home(deed)
    yield from _succeeded(deed)
    if all(holding.paper != change for holding in deed.allowed_by) or not _only_by_new_roles(deed, desk):
        yield Doubt("action", f"it takes no new role to do {deed.action}")
    yield Doubt("new", f"that role {change.role} is new explains why things are, not what is done with them")


def _only_by_new_roles(deed: Deed, desk: Desk) -> bool:
    time = deed.event.time
    given = desk.changes.get(deed.person.id, ())
    new = {(system_of(one.system), one.role) for one in given if one.effective - GRACE <= time <= one.effective + NEW}
    allowing = {(holding.row.system, holding.role.name) for holding in deed.allowed_by}
    return bool(allowing) and allowing <= new


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return any(fits(pattern, (name.lower(),)) for pattern in patterns)


def _pentest(test: PentestWindow, deed: Deed) -> Iterator[Doubt]:
    if deed.person.id not in test.testers:
        yield Doubt("actor", f"{deed.person.id} is not a tester of {test.id}")
    address = deed.event.source_ip
    if not address or not _within(address, test.source_ranges):
        yield Doubt("place", f"it came from {address or 'nowhere'}, {test.id} from {', '.join(test.source_ranges)}")
    scope = {deed.system, deed.event.source, deed.account, *deed.things} - {""}
    if not any(fits(pattern, scope) for pattern in test.scope if says_something(pattern)):
        yield Doubt("resource", f"the scope of {test.id} is {', '.join(test.scope) or 'empty'}")


def _within(address: str, ranges: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(address) in ip_network(one, strict=False) for one in ranges)
    except ValueError:
        return False


def _behind(paper: Grant | PentestWindow | RoleChange, actor: str, time: int | None, desk: Desk) -> Iterator[Doubt]:
    """The ticket that a grant, a test or a change of roles rests on; without a time its window does not count."""
    ticket = desk.tickets.get(paper.ticket)
    if ticket is None:
        yield Doubt("approval", f"the ticket behind it is not declared: {paper.ticket or 'none'}")
        return
    if not isinstance(paper, PentestWindow):
        if paper.user not in (ticket.requester, ticket.subject):
            yield Doubt("approval", f"{ticket.id} behind it is of {ticket.requester or 'nobody'}")
        elsewhere = ticket.system and system_of(ticket.system) != system_of(paper.system)
        if elsewhere and isinstance(paper, Grant):  # a ticket that moves somebody is about all systems
            yield Doubt("approval", f"{ticket.id} behind it is about {ticket.system}")
    if time is None:
        yield from _agreed(ticket, actor, desk)
    else:
        yield from standing(ticket, actor, time, desk)


_MARKS = str.maketrans("(),", "   ")
