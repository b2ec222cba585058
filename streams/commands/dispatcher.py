"""auditwatch dispatcher: alerts to Slack (or this terminal), through an outbox in Redis."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from alerting import dispatcher
from alerting.store import RedisAlertStore
from streams.commands.common import config_option, log_to_stderr, problems, settings_of
from streams.dispatch import Dispatch, notifier_of, now
from streams.kafka import ALERTS, ensure_topics
from streams.laptop import found
from streams.settings import Settings
from streams.store import connect
from streams.worker import build_dispatcher, run


@click.command()
@config_option
@click.option("--input", "lines", metavar="FILE|-", help="Deliver these Alert lines through the outbox, then end.")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def command(config: Path | None, lines: str | None, log_level: str) -> None:
    """Deliver alerts: to Slack with SLACK_BOT_TOKEN and AUDITWATCH_SLACK_CHANNEL, else to this terminal.

    One dispatcher is active at a time; a second one takes over when the first ends.
    """
    log_to_stderr(log_level.upper())
    settings = settings_of(config)
    with problems():
        if lines is not None:
            asyncio.run(_deliver_lines(settings, lines))
            return
        served = found(settings)
        asyncio.run(ensure_topics(served, [ALERTS]))
        store = RedisAlertStore(connect(served))
        run(build_dispatcher(served, Dispatch(store, notifier_of(served))))


async def _deliver_lines(settings: Settings, path: str) -> None:
    served = found(settings) if not settings.redis else settings
    store = RedisAlertStore(connect(served))
    notifier = notifier_of(served)
    try:
        with click.open_file(path, "rb") as file:
            new = await dispatcher.enqueue_lines(store, file)
        done = await dispatcher.run(store, notifier, clock=now, sleep=asyncio.sleep, stop=asyncio.Event(), drain=True)
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from error
    finally:
        await store.close()
    click.echo(f"{new} new alerts, {done.sent} deliveries, {done.refused} refused", err=True)
    if done.refused:
        raise click.exceptions.Exit(1)
