"""What listens to people: Socket Mode, or signed HTTP, with one table of handlers behind both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from alerting.alert import Alert
from alerting.ask_answer import Asks
from alerting.ask_message import NO, REASON, YES
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
from audit.context import Context
from streams.control import send, verdict_on
from streams.dispatch import now
from streams.kafka import KafkaProblem
from streams.metrics import count
from streams.offering import Offering
from streams.settings import Settings, SettingsError, address

log = logging.getLogger("auditwatch.clicks")

SEND_PAUSES = (1.0, 5.0, 25.0, 0.0)
"""Seconds after each attempt to tell the baselines of a verdict."""


@dataclass(slots=True)
class Listener:
    """Listens while it is run; nothing is lost between a click that was acknowledged and its end."""

    clicks: Clicks
    ways: list[Callable[[asyncio.Event], Coroutine[Any, Any, None]]] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        try:
            async with asyncio.TaskGroup() as group:
                for way in self.ways:
                    group.create_task(way(stop))
        finally:
            await self.clicks.finish()


class Current(NamedTuple):
    """What people change while the dispatcher runs, as it is when it is asked for."""

    routing: Callable[[], Routing]
    context: Callable[[], Context]


def listener_of(
    settings: Settings, store: AlertStore, slack: SlackNotifier, current: Current, ledger: Ledger = NO_LEDGER
) -> Listener | None:
    """What the settings ask for: Socket Mode with SLACK_APP_TOKEN, HTTP with slack_http; None where neither is set."""
    if not (settings.slack_app_token or settings.slack_http):
        log.warning("messages have no buttons: set SLACK_APP_TOKEN (docs/cases.md), so that clicks can arrive")
        return None
    staff = Staff(current.context, [team for each in settings.case_teams.split(",") if (team := each.strip())])
    talk = Slack(slack.team, slack.whisper)
    offering = Offering(settings, store, slack.attach)
    casework = Casework(store, staff, (offering,), evidence=Evidence(slack.attach).show)
    handlers = witnessed(handlers_of(settings, casework, current.routing, slack.dialog), ledger)
    clicks = Clicks(handlers, staff.person, talk, now)
    listener = Listener(clicks)
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
        YES: asks.answer,
        NO: asks.answer,
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
