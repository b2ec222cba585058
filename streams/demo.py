"""The demo's machinery: servers of our own, the real worker and dispatcher as child processes, a company living fast.

Everything is in one temporary folder and in child processes that end with this one, however it ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from audit.sources import SOURCES
from streams.child import LOOPBACK, Child, EmbeddedError, free_port
from streams.embedded import Broker, RedisServer
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS, RAW, ensure_topics
from streams.settings import PREFIX, SECRETS, Settings
from streams.simulate.organisation import DEMO_DAYS, Demo
from streams.simulate.output import context_yaml

AUDITWATCH = [sys.executable, "-P", "-c", "from streams.cli import main; main()"]
TOPICS = [*(RAW + source for source in SOURCES), EVENTS, FINDINGS, ALERTS, DEADLETTER]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 60
AGAIN_SECONDS = 0.5
WIDEST = 400
FRIDAY = 4
SPILL = timedelta(hours=12)
"""How long after midnight UTC the simulated day may still go on, in the west."""


class DemoError(Exception):
    """A service ended or got stuck while the demo ran; the text ends with its log."""


@dataclass(frozen=True, slots=True)
class House:
    """What runs: settings that reach the demo's own broker and Redis, and the children by name."""

    home: Path
    settings: Settings
    children: tuple[Child, ...]

    async def guard(self) -> None:
        """Watches the children for ever.

        Raises:
            DemoError: one of them ended.
        """
        while True:
            for child in self.children:
                if not child.alive:
                    raise trouble(child, "ended")
            await asyncio.sleep(LOOK_SECONDS)

    async def counts(self) -> dict[str, int]:
        """The worker's counters as `name` and `name/label`; empty while it does not answer yet."""
        try:
            wait = aiohttp.ClientTimeout(total=2)
            async with (
                aiohttp.ClientSession(timeout=wait) as session,
                session.get(f"http://{self.settings.listen}/metrics") as answer,
            ):
                return _counters(await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            return {}

    async def settled(self, records: int) -> None:
        """Waits until the worker has folded this many raw records.

        Raises:
            DemoError: it has not within a minute.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _folded(await self.counts(), records):
            if time.monotonic() > deadline:
                raise trouble(self.worker, f"did not get through {records} records in {PATIENCE_SECONDS} s")
            await asyncio.sleep(LOOK_SECONDS / 4)

    @property
    def worker(self) -> Child:
        """The one that judges."""
        return next(child for child in self.children if child.name.endswith("worker"))


def _folded(counts: Mapping[str, int], records: int) -> bool:
    read = counts.get("records", 0)
    return read >= records and counts.get(f"folded/{EVENTS}", 0) >= read - counts.get("deadletters/normalise", 0)


def trouble(child: Child, what: str) -> DemoError:
    """What happened to a service, and the end of its log."""
    tail = "\n".join(line if len(line) < WIDEST else line[:WIDEST] + "..." for line in child.tail(6).splitlines())
    return DemoError(f"{child.name} {what}; its log {child.log} ends with:\n{tail}")


@asynccontextmanager
async def house(demo: Demo, slack: Settings | None) -> AsyncIterator[House]:
    """Servers, topics, worker and dispatcher; all of it is gone when the block ends, the folder too.

    The services are started, not yet ready: what is sent meanwhile waits for them. After an error of theirs the folder
    is kept for the logs in it.

    Raises:
        EmbeddedError, KafkaProblem: a server would not start.
    """
    with _folder() as home, ExitStack() as stack:
        broker = stack.enter_context(Broker.start(home / "broker"))
        redis = stack.enter_context(RedisServer.start(home / "redis"))
        settings = Settings(
            broker.url, redis.url, listen=f"{LOOPBACK}:{free_port()}", dispatcher_listen="", partitions=4,
            raw_partitions=1, context=home / "context.yml",
        )  # fmt: skip
        await ensure_topics(settings, TOPICS)
        (home / "context.yml").write_text(context_yaml(demo.organisation.context), encoding="utf-8")
        environ = environment(os.environ, settings, slack)
        worker = Child("auditwatch worker", home / "worker.log", environ=environ, folder=home)
        dispatcher = Child("auditwatch dispatcher", home / "dispatcher.log", environ=environ, folder=home, shown=True)
        for service in (worker, dispatcher):
            stack.callback(service.kill)  # nothing they hold outlives the demo: no need to ask
            service.start([*AUDITWATCH, service.name.split()[1]], ready=lambda: True)
        yield House(home, settings, (broker.child, redis.child, worker, dispatcher))


@contextmanager
def _folder() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="auditwatch-demo-"))
    try:
        yield home
    except (DemoError, EmbeddedError):
        raise
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    shutil.rmtree(home, ignore_errors=True)


def environment(ours: Mapping[str, str], settings: Settings, slack: Settings | None) -> dict[str, str]:
    """The environment of the services: what the user set for a real installation never reaches the demo.

    Slack's token and channel are passed on only where the demo was asked to use Slack.
    """
    kept = {name: value for name, value in ours.items() if not name.startswith(PREFIX) and name not in SECRETS.values()}
    given = ("broker", "redis", "listen", "dispatcher_listen", "partitions", "raw_partitions", "context")
    kept |= {PREFIX + name.upper(): str(getattr(settings, name)) for name in given}
    if slack:
        kept["SLACK_BOT_TOKEN"] = slack.slack_bot_token
        kept |= {PREFIX + name.upper(): getattr(slack, name) for name in ("slack_channel", "slack_base_url")}
    return kept


def told_to_stop(after: float | None) -> asyncio.Event:
    """An event that Ctrl-C, SIGTERM, a closed terminal or the passing of `after` seconds sets."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    if after is not None:
        loop.call_later(after, stop.set)
    return stop


async def until(stop: asyncio.Event, *work: Coroutine[Any, Any, None]) -> None:
    """Runs all of the work until the event is set, or until one raises, which is raised here; then cancels the rest."""
    told = asyncio.create_task(stop.wait())
    going: set[asyncio.Task[Any]] = {told, *map(asyncio.create_task, work)}
    try:
        while not told.done():
            done, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        left = going
        while left:
            for task in left:
                task.cancel()  # which wait_for of Python 3.11, in redis-py, may swallow
            _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
        await asyncio.gather(*going, return_exceptions=True)


def first_day(now: datetime) -> datetime:
    """Midnight UTC of the first of the last days of a demo that are all working days and all over.

    They end on a Thursday or a Friday, so that people have worked on the days before the attack.
    """
    day: date = (now.astimezone(UTC) - SPILL).date() - timedelta(days=DEMO_DAYS)
    while day.weekday() + DEMO_DAYS - 1 > FRIDAY:
        day -= timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _counters(page: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, label, value in re.findall(r'^auditwatch_(\w+)_total\{label="([^"]*)"\} (\S+)$', page, re.MULTILINE):
        counts[name] = counts.get(name, 0) + int(float(value))
        counts[f"{name}/{label}"] = int(float(value))
    return counts
