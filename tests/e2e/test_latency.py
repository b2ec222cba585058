"""From audit.alerts to Slack's answer, through the real dispatcher process, Kafka, Redis and HTTP."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from alerting.alert import to_line
from streams.embedded import Broker
from streams.kafka import ALERTS, client_options
from tests.alerting.conftest import an_alert
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.e2e.house import House, house, until

CHANNELS = 10
COUNT = 200
A_SECOND = 5
"""Slack's pace: "several hundred" messages a minute, of which each of ten channels gets one in two seconds."""
BUDGET = 0.3


def routes(folder: Path) -> Path:
    lines = [f"  - {{when: {{principals: p{n}}}, channel: C{n}}}" for n in range(CHANNELS)]
    (folder / "routes.yml").write_text("\n".join(["default: C0", "routes:", *lines]))
    return folder / "routes.yml"


async def took(place: House, count: int) -> list[float]:
    """Seconds of each alert from the topic to Slack's answer, in order."""
    channels = {f"C{n}": f"C{n}" for n in range(CHANNELS)}
    async with SlackServer(channels=channels, now=time.time) as slack:
        place.environment = {
            "SLACK_BOT_TOKEN": TOKEN,
            "AUDITWATCH_SLACK_CHANNEL": "C0",
            "AUDITWATCH_SLACK_BASE_URL": slack.url,
            "AUDITWATCH_ROUTES": str(routes(place.folder)),
        }
        program = place.start("dispatcher")
        await program.until("its turn", lambda: "delivering alerts" in program.said)
        sent: dict[str, float] = {}
        async with AIOKafkaProducer(**client_options(place.settings), linger_ms=0) as producer:
            for n in range(count):
                alert = an_alert(n, principal=f"p{n % CHANNELS}", severity="medium", time=time.time_ns() // 1000)
                await producer.send_and_wait(ALERTS, to_line(alert))
                sent[alert.id] = time.time()
                await asyncio.sleep(1 / A_SECOND)
        await until("all alerts", lambda: slack.shown.keys() >= sent.keys(), 30, program)
        program.end()
        return [slack.shown[name] - at for name, at in sent.items()]


async def test_an_alert_is_in_slack_soon(own_broker: Broker, tmp_path: Path) -> None:
    with house(own_broker, tmp_path) as place:
        assert sorted(await took(place, 20))[10] < 2.0, "on a machine that does much else"


@pytest.mark.slow
async def test_nearly_every_alert_is_in_slack_within_three_tenths_of_a_second(
    own_broker: Broker, tmp_path: Path
) -> None:
    with house(own_broker, tmp_path) as place:
        times = sorted(await took(place, COUNT))
    p50, p99 = times[len(times) // 2], times[int(0.99 * len(times))]
    sys.stdout.write(f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms\n")
    assert p99 <= BUDGET
