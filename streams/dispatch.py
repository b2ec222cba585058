"""The dispatcher's two halves: alerts from Kafka into the outbox, and from the outbox to people."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

from alerting import dispatcher
from alerting.alert import EXPLAINED, Alert, from_line
from alerting.console import ConsoleNotifier
from alerting.live import Deed, Live
from alerting.notifier import Notifier
from alerting.slack import SlackNotifier
from alerting.store import AlertStore
from alerting.webhook import WebhookNotifier
from streams.metrics import count
from streams.settings import Settings

log = logging.getLogger("auditwatch.dispatch")

Listen = Callable[[asyncio.Event], Awaitable[None]]

RETRY_SECONDS, PAUSE_SECONDS = 1.0, 5.0


def notifier_of(settings: Settings, default: str = "") -> Notifier:
    """Slack where a token and a channel (of the settings or the routes) are set, else a webhook, else the console."""
    channel = settings.slack_channel or default
    if settings.slack_bot_token and channel:
        listening = bool(settings.slack_app_token or settings.slack_http)
        return SlackNotifier(settings.slack_bot_token, channel, settings.slack_base_url, listening)
    if settings.webhook_url:
        return WebhookNotifier(settings.webhook_url, settings.webhook_secret, now)
    return ConsoleNotifier(sys.stdout)


def tell(deed: Deed, number: int) -> None:
    """Counts what the dispatcher did."""
    count("dispatched", deed, number)


class Dispatch:
    """One outbox and one notifier, delivering while this process owns the partition of audit.alerts.

    What is `beside` runs as long, until its event is set: clicks reach the one that delivers, changed routes too.
    `heed` sees each alert that is in the outbox now.
    """

    def __init__(
        self,
        store: AlertStore,
        notifier: Notifier,
        live: Live | None = None,
        *beside: Listen,
        heed: Callable[[Alert], Awaitable[object]] | None = None,
    ) -> None:
        self._store = store
        self._heed = heed
        self._notifier = notifier
        self._live = live or Live()
        self._beside = beside
        self._running: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._owner = owner()

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
                if await self._store.put(alert) and alert.resolution == EXPLAINED:
                    count("explained", "alerts")
                if self._heed:
                    await self._heed(alert)
                self._live.news.set()
                return
            except Exception as error:  # away, out of memory, read-only: an alert waits for whatever mends it
                count("errors", "dispatch")
                log.error("the outbox takes no alert: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def owns(self, mine: bool) -> None:
        """Starts delivering when the partition is ours, and ends after the delivery under way when it is not."""
        if mine and not self._running:
            self._stop = asyncio.Event()
            duties = (self._deliver, *self._beside)
            self._running = [asyncio.create_task(_kept_up(duty, self._stop)) for duty in duties]
        elif not mine and self._running:
            self._stop.set()
            self._live.news.set()  # no nap outlasts it
            await asyncio.gather(*self._running)
            self._running = []
            if isinstance(self._notifier, SlackNotifier | WebhookNotifier):
                await self._notifier.close()  # it opens again where it is used again

    async def _deliver(self, stop: asyncio.Event) -> None:
        store, notifier = self._store, self._notifier
        await dispatcher.run(store, notifier, clock=now, sleep=self._nap, stop=stop, live=self._live, owner=self._owner)

    async def _nap(self, seconds: float) -> None:
        """Sleeps until something is put in, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._live.news.wait(), seconds)
            await asyncio.sleep(dispatcher.BREATH)


async def _kept_up(duty: Listen, stop: asyncio.Event) -> None:
    """Begins a duty again that broke; one that ends by itself has nothing to do."""
    while not stop.is_set():
        try:
            await duty(stop)
            break
        except Exception:
            count("errors", "dispatch")
            log.exception("the dispatcher failed, going on in %s s", PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)


def owner() -> str:
    """A name no other that delivers has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000
