"""The dispatcher's two halves: alerts from Kafka into the outbox, and from the outbox to people."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from alerting import dispatcher
from alerting.alert import from_line
from alerting.console import ConsoleNotifier
from alerting.notifier import Notifier
from alerting.route import Routing
from alerting.slack import SlackNotifier
from alerting.store import AlertStore
from streams.metrics import count
from streams.settings import Settings

log = logging.getLogger("auditwatch.dispatch")

RETRY_SECONDS, PAUSE_SECONDS = 1.0, 5.0


def notifier_of(settings: Settings, default: str = "") -> Notifier:
    """Slack where a token and a channel are set (or the routes have a default one), else the console."""
    channel = settings.slack_channel or default
    if settings.slack_bot_token and channel:
        return SlackNotifier(settings.slack_bot_token, channel, settings.slack_base_url)
    return ConsoleNotifier(sys.stdout)


class Dispatch:
    """One outbox and one notifier; `deliver` runs while this process owns the partition of audit.alerts."""

    def __init__(self, store: AlertStore, notifier: Notifier, routing: Routing | None = None) -> None:
        self._store = store
        self._notifier = notifier
        self._routing = routing
        self._delivering: asyncio.Task[object] | None = None
        self._stop = asyncio.Event()

    async def put(self, line: bytes) -> None:
        """Takes one Alert line into the outbox; waits for a store that is away; a line that is no alert is told of."""
        try:
            alert = from_line(line)
        except (ValueError, RecursionError) as error:
            count("errors", "dispatch")
            log.error("a message of audit.alerts is no alert (%s): %.200r", error, line)
            return
        while True:
            try:
                await self._store.put(alert)
                return
            except Exception as error:  # away, out of memory, read-only: an alert waits for whatever mends it
                count("errors", "dispatch")
                log.error("the outbox takes no alert: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def owns(self, mine: bool) -> None:
        """Starts delivering when the partition is ours, and ends after the delivery under way when it is not."""
        if mine and self._delivering is None:
            self._stop = asyncio.Event()
            self._delivering = asyncio.create_task(self._deliver(self._stop))
        elif not mine and self._delivering is not None:
            self._stop.set()
            await self._delivering
            self._delivering = None

    async def _deliver(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await dispatcher.run(
                    self._store, self._notifier, clock=now, sleep=asyncio.sleep, stop=stop, routing=self._routing
                )
            except Exception:
                count("errors", "dispatch")
                log.exception("delivery failed, going on in %s s", PAUSE_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000
