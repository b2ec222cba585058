"""Whether a ticket was agreed to, as far as its own words go, and how exactly its times are taken."""

from __future__ import annotations

from audit.context_schema import DAY, Ticket
from audit.event import MICROSECONDS

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


def stands(ticket: Ticket) -> bool:
    """Whether a ticket is in a state of agreement, as far as its own words go."""
    state = state_of(ticket)
    silent = state == "" and (ticket.approved_at is not None or ticket.type == "incident")
    return state in APPROVED or silent or (ticket.type, state) == ("incident", "open")


def state_of(ticket: Ticket) -> str:
    """The state of a ticket as the sets here spell it: "In Progress" is in_progress."""
    return ticket.status.strip().lower().replace(" ", "_").replace("-", "_")
