"""What the buttons of an alert do: a step of its case, by somebody who may, against the version he saw."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from alerting.alert import Alert
from alerting.case import Action, Case, Refused, Step, take
from alerting.interaction import Answer, Click
from alerting.notice import is_notice
from alerting.plain import plain
from alerting.snooze import timer
from alerting.staff import Staff
from alerting.store import AlertStore, Entry
from audit.event import MICROSECONDS

ACTIONS: dict[str, Action] = {
    "ack": "ack",
    "resolve": "resolve",
    "benign": "benign",
    "false_positive": "false_positive",
    "snooze": "snooze",
    "assign": "assign",
    "reopen": "reopen",
}
"""What follows "case." in an action_id -> the step."""
SNOOZE_HOURS, MOST_HOURS = 4, 7 * 24
HOUR = 3600 * MICROSECONDS

Hook = Callable[[Alert, Case], Awaitable[None]]
"""Called after each step that somebody took, with the alert and its case after it."""

_log = logging.getLogger(__name__)


async def advance(store: AlertStore, alert_id: str, step: Step, seen: int | None = None) -> Case | Refused | None:
    """Takes the step against the newest case: whoever comes between is read, not overwritten; None: no such alert.

    A snooze's end is laid out before the step is written, so that no snooze can last for ever.

    Raises:
        StoreUnavailable: nothing is known; taking it again does no harm.
    """
    while case := await store.case(alert_id):
        after = take(case, step, seen)
        if isinstance(after, Refused):
            return after
        if after.snoozed_until:
            await store.put(timer(after, after.snoozed_until))
        if await store.save_case(after):
            if after.status == "reopened":
                await _bring_up(store, alert_id)
            return after
    return None


async def _bring_up(store: AlertStore, alert_id: str) -> None:
    """What was reopened and has no message of its own (paper explained it, a digest named it) is decided on anew."""
    entry = await store.get(alert_id)
    if entry and entry.receipt and not entry.receipt.posted:
        await store.lost(alert_id, entry.receipt)


@dataclass(slots=True)
class Casework:
    """Handles `case.*`. `hooks` hear of each step; one that fails is logged and takes nothing back.

    `evidence` shows everything about an alert in its message's thread.
    """

    store: AlertStore
    staff: Staff
    hooks: Sequence[Hook] = ()
    evidence: Callable[[Entry], Awaitable[Answer]] | None = None

    async def handle(self, click: Click) -> Answer:
        """The handler for the table.

        Raises:
            StoreUnavailable, Retry: not now.
        """
        entry = await self.store.get(click.alert_id)
        if entry is None or is_notice(entry.alert):
            return Answer("There is no such alert, or none any more.")
        if objection := self.staff.objection(click, entry.alert):
            _log.warning("%s on alert %s by %s: %s", *_named(click), objection)
            return Answer(objection)
        if click.action == "case.evidence" and self.evidence:
            return await self.evidence(entry)
        action = ACTIONS.get(click.action.partition(".")[2])
        if action is None:
            return Answer("This button belongs to another version of auditwatch.")
        return await self._take(click, entry.alert, action)

    async def _take(self, click: Click, alert: Alert, action: Action) -> Answer:
        until = click.at + _hours(click) * HOUR if action == "snooze" else 0
        step = Step(action, click.actor, click.at, plain(click.value.get("note", ""), 500), until)
        case = await advance(self.store, alert.id, step, click.version)
        if case is None:
            return Answer("There is no such alert any more.")
        if isinstance(case, Refused):
            return Answer(case.reason[:1].upper() + case.reason[1:])
        _log.info("%s on alert %s by %s", *_named(click))
        await self.tell(alert, case)
        return Answer()

    async def tell(self, alert: Alert, case: Case) -> None:
        """Calls the hooks, side by side: none waits for another's network."""
        for failed in await asyncio.gather(*(hook(alert, case) for hook in self.hooks), return_exceptions=True):
            if isinstance(failed, Exception):
                _log.error("alert %s is %s; what follows from it failed", alert.id, case.status, exc_info=failed)


def _hours(click: Click) -> int:
    hours = click.value.get("hours", "")
    return min(max(int(hours), 1), MOST_HOURS) if hours.isascii() and hours.isdigit() else SNOOZE_HOURS


def _named(click: Click) -> tuple[str, str, str]:
    return plain(click.action, 60), plain(click.alert_id, 60), plain(click.actor, 120)
