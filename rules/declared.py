"""What the company declares of an event's actor, as of the event's time: what rules may ask of the context."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from audit.context import Context
from audit.context_schema import DAY, Moment, Person
from audit.event import MICROSECONDS, AuditEvent

LONGEST_REQUEST = 64_000
"""Bytes of a request in which accounts are looked for."""

Employment = Literal["not_started", "current", "on_leave", "ended"]


def employment(person: Person, time: int) -> Employment:
    """Whether somebody is with the company at a time (microseconds).

    A date begins and ends at the person's own midnight: in Honolulu the last day ends ten hours later than in UTC.
    """
    end, start, zone = person.end_date, person.start_date, person.timezone
    if end is not None and time > end - DAY and time > _local(end, zone):  # a zone is less than a day from UTC
        return "ended"
    if start is not None and time < start + DAY and time < _local(start, zone):
        return "not_started"
    for leave in person.leave:
        if _local(leave.start, zone) <= time <= _local(leave.end, zone):
            return "on_leave"
    return "current"


def days_employed(person: Person, time: int) -> int | None:
    """Whole days since somebody's first day; None before it, and where the context does not name it."""
    start = person.start_date
    return None if start is None or start > time else (time - start) // DAY


def days_since_seen(person: Person | None, time: int, idle: int | None) -> int | None:
    """Whole days since an actor was last seen: `idle` of its own past, else since the last login that is declared.

    Declared leave that is over was no silence: the days count from its end. None when neither is known.
    """
    if idle is not None:
        seen = time - idle * DAY
    elif person and person.last_login is not None and person.last_login <= time:
        seen = person.last_login
    else:
        return None
    back = [leave.end for leave in person.leave if leave.end <= time] if person else []
    return max(0, time - max(seen, *back, seen)) // DAY


def _abroad(person: Person, event: AuditEvent) -> bool | None:
    return person.country.upper() != event.country if person.country and event.country else None


def foreign_accounts(context: Context, event: AuditEvent, record: Mapping[str, Any]) -> list[str] | None:
    """The AWS accounts a request names that are neither the event's own nor declared; None where none is declared."""
    declared = context.declared.company.aws_accounts
    asked = record.get("requestParameters")
    if not declared or not isinstance(asked, dict):
        return None
    own = {*declared.values(), event.account}
    text = msgspec.json.encode(asked)[:LONGEST_REQUEST].decode("utf-8", "ignore")
    return sorted({account for account in _ACCOUNT.findall(text) if account not in own}) or None


OF_PERSON: dict[str, Callable[[Person, AuditEvent], Any]] = {
    "actor.employment": lambda person, event: employment(person, event.time),
    "actor.days_employed": lambda person, event: days_employed(person, event.time),
    "actor.team": lambda person, _: person.team or None,
    "actor.title": lambda person, _: person.title or None,
    "actor.abroad": _abroad,
}
"""Fields of a declared actor; None where the context says nothing of it."""


@lru_cache(maxsize=4_096)
def _local(moment: Moment, timezone: str) -> int:
    """A moment that stands for a date, moved from UTC to a time zone; the moment itself where a time was written."""
    if not timezone or (moment % DAY and (moment + 1) % DAY):
        return moment
    try:
        offset = datetime.fromtimestamp(moment // MICROSECONDS, ZoneInfo(timezone)).utcoffset()
    except (KeyError, ValueError, OSError, OverflowError):  # no such zone, or 9999-12-31: at most 14 hours off
        return moment
    return moment - int(offset.total_seconds()) * MICROSECONDS if offset else moment


_ACCOUNT = re.compile(r"(?<![\w.-])\d{12}(?![\w.-])")
