"""When a role counts: hours, networks, a second factor, a ticket, nothing sensitive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from audit.context import Context
from audit.context_people import LONGEST_NAME, glob_matches, system_of
from audit.context_schema import WEEKDAYS, Conditions, Person, Ticket
from audit.event import MICROSECONDS, AuditEvent
from rules.paper_state import GRACE, OPEN_ENDED, stands


class Facts(NamedTuple):
    """What a condition is held against."""

    event: AuditEvent
    record: Mapping[str, Any]
    person: Person
    context: Context
    sensitive: bool


def unmet(conditions: Conditions, facts: Facts) -> str | None:
    """Why a role does not count for a deed, in plain words; None where it does.

    What the log does not tell (a second factor, mostly) is not held against anybody.
    """
    event, person = facts.event, facts.person
    if conditions.hours and not _within(conditions.hours, _local(event.time, person.timezone)):
        return f"only at {conditions.hours}"
    if conditions.weekdays and WEEKDAYS[_local(event.time, person.timezone).weekday()] not in conditions.weekdays:
        return f"only on {', '.join(conditions.weekdays)}"
    if conditions.networks and not _inside(conditions.networks, event.source_ip, facts.context):
        return f"only from {', '.join(conditions.networks)}, not from {event.source_ip or 'an unknown address'}"
    if conditions.mfa and second_factor(facts.record) is False:
        return "only with a second factor"
    if conditions.ticket and not ticket_of(person.id, event, facts.context):
        return "only with an approved ticket, and there is none"
    return "not on what is sensitive" if facts.sensitive and not conditions.sensitive else None


def second_factor(record: Mapping[str, Any]) -> bool | None:
    """Whether an AWS session was begun with a second factor; None where the log does not tell."""
    who = record.get("userIdentity")
    session = who.get("sessionContext") if isinstance(who, dict) else None
    attributes = session.get("attributes") if isinstance(session, dict) else None
    stated = attributes.get("mfaAuthenticated") if isinstance(attributes, dict) else None
    return None if stated is None else stated in ("true", True)


def ticket_of(user: str, event: AuditEvent, context: Context) -> Ticket | None:
    """An approved ticket of somebody's for the system, whose window is open."""
    system = system_of(event.source)
    for ticket in tickets_by_user(context).get(user, ()):
        if ticket.system and system_of(ticket.system) != system:
            continue
        if flaw_of(ticket, user, event.time) is None and _open(ticket, event.time):
            return ticket
    return None


def flaw_of(ticket: Ticket, user: str, time: int) -> str | None:
    """Why a ticket carries nothing for somebody at a time: not approved, or approved by whom it serves."""
    if ticket.status and not stands(ticket):
        return f"ticket {ticket.id} is {ticket.status}"
    if ticket.approver and ticket.approver in (user, ticket.requester):
        return f"{ticket.approver} approved ticket {ticket.id}, which serves them"
    if ticket.approved_at is not None and ticket.approved_at > time:
        return f"ticket {ticket.id} was approved only later"
    return f"ticket {ticket.id} was opened only later" if ticket.opened > time else None


def _open(ticket: Ticket, time: int) -> bool:
    begin = ticket.window_start if ticket.window_start is not None else ticket.opened
    approved = ticket.approved_at if ticket.approved_at is not None else ticket.opened
    end = ticket.window_end if ticket.window_end is not None else approved + OPEN_ENDED
    return begin - GRACE <= time <= end


@lru_cache(maxsize=2)
def tickets_by_user(context: Context) -> dict[str, list[Ticket]]:
    """The tickets that somebody asked for, or that are about them."""
    found: dict[str, list[Ticket]] = {}
    for ticket in context.declared.tickets:
        for user in {ticket.requester, ticket.subject} - {""}:
            found.setdefault(user, []).append(ticket)
    return found


class Globs:
    """Names and patterns in which * stands for any run of characters; what was asked is remembered, to a bound.

    Patterns that name a service ("s3:Get*") are looked at for names of that service only.
    """

    __slots__ = ("_asked", "_exact", "_globs", "always")

    MOST = 1_024

    def __init__(self, patterns: Iterable[str]) -> None:
        listed = list(patterns)
        self.always = "*" in listed
        self._exact = frozenset(one for one in listed if "*" not in one)
        self._globs: dict[str, list[tuple[str, ...]]] = {}
        for one in listed:
            if "*" in one:
                self._globs.setdefault(_service(one), []).append(tuple(one.split("*")))
        self._asked = dict.fromkeys(self._exact, True)

    def match(self, name: str) -> bool:
        """Whether a name is among them."""
        known = self._asked.get(name)
        return self._match(name) if known is None else known

    def _match(self, name: str) -> bool:
        if self.always or not self._globs:
            return self.always
        globs = (*self._globs.get(_service(name), ()), *self._globs.get("", ()))
        found = any(glob_matches(parts, name) for parts in globs)
        if len(name) <= LONGEST_NAME:
            if len(self._asked) >= len(self._exact) + self.MOST:
                self._asked = dict.fromkeys(self._exact, True)
            self._asked[name] = found
        return found


def _service(text: str) -> str:
    """What stands before the first colon, "" where a pattern leaves it open."""
    head, colon, _ = text.partition(":")
    return head if colon and "*" not in head else ""


def _within(hours: str, moment: datetime) -> bool:
    begin, _, end = hours.partition("-")
    now = moment.strftime("%H:%M")
    return begin <= now < end if begin <= end else now >= begin or now < end


@lru_cache(maxsize=1_024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def _local(time: int, timezone: str) -> datetime:
    return datetime.fromtimestamp(time // MICROSECONDS, _zone(timezone) or UTC)


def _inside(networks: tuple[str, ...], address: str | None, context: Context) -> bool:
    if address is None:
        return False
    place = context.location(address)
    if place is not None and place.kind is not None and place.kind in networks:
        return True
    return in_networks(address, tuple(one for one in networks if "." in one or ":" in one))


@lru_cache(maxsize=16_384)
def in_networks(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address lies in one of the networks."""
    try:
        where = ip_address(address)
    except ValueError:
        return False
    return any(where in ip_network(one, strict=False) for one in networks)
