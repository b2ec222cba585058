"""Alerts that paper had closed, looked at again: where a ticket was withdrawn since, its alerts are open once more.

Opening one is a step of its case: what the worker still says of the alert under the old paper does not undo it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from alerting.alert import EXPLAINED, Alert
from alerting.case import Case, Step
from alerting.casework import advance
from alerting.store import AlertStore
from audit.context import EMPTY, Context
from audit.context_schema import Ticket
from rules.paper_fit import withdrawn
from rules.paper_state import stands

log = logging.getLogger("auditwatch.recheck")

US = "auditwatch"
LOOK_SECONDS = 2.0
MOST_ALERTS = 5_000
"""The newest alerts that are looked at again after a change of the context."""


@dataclass(slots=True)
class Recheck:
    """Looks whenever the context is another one; `context` gives the one that counts now, `clock` microseconds."""

    store: AlertStore
    context: Callable[[], Context]
    clock: Callable[[], int]
    _seen: Context = field(default=EMPTY, init=False)
    _fallen: Sequence[Ticket] = field(default=(), init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def look(self) -> int:
        """Opens what rests on withdrawn paper; returns how many alerts that were.

        Raises:
            StoreUnavailable: it will look again.
        """
        context = self.context()
        if context is self._seen:
            return 0
        self._fallen = [ticket for ticket in context.declared.tickets if not stands(ticket)]
        entries = await self.store.list(MOST_ALERTS) if self._fallen else []
        opened = [await self.heed(entry.alert) for entry in entries]
        self._seen = context
        return sum(opened)

    async def heed(self, alert: Alert) -> bool:
        """Opens an alert of the outbox if the paper that closed it was withdrawn; whether it did.

        Raises:
            StoreUnavailable: nothing happened.
        """
        reason = fallen(alert, self._fallen)
        case = await self.store.case(alert.id) if reason else None
        if case is None or (case.status, case.resolution) != ("resolved", EXPLAINED):
            return False
        note = f"{reason}: it explains nothing any more"
        after = await advance(self.store, alert.id, Step("reopen", US, self.clock(), note), case.version)
        if isinstance(after, Case):
            log.warning("alert %s is open again: %s", alert.id, note)
        return isinstance(after, Case)


def fallen(alert: Alert, tickets: Sequence[Ticket]) -> str:
    """Which of these withdrawn tickets explained any of an alert that paper closed, and how it stands; else ""."""
    if alert.resolution != EXPLAINED or not tickets:
        return ""
    papers = alert.papers or tuple(finding.explained for finding in alert.findings)
    return next((reason for paper in papers if (reason := withdrawn(paper, tickets))), "")
