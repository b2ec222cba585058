"""The dispatcher as a process, killed with SIGKILL while Slack fails: every alert in Slack, each once, soon."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from alerting.alert import to_line
from streams.embedded import Broker
from streams.kafka import ALERTS, client_options
from tests.alerting.conftest import an_alert
from tests.alerting.slack_server import TOKEN
from tests.alerting.test_delivery import Failing
from tests.e2e.house import House, house, until
from tests.e2e.test_latency import CHANNELS, routes


async def through_kills(place: House, count: int, over: float, kills: int) -> tuple[Counter[str], list[float]]:
    """How often each alert was posted; seconds from the topic to Slack, in order of length."""
    channels = {f"C{n}": f"C{n}" for n in range(CHANNELS)}
    async with Failing(channels=channels, now=time.time, page=100) as slack:
        slack.dice = random.Random(count)
        place.environment = {
            "SLACK_BOT_TOKEN": TOKEN,
            "AUDITWATCH_SLACK_CHANNEL": "C0",
            "AUDITWATCH_SLACK_BASE_URL": slack.url,
            "AUDITWATCH_ROUTES": str(routes(place.folder)),
        }
        program = place.start("dispatcher")
        await program.until("its turn", lambda: "delivering alerts" in program.said)
        sent: dict[str, float] = {}

        async def fill() -> None:
            async with AIOKafkaProducer(**client_options(place.settings), linger_ms=0) as producer:
                for n in range(count):
                    alert = an_alert(n, principal=f"p{n % CHANNELS}", time=time.time_ns() // 1000)
                    await producer.send_and_wait(ALERTS, to_line(alert))
                    sent[alert.id] = time.time()
                    await asyncio.sleep(over / count)

        filling = asyncio.create_task(fill())
        for _ in range(kills):
            await asyncio.sleep(over / (kills + 1))
            program.kill()
            program = place.start("dispatcher")
        await filling
        await until("all alerts", lambda: slack.shown.keys() >= sent.keys(), 120, program)
        await asyncio.sleep(3.0)  # what would come twice comes now
        program.kill()
        posted = Counter(post["metadata"]["event_payload"]["alert_id"] for post in slack.posts)
        return posted, sorted(slack.shown[name] - at for name, at in sent.items())


async def test_a_kill_loses_and_doubles_nothing(own_broker: Broker, tmp_path: Path) -> None:
    with house(own_broker, tmp_path) as place:
        posted, _ = await through_kills(place, count=20, over=6.0, kills=1)
    assert posted == Counter({an_alert(n).id: 1 for n in range(20)})


@pytest.mark.slow
async def test_two_hundred_alerts_and_three_kills(own_broker: Broker, tmp_path: Path) -> None:
    with house(own_broker, tmp_path) as place:
        posted, times = await through_kills(place, count=200, over=100.0, kills=3)
    assert posted == Counter({an_alert(n).id: 1 for n in range(200)})
    p95 = times[int(0.95 * len(times))]
    sys.stdout.write(f"p50 {times[100]:.1f} s, p95 {p95:.1f} s, slowest {times[-1]:.1f} s\n")
    assert p95 <= 15.0
