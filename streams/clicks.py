"""What listens to people: Socket Mode, or signed HTTP, with one table of handlers behind both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from alerting.ask_answer import Asks
from alerting.ask_message import NO, REASON, YES
from alerting.ask_reason import GIVEN, Dialog, Reasons
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
from streams.dispatch import now
from streams.offering import Offering
from streams.settings import Settings, address
from streams.teach import Teach

log = logging.getLogger("auditwatch.clicks")


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
    listener = Listener(clicks, [Teach(settings, store).run])
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
    casework.hooks = (asks.heard, *casework.hooks, Teach(settings, casework.store))
    return {
        "case": casework.handle,
        "case.ask": asks.begin,
        YES: asks.answer,
        NO: asks.answer,
        REASON: reasons.ask,
        GIVEN: reasons.take,
    }
