"""auditwatch trail: the process that keeps audit.events as Parquet."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from streams.commands.common import config_option, log_level_option, log_to_stderr, problems, settings_of
from streams.laptop import found
from streams.settings import Settings
from streams.trail_loop import follow


@click.command()
@config_option
@click.option(
    "--every",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds between two files of a partition.",
)
@log_level_option
def command(config: Path | None, every: float, log_level: str) -> None:
    """Keep audit.events as Parquet by day, for backtests, timelines and notebooks, until Ctrl-C or SIGTERM.

    The folder is AUDITWATCH_TRAIL [default: .auditwatch/trail]. After a crash it goes on from what is there.

    \b
    Examples:
      auditwatch trail
      AUDITWATCH_TRAIL=/srv/audit auditwatch trail --every 300
    """
    log_to_stderr(log_level.upper())
    with problems():
        asyncio.run(_until_told(found(settings_of(config), "broker"), every))


async def _until_told(settings: Settings, every: float) -> None:
    stop = asyncio.Event()
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    await follow(settings, stop, every)
