"""Whether a piece of paper explains a deed: what of it does not fit, in words. Nothing left over: it does.

Actor, action, thing, system, time, state and approval all have to fit. Free text is never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Literal, NamedTuple

from audit.context import Context
from audit.context_people import system_of
from audit.context_schema import DAY, Grant, PentestWindow, Role, Shift, Ticket
from audit.event import MICROSECONDS, rfc3339
from rules.declared import employment
from rules.paper_actions import can_explain, gives_rights, is_beyond_paper, is_sign_in, outlasts_a_grant
from rules.paper_deed import Deed, fits

Paper = Ticket | Grant | PentestWindow
Kind = Literal[
    "action", "actor", "approval", "beyond", "place", "refused", "resource", "state", "system", "time", "vague"
]

APPROVED = frozenset({
    "approved", "scheduled", "in_progress", "implementing", "implemented", "active", "done", "completed", "closed",
    "resolved", "fulfilled",
})  # fmt: skip
"""States of paper that was agreed to. Any other (and none at all, where nobody approved it) explains nothing."""
REFUSED = frozenset({"rejected", "declined", "denied", "refused"})
"""States of paper that somebody said no to."""
GRACE = MICROSECONDS
"""Logs cut their times to the second, paper does not (µs)."""
OPEN_ENDED = DAY
"""How long paper counts that names no end (µs)."""
TWO_HANDS = {"access", "change", "helpdesk", "pentest"}
"""Types whose approver must be neither who acts nor who asked. An incident needs one other hand: asker or approver."""


class Doubt(NamedTuple):
    """One thing that does not fit."""

    kind: Kind
    text: str


class Desk(NamedTuple):
    """What is looked up while paper is weighed: the context, its tickets and roles by name, shifts by person.

    A role has a row for each sort of thing it permits.
    """

    context: Context
    tickets: dict[str, Ticket]
    roles: dict[tuple[str, str], list[Role]]
    shifts: dict[str, list[Shift]]


def doubts(paper: Paper, deed: Deed, desk: Desk) -> Iterator[Doubt]:
    """What does not fit; nothing when the paper explains the deed."""
    if isinstance(paper, Ticket):
        yield from _ticket(paper, deed, desk)
    elif isinstance(paper, Grant):
        yield from _grant(paper, deed, desk)
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
        if paper.granted_by == paper.user or not _is_somebody(paper.granted_by, paper.start, desk):
            yield Doubt("approval", f"role {paper.role} was granted by {paper.granted_by or 'nobody'}")
        yield from _in_time(window(paper), time, f"role {paper.role} was granted")
        if paper.ticket:
            yield from _behind(paper.ticket, actor, time, desk)
    else:
        yield from _in_time(window(paper), time, f"{paper.id} runs")
        yield from _behind(paper.ticket, actor, time, desk)


def evidence(paper: Paper) -> str:
    """The paper in one line."""
    if isinstance(paper, Ticket):
        by = f"approved by {paper.approver}" if paper.approver else f"opened by {paper.requester}"
        return f"{paper.type} {paper.id} {by} until {short(window(paper)[1])}"
    if isinstance(paper, Grant):
        ticket = f" ({paper.ticket})" if paper.ticket else ""
        return f"role {paper.role} granted by {paper.granted_by}{ticket} until {short(paper.expires)}"
    ticket = f" ({paper.ticket})" if paper.ticket else ""
    return f"pentest {paper.id}{ticket} from {', '.join(paper.source_ranges)} until {short(paper.end)}"


def window(paper: Paper) -> tuple[int, int]:
    """From when to when paper counts (µs): never before it was opened and approved."""
    if isinstance(paper, Grant):
        return paper.start, paper.expires
    if isinstance(paper, PentestWindow):
        return paper.start, paper.end
    start = max(paper.opened, paper.approved_at or paper.opened, paper.window_start or paper.opened)
    return start, paper.window_end if paper.window_end is not None else start + OPEN_ENDED


def short(time: int) -> str:
    """A time to the minute, UTC."""
    return rfc3339(time)[:16].replace("T", " ") + " UTC"


def _who(deed: Deed) -> Iterator[Doubt]:
    if deed.event.actor.identity not in ("verified", "asserted"):
        yield Doubt("actor", f"it is not certain that {deed.person.id} did it")
    if employment(deed.person, deed.event.time) not in ("current", "on_leave"):
        yield Doubt("actor", f"{deed.person.id} is not with the company")


def _beyond_paper(deed: Deed) -> Iterator[Doubt]:
    """What people look at whatever was approved."""
    if is_beyond_paper(deed.system, deed.action):
        yield Doubt("beyond", f"{deed.action} is left to people whatever was approved")
    if deed.administers:
        yield Doubt("beyond", f"rights of an administrator ({deed.administers}) are left to people")
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
    if not ticket.resource.strip("*"):
        yield Doubt("vague", f"{ticket.id} names no resource")
    elif not fits(ticket.resource, deed.things):
        yield Doubt("resource", f"{ticket.id} is about {ticket.resource}")
    if ticket.type == "pentest":
        yield Doubt("place", f"{ticket.id} alone does not say from where: it takes a pentest window")


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
    if ticket.type in TWO_HANDS and ticket.approver in (ticket.requester, actor):
        yield Doubt("approval", f"{ticket.id} was approved by {ticket.approver or 'nobody'}")
    elif not any(_is_somebody(name, ticket.opened, desk) for name in others - {actor, ""}):
        yield Doubt("approval", f"nobody else stands behind {ticket.id}")


def stands(ticket: Ticket) -> bool:
    """Whether a ticket is in a state of agreement, as far as its own words go."""
    state = state_of(ticket)
    silent = state == "" and (ticket.approved_at is not None or ticket.type == "incident")
    return state in APPROVED or silent or (ticket.type, state) == ("incident", "open")


def state_of(ticket: Ticket) -> str:
    """The state of a ticket as the sets here spell it: "In Progress" is in_progress."""
    return ticket.status.strip().lower().replace(" ", "_").replace("-", "_")


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


def _in_time(span: tuple[int, int], time: int, what: str) -> Iterator[Doubt]:
    start, end = span
    if time <= start - GRACE:
        yield Doubt("time", f"{what} only from {short(start)}")
    elif time > end:
        yield Doubt("time", f"{what} only until {short(end)}")


def _grant(grant: Grant, deed: Deed, desk: Desk) -> Iterator[Doubt]:
    if deed.person.id != grant.user:
        yield Doubt("actor", f"role {grant.role} is {grant.user}'s")
    if outlasts_a_grant(deed.system, deed.action):
        yield Doubt("beyond", f"{deed.action} outlasts the grant of role {grant.role}")
    yield from _at_home(deed)
    yield from _succeeded(deed)
    rows = desk.roles.get((system_of(grant.system), grant.role), [])
    if system_of(grant.system) != deed.system:
        yield Doubt("system", f"role {grant.role} is one of {grant.system}")
    elif not any(permits(row, deed) for row in rows):
        yield Doubt("resource", f"role {grant.role} does not permit {deed.action} here")


def permits(role: Role, deed: Deed) -> bool:
    """Whether a declared role permits a deed in its system; what it does not list it does not permit."""
    if role.account and role.account not in (deed.account, deed.event.account):
        return False
    if deed.system == "k8s":
        verb, _, thing = deed.action.partition(" ")
        space = deed.event.resource.name.partition("/")[0] if deed.event.resource else ""
        return _any(role.verbs, verb) and _any(role.resources, thing) and _any(role.namespaces, space)
    if not _any(role.actions, deed.action):
        return False
    return "*" in role.resources or any(fits(pattern, deed.things) for pattern in role.resources)


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return any(fits(pattern, (name.lower(),)) for pattern in patterns)


def _pentest(test: PentestWindow, deed: Deed) -> Iterator[Doubt]:
    if deed.person.id not in test.testers:
        yield Doubt("actor", f"{deed.person.id} is not a tester of {test.id}")
    address = deed.event.source_ip
    if not address or not _within(address, test.source_ranges):
        yield Doubt("place", f"it came from {address or 'nowhere'}, {test.id} from {', '.join(test.source_ranges)}")
    scope = {deed.system, deed.event.source, deed.account, *deed.things} - {""}
    if not any(fits(pattern, scope) for pattern in test.scope if pattern.strip("*")):
        yield Doubt("resource", f"the scope of {test.id} is {', '.join(test.scope) or 'empty'}")


def _within(address: str, ranges: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(address) in ip_network(one, strict=False) for one in ranges)
    except ValueError:
        return False


def _behind(name: str, actor: str, time: int, desk: Desk) -> Iterator[Doubt]:
    """The ticket that a grant or a test rests on."""
    ticket = desk.tickets.get(name)
    if ticket is None:
        yield Doubt("approval", f"the ticket behind it is not declared: {name or 'none'}")
    else:
        yield from standing(ticket, actor, time, desk)


_MARKS = str.maketrans("(),", "   ")
