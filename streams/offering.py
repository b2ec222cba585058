"""Offers made: gathered from the outbox and the rules when somebody calls an alert a false positive, and shown."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from alerting.alert import Alert
from alerting.case import Case
from alerting.evidence import Attach
from alerting.notifier import Gone, Permanent, Retry
from alerting.plain import plain
from alerting.store import AlertStore
from audit.finding import stable_id
from rules.backtest import DAY
from rules.sigma import load
from streams.load import rule_folders
from streams.offer import Asker, Offer, Past, offers, told
from streams.settings import Settings

MEASURED_BY = 2_000
"""Newest alerts an exception is measured by."""

log = logging.getLogger("auditwatch.offering")


async def offered(settings: Settings, store: AlertStore, alert: Alert, case: Case) -> list[Offer]:
    """What can be offered for an alert its case calls a false positive; nothing for any other.

    Raises:
        RuleErrors: the rules cannot be read.
        StoreUnavailable: the alerts cannot.
    """
    if case.resolution != "false_positive":
        return []
    past = [entry.alert for entry in await store.list(MEASURED_BY)]
    since = min((one.time for one in past), default=0) - DAY  # no verdict is much older than its alert
    real = {label.alert_id for label in await store.labels(max(0, since)) if label.true}
    rules = await asyncio.to_thread(load, rule_folders(settings.rules))
    reason = case.note or f"alert {alert.id} was a false positive"
    return await asyncio.to_thread(offers, alert, Past(past, real), rules, Asker(case.actor, reason, case.at))


@dataclass(slots=True)
class Offering:
    """A hook for the steps of cases: what a false positive offers goes into the thread of its message, as a file."""

    settings: Settings
    store: AlertStore
    attach: Attach

    async def __call__(self, alert: Alert, case: Case) -> None:
        """Nothing follows where nothing can be offered, or the alert has no message."""
        if not case.steps or case.steps[-1].action != "false_positive":
            return
        made, entry = await offered(self.settings, self.store, alert, case), await self.store.get(alert.id)
        if not (made and entry and entry.receipt and entry.receipt.posted):
            return
        try:
            await self.attach(entry.receipt, f"exception-{stable_id(alert.id, case.version)}.yml", told(made).encode())
            log.info("offered for alert %s: %d exceptions", alert.id, sum(bool(one.exception) for one in made))
        except (Gone, Permanent, Retry) as problem:
            again = f"auditwatch alerts resolve {plain(alert.id, 60)} --as false_positive shows it"
            log.warning("what a false positive offers is not in its thread: %s; %s", problem, again)
