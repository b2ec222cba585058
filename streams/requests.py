"""Requests for access that nobody has decided yet, told of where they are unusual."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from alerting.alert import Alert
from audit.context import EMPTY, Context
from audit.context_schema import DAY
from audit.finding import Severity, Version, stable_id
from rules.request import FLAGGED, Review, is_pending, review
from streams.detections import Detections

log = logging.getLogger("auditwatch.requests")

GRAVE = 60
RECENT = 7 * DAY
"""Requests older than that are not told of when a worker starts."""
MOST_TOLD = 50
"""Unusual requests told of at one look: after one change of the context."""


class Requests:
    """Tells of each unusual request once: of the last days at the start, then of those that come."""

    def __init__(self, tell: Callable[[Alert], Awaitable[None]]) -> None:
        self._tell = tell
        self._before = EMPTY
        self._waiting: list[Review] = []

    async def look(self, detections: Detections, now: int) -> None:
        """Looks at what the context has now; `now` in microseconds since the epoch.

        What there was no room for at one look is told of at the next, the context changed or not, while it is still to
        be decided. Told before it is forgotten: what fails on the way is told again at the next look, by the same id.
        """
        context = detections.context
        if context is not self._before:
            found = await asyncio.to_thread(unusual, context, now - RECENT, self._before)
            still = set(context.declared.tickets) if self._waiting else ()
            self._waiting = _worst_first([*(each for each in self._waiting if each.ticket in still), *found])
            self._before = context
        first = self._waiting[:MOST_TOLD]
        for alert in alerts_of(first, detections.version):
            await self._tell(alert)
        self._waiting = [each for each in self._waiting if each not in first]  # another look may have been meanwhile
        if self._waiting:
            log.warning(
                "%d more unusual requests are told of at the next look: `auditwatch tickets review` shows all",
                len(self._waiting),
            )


def unusual(context: Context, since: int = 0, before: Context = EMPTY) -> list[Review]:
    """The pending requests somebody should look at twice, worst first: opened since then (µs), and unless they were
    in the context before just as they are."""
    known = set(before.declared.tickets)
    fresh = (one for one in context.declared.tickets if is_pending(one) and one.opened >= since and one not in known)
    reviews = [each for each in (review(ticket, context) for ticket in fresh) if each.score >= FLAGGED]
    return _worst_first(reviews)


def _worst_first(reviews: Iterable[Review]) -> list[Review]:
    return sorted(reviews, key=lambda each: (-each.score, each.ticket.opened, each.ticket.id))


def alerts_of(reviews: Iterable[Review], version: Version) -> list[Alert]:
    """An alert for each of the first MOST_TOLD; the same request in the same state is the same alert."""
    return [_alert(each, version) for each, _ in zip(reviews, range(MOST_TOLD), strict=False)]


def _alert(found: Review, version: Version) -> Alert:
    ticket = found.ticket
    who = ticket.subject or ticket.requester
    severity: Severity = "medium" if found.score >= GRAVE else "low"
    asked = f"{ticket.system} {ticket.resource}".strip() or "access"
    return Alert(
        id=stable_id("request", ticket.id, *(remark.text for remark in found.remarks)),
        time=ticket.opened,
        severity=severity,
        risk=found.score,
        principal=who,
        entity=f"user:{who}",
        title="Unusual request for access, not approved yet",
        summary=f"{ticket.id}: {ticket.requester or 'somebody'} asks for {asked}"
        + (f" for {who}" if who != ticket.requester else "")
        + (f"; {ticket.approver} is to approve it." if ticket.approver else "; no approver is named."),
        findings=(),
        event_ids=(),
        reasons=tuple(remark.text for remark in found.remarks),
        attack=("T1098",),
        version=version,
        key=f"request:{ticket.id}",
    )
