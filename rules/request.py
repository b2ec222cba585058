"""Requests for access, looked at before anybody approves them: what is unusual about one, in words for the approver."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from audit.context import Context
from audit.context_people import system_of
from audit.context_schema import DAY, Person, Role, Ticket
from audit.event import MICROSECONDS
from rules.access_compile import FOREVER
from rules.declared import employment
from rules.paper_state import state_of
from rules.separation import duties_of
from rules.separation_finding import held_by

PENDING = frozenset({"", "open", "new", "pending", "requested", "waiting", "waiting_for_approval", "in_review"})
LEAST_PEERS = 3
"""Of a smaller team nothing is usual."""
EARLIEST, LATEST = 7, 20
"""Working hours, in the requester's time zone."""
LONGEST = 90 * DAY
"""Access asked for longer than that is for good."""
MOST_COUNTERPARTS = 3
FLAGGED = 30
"""From this score on somebody is told."""


class Remark(msgspec.Struct, frozen=True):
    """One unusual thing about a request; `points` of 100."""

    points: int
    text: str


class Review(msgspec.Struct, frozen=True):
    """A request with what is unusual about it, the worst first."""

    ticket: Ticket
    remarks: tuple[Remark, ...]

    @property
    def score(self) -> int:
        """0 (usual) to 100."""
        return min(100, sum(remark.points for remark in self.remarks))


def is_pending(ticket: Ticket) -> bool:
    """Whether a ticket asks for access and nobody has decided yet."""
    return ticket.type == "access" and ticket.approved_at is None and state_of(ticket) in PENDING


def review(ticket: Ticket, context: Context, under_risk: Collection[str] = ()) -> Review:
    """What is unusual about a request, as of the moment it was opened; `under_risk` are people with an open alert."""
    remarks = sorted(_remarks(ticket, context, under_risk), key=lambda remark: (-remark.points, remark.text))
    return Review(ticket, tuple(remarks))


def _remarks(ticket: Ticket, context: Context, under_risk: Collection[str]) -> Iterator[Remark]:
    who = ticket.subject or ticket.requester
    person = context.person(who)
    if person is None:
        yield Remark(40, f"{who or 'nobody'} is not declared")
    else:
        yield from _of_person(person, ticket)
        yield from _of_team(person, ticket, context)
        yield from _of_duties(person, ticket, context)
    for name in sorted({ticket.requester, who} & set(under_risk)):
        yield Remark(40, f"{name} has an open alert")
    if ticket.approver and ticket.approver in (ticket.requester, who):
        yield Remark(60, f"{ticket.approver} is to approve their own request")
    if not ticket.approver:
        yield Remark(10, "no approver is named")
    if not ticket.resource.strip("*"):
        yield Remark(30, "it does not say for what" if not ticket.resource else "it asks for everything")
    yield from _of_time(ticket, context.person(ticket.requester))


def _of_person(person: Person, ticket: Ticket) -> Iterator[Remark]:
    state = employment(person, ticket.opened)
    if state == "ended":
        yield Remark(60, f"{person.id} has left the company")
    elif state == "on_leave":
        yield Remark(20, f"{person.id} is on leave")
    if person.kind == "contractor" and person.end_date and (ticket.window_end or person.end_date + 1) > person.end_date:
        yield Remark(20, f"{person.id} is a contractor whose contract ends before the access does")


def _of_team(person: Person, ticket: Ticket, context: Context) -> Iterator[Remark]:
    """Who else holds the role that is asked for: nobody of the own team, or nobody but another team."""
    role = _role(ticket, context)
    if role is None or _holds(person, role):
        return
    if role.teams and person.team not in role.teams:
        yield Remark(40, f"{role.name} is for {', '.join(role.teams)}, {person.id} is of {person.team or 'no team'}")
        return
    users = context.declared.users
    team = [one for one in users if one.team == person.team and one.id != person.id and one.kind != "service"]
    if len(team) >= LEAST_PEERS:
        teams = {one.team for one in users if _holds(one, role)}
        if teams and person.team not in teams:
            yield Remark(30, f"none of {person.team}'s other {len(team)} people holds {role.name}")
    if role.actions == ("*",) or role.permission == "admin":
        yield Remark(20, f"{role.name} permits everything")


def _of_duties(person: Person, ticket: Ticket, context: Context) -> Iterator[Remark]:
    """What they hold, while the access is to last, that is to be kept apart from the role that is asked for."""
    if not context.declared.separation_of_duties:
        return
    duties = duties_of(context)
    human = duties.human(person.id)
    start = max(ticket.opened, ticket.window_start or ticket.opened)
    span = start, FOREVER if ticket.window_end is None else max(start, ticket.window_end)
    systems = (system_of(ticket.system.lower()),) if ticket.system else ()
    for separation, role in duties.named(ticket.resource, *systems):
        for held in duties.counterparts(human, (separation, role), span)[:MOST_COUNTERPARTS]:
            yield Remark(60, f"{role} is to be kept apart from {held.role} ({separation.name}): {held_by(human, held)}")


def _role(ticket: Ticket, context: Context) -> Role | None:
    """The declared role a request names."""
    system = system_of(ticket.system) if ticket.system else ""
    for role in context.declared.roles:
        if role.name == ticket.resource and system in ("", system_of(role.system)):
            return role
    return None


def _holds(person: Person, role: Role) -> bool:
    """Whether a person's own row names the role ("name" or "system:name")."""
    names = (role.name, f"{role.system}:{role.name}", f"{system_of(role.system)}:{role.name}")
    return any(name in names for name in person.roles)


def _of_time(ticket: Ticket, requester: Person | None) -> Iterator[Remark]:
    start = ticket.window_start or ticket.opened
    if ticket.window_end is None:
        yield Remark(10, "it has no end")
    elif ticket.window_end - start > LONGEST:
        yield Remark(20, f"it lasts {(ticket.window_end - start) // DAY} days")
    local = _local(ticket.opened, requester.timezone) if requester and requester.timezone else None
    if local and (local.weekday() > 4 or not EARLIEST <= local.hour < LATEST):
        yield Remark(20, f"it was written on a {local:%A} at {local:%H:%M}, the requester's time")


def _local(time: int, timezone: str) -> datetime | None:
    """A time in a zone; None in the last hours of the year 9999, which zones move beyond all calendars."""
    try:
        return datetime.fromtimestamp(time // MICROSECONDS, _zone(timezone))
    except OverflowError:
        return None


@lru_cache(maxsize=512)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
