"""auditwatch dispatcher: alerts to Slack (or this terminal), through an outbox in Redis."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec

from alerting import dispatcher
from alerting.intake import enqueue_lines
from alerting.ledger_record import recorded
from alerting.live import Live
from alerting.slack import SlackNotifier
from alerting.store import AlertStore
from alerting.store_memory import MemoryAlertStore
from alerting.store_redis import RedisAlertStore
from alerting.webhook import WebhookNotifier
from streams.clicks import Current, listener_of
from streams.commands.common import (
    Unusable,
    config_option,
    log_level_option,
    log_to_stderr,
    problems,
    settings_of,
)
from streams.declared import Declared
from streams.dispatch import Dispatch, notifier_of, now, owner, tell
from streams.ending import end_on_sigterm
from streams.kafka import ALERTS, ensure_topics
from streams.laptop import found
from streams.ledger import Kept, by_process, writing
from streams.recheck import Recheck
from streams.routing import Watch, hash_of, routing_of
from streams.settings import Settings, SettingsError
from streams.store import connect
from streams.worker import build_dispatcher, run

log = logging.getLogger(__name__)


@click.command()
@config_option
@click.option("--input", "lines", metavar="FILE|-", help="Deliver these Alert lines through the outbox, then end.")
@log_level_option
def command(config: Path | None, lines: str | None, log_level: str) -> None:
    """Deliver alerts: to Slack with SLACK_BOT_TOKEN and AUDITWATCH_SLACK_CHANNEL, else to AUDITWATCH_WEBHOOK_URL, else
    to this terminal.

    What people click in Slack arrives over Socket Mode (SLACK_APP_TOKEN) or signed HTTP (AUDITWATCH_SLACK_HTTP).

    With AUDITWATCH_ROUTES a file says who hears of what and when (`auditwatch route check FILE`).

    One dispatcher is active at a time; a second one takes over when the first ends. With --input it ends when all
    lines are delivered (exit code 1 when some were refused for good), by the active one where there is one; an alert
    the outbox knows is not shown again.

    \b
    Examples:
      auditwatch dispatcher
      auditwatch replay okta=okta.jsonl --alerts - | auditwatch dispatcher --input -
    """
    log_to_stderr(log_level.upper())
    settings = settings_of(config)
    with problems():
        if lines is not None:
            asyncio.run(_deliver_lines(settings, lines))
            return
        end_on_sigterm()
        served = found(settings)
        asyncio.run(ensure_topics(served, [ALERTS]))
        routing = routing_of(served, now())
        kept = Kept(served, by_process("dispatcher"), now, {"routes": hash_of(routing)})
        store = recorded(RedisAlertStore(connect(served)), kept.ledger, kept.by, now)
        notifier = notifier_of(served, routing.routes.default)
        live = Live(routing, told=tell)
        beside = [Watch(served, live, store.put, kept.ledger.write, now, kept.by).run]
        company = Declared(served.context)
        current = Current(lambda: live.routing, company.now)
        if isinstance(notifier, SlackNotifier) and (
            listener := listener_of(served, store, notifier, current, kept.ledger)
        ):
            beside.append(listener.run)
        recheck = Recheck(store, company.now, now)
        dispatch = Dispatch(store, notifier, live, *beside, company.keep, recheck.run, heed=recheck.heed)
        run(build_dispatcher(served, dispatch, kept))


async def _deliver_lines(settings: Settings, path: str) -> None:
    stop = asyncio.Event()
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    live = Live(routing_of(settings, now()))
    notifier = notifier_of(settings, live.routing.routes.default)
    try:
        async with _outbox(settings) as store:
            with click.open_file(path, "rb") as file:
                new = await enqueue_lines(store, file)
            if isinstance(store, MemoryAlertStore):
                _at_once(live)
            done = await dispatcher.run(
                store, notifier, clock=now, sleep=asyncio.sleep, stop=stop, drain=True, live=live, owner=owner()
            )
    except ValueError as error:
        raise Unusable(f"{path}: {error}") from error
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from error
    finally:
        if isinstance(notifier, SlackNotifier | WebhookNotifier):
            await notifier.close()
    left = ", stopped before the rest" if stop.is_set() else ""
    kept = {
        "muted": done.muted,
        "put into digests": done.gathered,
        "explained": done.explained,
        "only asked about": done.quiet,
        "due later": done.waiting,
    }
    also = "".join(f", {number} {word}" for word, number in kept.items() if number)
    click.echo(f"{new} new alerts, {done.sent} deliveries, {done.refused} refused{also}{left}", err=True)
    if done.refused or left:
        raise click.exceptions.Exit(1)


def _at_once(live: Live) -> None:
    """An outbox that is forgotten: nothing waits in it, and each alert is looked for, since it may have been shown."""
    live.routing = msgspec.structs.replace(live.routing, routes=live.routing.routes.at_once())
    live.doubt_after = 0


@asynccontextmanager
async def _outbox(settings: Settings) -> AsyncIterator[AlertStore]:
    try:
        store = RedisAlertStore(connect(found(settings, "redis")))
    except SettingsError:
        log.warning(
            "no Redis: the outbox is in memory and forgotten when this ends, so nothing waits: what routes would hold "
            "back (quiet hours, digests, budgets) goes out at once, and nothing escalates. Set AUDITWATCH_REDIS"
        )
        yield MemoryAlertStore()
        return
    try:
        async with writing(settings) as ledger:
            yield recorded(store, ledger, by_process("dispatcher"), now)
    finally:
        await store.close()
