"""auditwatch trail: the process that keeps audit.events as Parquet."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from streams.commands.common import config_option, log_to_stderr, problems, settings_of
from streams.settings import Settings
from streams.trail import TrailError
from streams.trail_loop import follow


@click.command()
@config_option
@click.option("--every", default=60.0, show_default=True, help="Seconds between two files of a partition.")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def command(config: Path | None, every: float, log_level: str) -> None:
    """Keep audit.events as Parquet by day, for backtests, timelines and notebooks."""
    log_to_stderr(log_level.upper())
    settings = settings_of(config)
    with problems():
        try:
            asyncio.run(_until_told(settings, every))
        except TrailError as error:
            raise click.ClickException(str(error)) from error


async def _until_told(settings: Settings, every: float) -> None:
    stop = asyncio.Event()
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, stop.set)
    await follow(settings, stop, every)
