"""A notifier that does what it is told to, and a dispatcher that runs until all is delivered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection

from alerting.alert import Alert
from alerting.case import Case
from alerting.dispatcher import Delivered, run
from alerting.notifier import Notifier, Receipt, Retry
from alerting.store import AlertStore
from tests.alerting.conftest import NOON, Clock


class Seen(Retry):
    """An unsure answer to a delivery that people did see."""

    def __init__(self) -> None:
        super().__init__("the connection broke", unsure=True)


class Scripted:
    """A notifier that shows alerts unless its plan says otherwise."""

    edit_pace = post_pace = 0.0

    def __init__(self, clock: Clock, *plan: BaseException | None, pace: float = 0.0) -> None:
        self.pace = pace
        self.plan = deque(plan)
        self.clock = clock
        self.shown: list[tuple[str, int, int]] = []  # (alert id, revision, microseconds since NOON)
        self.places: dict[str, str] = {}  # alert id -> channel
        self.looks = 0

    fallback = "a"

    def channel(self, alert: Alert) -> str:
        return "b" if alert.principal == "bob" else "a"

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        self.looks += 1
        return {
            alert_id: Receipt(revision, "high", channel, alert_id)
            for alert_id, revision, at in self.shown
            if alert_id in alert_ids and self.places[alert_id] == channel and NOON + at >= since
        }

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        problem = self.plan.popleft() if self.plan else None
        if problem is not None and not isinstance(problem, Seen):
            raise problem
        self.shown.append((alert.id, alert.revision, self.clock() - NOON))
        self.places[alert.id] = channel
        if problem is not None:
            raise problem
        return Receipt(alert.revision, alert.severity, channel, alert.id)


async def drained(store: AlertStore, notifier: Notifier, clock: Clock) -> Delivered:
    turn = run(store, notifier, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True)
    return await asyncio.wait_for(turn, 20)


async def filled(store: AlertStore, *alerts: Alert) -> AlertStore:
    for alert in alerts:
        await store.put(alert)
    return store
