"""What listens to people: Socket Mode, or signed HTTP, with one table of handlers behind both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError

from alerting.alert import Alert
from alerting.ask_answer import Asks
from alerting.ask_message import REASON
from alerting.ask_reason import GIVEN, Dialog, Reasons
from alerting.case import Case
from alerting.casework import Casework
from alerting.clicks import Clicks, Slack
from alerting.evidence import Evidence
from alerting.interaction import Handler
from alerting.ledger import NO_LEDGER, Ledger
from alerting.ledger_record import witnessed
from alerting.route import Routing
from alerting.slack import SlackNotifier
from alerting.slack_http import SlackHttp
from alerting.slack_socket import SlackSocket
from alerting.staff import Staff
from alerting.store import AlertStore
from audit.context import Context, ContextErrors
from streams.control import send, verdict_on
from streams.dispatch import now
from streams.kafka import KafkaProblem
from streams.load import declared
from streams.metrics import count
from streams.offering import Offering
from streams.reload import fingerprint
from streams.settings import Settings, SettingsError, address

log = logging.getLogger("auditwatch.clicks")

LOOK_SECONDS = 2.0
SEND_PAUSES = (1.0, 5.0, 25.0, 0.0)
"""Seconds after each attempt to tell the baselines of a verdict."""


class Declared:
    """The context of the settings, read anew when its files change; what cannot be read leaves the old one."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.context
        self._print = self._look()
        self._context = declared(self._file)

    def now(self) -> Context:
        """As it was read last."""
        return self._context

    async def keep(self) -> None:
        """Looks every two seconds, for ever."""
        while self._file:
            await asyncio.sleep(LOOK_SECONDS)
            seen = await asyncio.to_thread(self._look)
            if seen == self._print:
                continue
            self._print = seen
            try:
                self._context = await asyncio.to_thread(declared, self._file)
                log.info("the context changed: who may work cases is decided by the new one")
            except (ContextErrors, OSError) as error:
                count("errors", "clicks")
                log.error("the context changed but cannot be used; who may work cases stays as it was:\n%s", error)

    async def keep_until(self, stop: asyncio.Event) -> None:
        """Looks until `stop` is set."""
        keeping = asyncio.create_task(self.keep())
        await stop.wait()
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    def _look(self) -> dict[str, tuple[int, int]]:
        return fingerprint([self._file] if self._file else [])


@dataclass(slots=True)
class Listener:
    """Listens while it is run; nothing is lost between a click that was acknowledged and its end."""

    clicks: Clicks
    people: Declared
    ways: list[Callable[[asyncio.Event], Coroutine[Any, Any, None]]] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        keeping = asyncio.create_task(self.people.keep())
        try:
            async with asyncio.TaskGroup() as group:
                for way in self.ways:
                    group.create_task(way(stop))
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await self.clicks.finish()


def listener_of(
    settings: Settings,
    store: AlertStore,
    slack: SlackNotifier,
    routing: Callable[[], Routing],
    ledger: Ledger = NO_LEDGER,
) -> Listener | None:
    """What the settings ask for: Socket Mode with SLACK_APP_TOKEN, HTTP with slack_http; None where neither is set.

    Raises:
        ContextErrors: naming each place.
    """
    if not (settings.slack_app_token or settings.slack_http):
        log.warning("messages have no buttons: set SLACK_APP_TOKEN (docs/cases.md), so that clicks can arrive")
        return None
    people = Declared(settings)
    staff = Staff(people.now, [team for each in settings.case_teams.split(",") if (team := each.strip())])
    talk = Slack(slack.team, slack.whisper)
    offering = Offering(settings, store, slack.attach)
    casework = Casework(store, staff, (offering,), evidence=Evidence(slack.attach).show)
    handlers = witnessed(handlers_of(settings, casework, routing, slack.dialog), ledger)
    clicks = Clicks(handlers, staff.person, talk, now)
    listener = Listener(clicks, people)
    if settings.slack_app_token:
        socket = SlackSocket(settings.slack_app_token, settings.slack_base_url, clicks.accept)
        listener.ways.append(socket.listen)
    if settings.slack_http:
        http, (host, port) = SlackHttp(settings.slack_signing_secret, clicks.accept, now), address(settings.slack_http)
        listener.ways.append(lambda stop: http.listen(host, port, stop))
    return listener


def handlers_of(
    settings: Settings, casework: Casework, routing: Callable[[], Routing], dialog: Dialog
) -> Mapping[str, Handler]:
    """Who handles what: by action_id or its first word."""
    asks = Asks(casework.store, routing, casework.staff, casework.tell)
    reasons = Reasons(casework.store, routing, dialog)
    casework.hooks = (asks.heard, *casework.hooks, Teach(settings))
    return {
        "case": casework.handle,
        "case.ask": asks.begin,
        "ask": asks.answer,
        REASON: reasons.ask,
        GIVEN: reasons.take,
    }


AGAIN = "to tell them, resolve it once more with `auditwatch alerts resolve`"


@dataclass(slots=True)
class Teach:
    """The hook that tells the baselines of a resolution; where Kafka is away for long, age decides (and the log)."""

    settings: Settings

    async def __call__(self, alert: Alert, case: Case) -> None:
        """Sends what the case's resolution amounts to, if it has one."""
        controls = verdict_on(alert, case)
        for pause in SEND_PAUSES:
            try:
                await send(self.settings, controls)
                break
            except (SettingsError, KafkaProblem, KafkaError, OSError) as error:
                log.warning("alert %s: the baselines cannot be told: %s", alert.id, error)
            await asyncio.sleep(pause)
        else:
            count("errors", "clicks")
            log.error("alert %s: the baselines were not told, so age decides; %s", alert.id, AGAIN)
