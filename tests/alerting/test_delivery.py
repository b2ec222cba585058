"""Alerts through a Slack that fails, with the dispatcher killed on the way: none lost, none doubled."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest

from alerting.alert import Alert
from alerting.dispatcher import run
from alerting.slack import SlackNotifier
from alerting.store_redis import RedisAlertStore
from audit.finding import SEVERITIES
from tests.alerting.conftest import SECOND, an_alert
from tests.alerting.slack_server import TOKEN, SlackServer

NOT_DONE = ("429:1", "500", "502", "reset")
DONE_UNKNOWN = ("reset_done", "500_done", "garbage")


class ByOwner(SlackNotifier):
    """Each person's alerts have a channel of their own."""

    def channel(self, alert: Alert) -> str:
        return f"C{alert.principal}"


class Failing(SlackServer):
    """Fails at random until it is told to be good."""

    dice: random.Random | None = None

    def step(self, reading: bool) -> str:
        if self.dice is None:
            return "ok"
        roll = self.dice.random()
        if roll < 0.2:
            return self.dice.choice(NOT_DONE)
        return self.dice.choice(DONE_UNKNOWN) if roll < 0.3 else "ok"


def now() -> int:
    return time.time_ns() // 1000


async def deliver(
    store: RedisAlertStore, alerts: list[Alert], channels: int, seed: int, over: float, kills: int
) -> tuple[SlackServer, dict[str, float]]:
    """Puts the alerts in over so many seconds; returns the server and how long each took to be shown, in seconds."""
    put: dict[str, float] = {}
    async with Failing(channels={f"C{n}": f"C{n}" for n in range(channels)}, now=time.time, page=100) as server:
        server.dice = random.Random(seed)

        async def fill() -> None:
            for alert in alerts:
                await store.put(alert)
                put[alert.id] = time.time()
                await asyncio.sleep(over / len(alerts))

        filling = asyncio.create_task(fill())
        for _ in range(kills):
            await _run(store, server, random.Random(seed).uniform(1.0, 2.0) + over / (kills + 1))
        await _run(store, server, filling)
        await _run(store, server, None)
        return server, {name: server.shown[name] - at for name, at in put.items()}


async def _run(store: RedisAlertStore, server: SlackServer, seconds: float | asyncio.Task[None] | None) -> None:
    """One dispatcher: killed after so many seconds, told to end when a task has ended, or until the outbox is empty."""
    notifier, stop = ByOwner(TOKEN, "C0", server.url), asyncio.Event()
    drain = seconds is None
    task = asyncio.create_task(run(store, notifier, clock=now, sleep=asyncio.sleep, stop=stop, drain=drain))
    if isinstance(seconds, asyncio.Task):
        await seconds
        stop.set()
    if seconds is None or isinstance(seconds, asyncio.Task):
        await asyncio.wait_for(task, 300)
    else:
        await asyncio.sleep(seconds)
        while not task.done():  # wherever it is, in the middle of a call too; wait_for in Python 3.11 may swallow it
            task.cancel()
            await asyncio.wait({task}, timeout=0.5)
        with suppress(asyncio.CancelledError):
            task.result()
    await notifier.close()


def owned(count: int, channels: int) -> list[Alert]:
    return [an_alert(n, principal=str(n % channels), time=now() + n * SECOND) for n in range(count)]


async def test_a_few_channels_and_one_kill(redis_store: RedisAlertStore) -> None:
    alerts = owned(24, 4)
    server, _ = await deliver(redis_store, alerts, channels=4, seed=5, over=0.0, kills=1)
    assert Counter(map(_alert_of, server.posts)) == Counter({alert.id: 1 for alert in alerts})


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("over", [0.0, 100.0], ids=["burst", "steady"])
async def test_two_hundred_over_ten_channels_and_three_kills(
    redis_store: RedisAlertStore, seed: int, over: float
) -> None:
    alerts = owned(200, 10)
    server, took = await deliver(redis_store, alerts, channels=10, seed=seed, over=over, kills=3)
    assert Counter(map(_alert_of, server.posts)) == Counter({alert.id: 1 for alert in alerts})
    p95 = sorted(took.values())[int(0.95 * len(took))]
    sys.stdout.write(f"seed {seed}, over {over:.0f} s: p95 {p95:.1f} s, slowest {max(took.values()):.1f} s\n")
    assert p95 <= (15.0 if over else 60.0)


def _alert_of(post: dict[str, object]) -> str:
    return post["metadata"]["event_payload"]["alert_id"]  # type: ignore[index, no-any-return]


class Shut(SlackServer):
    """Refuses every message until it opens."""

    opens = 0.0

    def step(self, reading: bool) -> str:
        return "429:20" if time.time() < self.opens and not reading else super().step(reading)


async def through_429(store: RedisAlertStore, seconds: float, count: int) -> SlackServer:
    """Puts alerts of all severities in while Slack refuses everything for so many seconds, and drains."""
    async with Shut(channels={f"C{n}": f"C{n}" for n in range(3)}, now=time.time, page=100) as server:
        server.opens = time.time() + seconds
        notifier, stop = ByOwner(TOKEN, "C0", server.url), asyncio.Event()
        task = asyncio.create_task(run(store, notifier, clock=now, sleep=asyncio.sleep, stop=stop))
        for n in range(count):
            await store.put(an_alert(n, principal=str(n % 3), severity=SEVERITIES[n % 4], time=now()))
            await asyncio.sleep(seconds / count)
        stop.set()
        await task
        await asyncio.wait_for(
            run(store, notifier, clock=now, sleep=asyncio.sleep, stop=asyncio.Event(), drain=True), 300
        )
        await notifier.close()
        return server


@pytest.mark.slow
async def test_ten_minutes_of_429_for_real(redis_store: RedisAlertStore) -> None:
    """tests/alerting/test_storms.py has them in virtual time."""
    server = await through_429(redis_store, 600, 120)
    assert Counter(map(_alert_of, server.posts)) == Counter({an_alert(n).id: 1 for n in range(120)})
    rank, owner = ({an_alert(n).id: n % parts for n in range(120)} for parts in (4, 3))
    for channel in range(3):
        mine = [rank[name] for name in sorted(server.shown, key=server.shown.__getitem__) if owner[name] == channel]
        assert mine == sorted(mine, reverse=True), "the gravest first"
