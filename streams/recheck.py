"""Alerts that paper had closed, looked at again: where a ticket was withdrawn since, its alerts are open once more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from alerting.alert import EXPLAINED, Alert
from alerting.store import AlertStore
from audit.context import EMPTY, Context
from audit.context_schema import Ticket
from rules.paper_fit import withdrawn

log = logging.getLogger("auditwatch.recheck")

LOOK_SECONDS = 2.0
MOST_ALERTS = 5_000
"""The newest alerts that are looked at again after a change of the context."""


@dataclass(slots=True)
class Recheck:
    """Looks whenever the context is another one; `context` gives the one that counts now."""

    store: AlertStore
    context: Callable[[], Context]
    _seen: Context = field(default=EMPTY, init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    def mend(self, alert: Alert) -> Alert:
        """An alert that comes in, open where the paper that closed it was withdrawn meanwhile."""
        return (reopened(alert, self._tickets(), alert.revision) if alert.resolution == EXPLAINED else None) or alert

    async def look(self) -> int:
        """Reopens what rests on withdrawn paper; returns how many alerts that were.

        Raises:
            StoreUnavailable: it will look again.
        """
        context = self.context()
        if context is self._seen:
            return 0
        tickets = self._tickets()
        alerts = [entry.alert for entry in await self.store.list(MOST_ALERTS)]
        again = [found for alert in alerts if (found := reopened(alert, tickets, alert.revision + 1))]
        for alert in again:
            log.warning("alert %s is open again: %s", alert.id, alert.reasons[0])
            await self.store.put(alert)
        self._seen = context
        return len(again)

    def _tickets(self) -> dict[str, Ticket]:
        return {ticket.id: ticket for ticket in self.context().declared.tickets}


def reopened(alert: Alert, tickets: Mapping[str, Ticket], revision: int) -> Alert | None:
    """The alert as one that nothing explains any more; None where its paper stands, or people had it anyway."""
    if alert.resolution != EXPLAINED:
        return None
    reasons = dict.fromkeys(
        reason for finding in alert.findings if (reason := withdrawn(finding.explained, tickets)) and finding.explained
    )
    if not reasons:
        return None
    return msgspec.structs.replace(
        alert,
        status="reopened",
        resolution=None,
        revision=revision,
        summary=f"{alert.summary} It had been closed as explained.",
        reasons=(*(f"{reason}: it explains nothing any more" for reason in reasons), *alert.reasons),
    )
