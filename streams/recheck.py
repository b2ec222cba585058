"""Alerts that paper explained, looked at again: where a ticket was withdrawn since, those it closed are open once more.

Of those that were told, though it explained part of them, the case and its thread say so once, and they are as grave as
they are without it. Both are steps of a case: what the worker still says of the alert under the old paper undoes none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec.structs import replace

from alerting.alert import EXPLAINED, Alert
from alerting.ask_follow import moved
from alerting.case import Case, Refused, Step, take
from alerting.casework import advance
from alerting.risk import GRAVE
from alerting.store import AlertStore
from audit.context import EMPTY, Context
from audit.context_schema import Ticket
from audit.finding import SEVERITIES, Severity
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
        """Opens or raises what rests on withdrawn paper; returns how many alerts that were.

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
        """Opens an alert of the outbox if paper that closed it was withdrawn, and raises one that it explained in part;
        whether it did.

        Raises:
            StoreUnavailable: nothing happened.
        """
        reason = fallen(alert, self._fallen)
        case = await self.store.case(alert.id) if reason else None
        if case is None:
            return False
        note = f"{reason}: it explains nothing any more"
        if (case.status, case.resolution) == ("resolved", EXPLAINED):
            after = await advance(self.store, alert.id, Step("reopen", US, self.clock(), note), case.version)
        elif alert.resolution == EXPLAINED:
            return False
        else:
            after = await moved(self.store, alert.id, lambda now, newest: self._less_explained(now, newest, note))
        if isinstance(after, Case):
            log.warning("alert %s is %s: %s", alert.id, after.status, note)
        return isinstance(after, Case)

    def _less_explained(self, case: Case, alert: Alert, note: str) -> Case | Refused | None:
        if any((step.action, step.note) == ("fell", note) for step in case.steps):
            return None
        after = take(case, Step("fell", US, self.clock(), note))
        if not isinstance(after, Case):
            return after
        return replace(after, raised=max(case.raised, without(alert, self._fallen), key=SEVERITIES.index))


def without(alert: Alert, tickets: Sequence[Ticket]) -> Severity:
    """How grave an alert is without what these withdrawn tickets explained of it, as far as its findings tell."""
    gone = [finding for finding in alert.findings if withdrawn(finding.explained, tickets)]
    least: Severity = "high" if alert.risk + sum(finding.risk for finding in gone) >= GRAVE else "low"
    return max((alert.severity, least, *(finding.severity for finding in gone)), key=SEVERITIES.index)


def fallen(alert: Alert, tickets: Sequence[Ticket]) -> str:
    """Which of these withdrawn tickets explained any of an alert, and how it stands; else ""."""
    if not tickets:
        return ""
    papers = alert.papers or tuple(finding.explained for finding in alert.findings)
    return next((reason for paper in papers if (reason := withdrawn(paper, tickets))), "")
