"""auditwatch backfill: baselines from history, so that the worker starts warm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import click

from audit.event import AuditEvent
from streams.backfill import BackfillError, History, Writer, publish, starts_of
from streams.commands.common import Unusable, config_option, problems, settings_of, sources_line
from streams.commands.out import counting
from streams.commands.rules.given import Logs, logs_of, logs_options
from streams.laptop import found
from streams.load import load_detections
from streams.settings import Settings
from streams.store import Position, RedisStateStore, connect

BATCH = 1_000
_folder = click.Path(exists=True, path_type=Path)


@click.command(epilog=sources_line)
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@config_option
@logs_options
@click.option("--rules", type=_folder, multiple=True, help="Rules that say what is suspected [default: as the worker].")
@click.option("--models", type=_folder, help="Model registry [default: AUDITWATCH_MODELS, else the shipped model].")
@click.option("--replace", is_flag=True, help="Also where there is a baseline: what it learnt live is lost.")
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
def command(
    sources: tuple[str, ...],
    config: Path | None,
    trail: Path | None,
    since: int | None,
    until: int | None,
    context: Path | None,
    rules: tuple[Path, ...],
    models: Path | None,
    replace: bool,
    dry_run: bool,
) -> None:
    """Learn baselines from history, so that the worker's first events are judged by them. Nobody is alerted.

    History is files (SOURCE=FILE, or `events` for AuditEvent lines), else the trail. What is suspected in it is held
    and dropped as it would be live. A principal that has a baseline keeps it: run it again as often as you like.
    A worker may run meanwhile. Let history end (--until) where the events begin that the worker has still to read.

    \b
    Examples:
      auditwatch backfill cloudtrail=2026-q1.jsonl.gz okta=okta.jsonl
      auditwatch backfill --trail .auditwatch/trail --since 60d --until 2026-03-02
      auditwatch backfill events=history.jsonl --dry-run
    """
    settings = settings_of(config)
    with problems():
        settings = found(settings)
        detections = load_detections(context or settings.context, rules or settings.rules, models or settings.models)
        logs = logs_of(sources, settings, detections.context, trail, (since, until))
        starts = asyncio.run(_reached(settings))
        history = History(detections, settings.alert_budget)
        started = time.perf_counter()
        events = _learn(history, logs)
        seconds = time.perf_counter() - started
        click.echo(f"{events} events in {seconds:.0f} s, {history.suspected} findings nobody is told of", err=True)
        logs.complain()
        try:
            writer = asyncio.run(_write(settings, history, Options(starts, replace, dry_run)))
        except BackfillError as error:
            raise Unusable(str(error)) from error
    click.echo(_summary(writer))


class Options(NamedTuple):
    """How to write: see Writer."""

    starts: dict[int, Position]
    replace: bool
    dry: bool


async def _reached(settings: Settings) -> dict[int, Position]:
    """Asks both servers before the long work begins, not after it."""
    async with connect(settings) as redis:
        await redis.ping()
    return await starts_of(settings)


def _learn(history: History, logs: Logs) -> int:
    """Reads outside of the event loop, where Ctrl-C ends even a read that waits."""
    stream = logs.events()
    with asyncio.Runner() as runner, counting("learning") as tick:
        runner.run(history.open())
        while chunk := list(islice(stream, BATCH)):
            runner.run(_feed(history, chunk))
            tick(len(chunk))
    return history.result.events


async def _feed(history: History, chunk: Sequence[AuditEvent]) -> None:
    await history.feed(chunk)
    await asyncio.sleep(0)  # where a Ctrl-C meanwhile is heard


async def _write(settings: Settings, history: History, options: Options) -> Writer:
    async with connect(settings) as redis:
        writer = Writer(RedisStateStore(redis, "events"), *options)
        with counting("writing") as tick:
            await writer.write(history.learnt(), tick)
        if writer.fresh and not writer.dry:
            await publish(redis, history.snapshot)
        return writer


def _summary(writer: Writer) -> str:
    done = "would be written" if writer.dry else "written"
    text = f"{_principals(writer.fresh)} {done}"
    if writer.known:
        text += f", {_principals(writer.known)} left alone: they have a baseline already (--replace replaces it)"
    return text


def _principals(names: Sequence[str]) -> str:
    return f"{len(names)} principal{'' if len(names) == 1 else 's'}"
