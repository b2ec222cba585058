"""Cases worked while Slack fails and the dispatcher is killed: each step told once, each message as its case stands."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress

import pytest

from alerting.attachment import is_attachment
from alerting.case import Action, Case, Step
from alerting.casework import advance
from alerting.dispatcher import run
from alerting.store_redis import RedisAlertStore
from tests.alerting.conftest import an_alert
from tests.alerting.slack_server import TOKEN
from tests.alerting.test_delivery import ByOwner, Failing, now

STEPS: tuple[Action, ...] = ("ack", "assign", "benign", "reopen", "false_positive")
CHANNELS = 6


async def dispatcher(store: RedisAlertStore, server: Failing, seconds: float | None) -> None:
    """One dispatcher, killed after so many seconds, or until the outbox is empty."""
    notifier = ByOwner(TOKEN, "C0", server.url)
    notifier.pace = notifier.edit_pace = notifier.post_pace = 0.05
    drain = seconds is None
    task = asyncio.create_task(run(store, notifier, clock=now, sleep=asyncio.sleep, stop=asyncio.Event(), drain=drain))
    if not drain:
        await asyncio.sleep(seconds or 0)
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 120)
    await notifier.close()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_through_faults_and_kills_no_step_is_lost_or_told_twice(redis_store: RedisAlertStore, seed: int) -> None:
    dice = random.Random(seed)
    alerts = [an_alert(number, principal=str(number % CHANNELS), time=now()) for number in range(12)]
    channels = {f"C{number}": f"C{number}" for number in range(CHANNELS)}
    async with Failing(channels=channels, now=time.time, page=100) as server:
        server.dice = random.Random(seed)

        async def people() -> None:
            for action in STEPS:
                for alert in dice.sample(alerts, len(alerts)):
                    assert isinstance(await advance(redis_store, alert.id, Step(action, "bob", now())), Case)
                    await asyncio.sleep(dice.random() * 0.08)

        for alert in alerts:
            await redis_store.put(alert)
        working = asyncio.create_task(people())
        for _ in range(3):
            await dispatcher(redis_store, server, dice.uniform(0.3, 1.2))
        await working
        await dispatcher(redis_store, server, None)

        lines = Counter(
            (message["metadata"]["event_payload"]["alert_id"], line.split(" at ")[0])
            for message in server.messages.values()
            if "thread_ts" in message
            for line in message["text"].splitlines()
        )
        done = ("acknowledged it", "took it", "resolved it as benign", "reopened it", "resolved it as false_positive")
        assert lines == Counter({(alert.id, f"bob {words}"): 1 for alert in alerts for words in done})
        assert len(server.posts) == len(alerts)
        for root in server.posts:
            assert "✅" in root["blocks"][0]["text"]["text"]
            assert '"version":5' in str(root["blocks"])
    left = await redis_store.due(99, now())
    assert [entry.alert.id for entry in left if not is_attachment(entry.alert)] == []
