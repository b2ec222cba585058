"""The routes file of a running dispatcher: what waits, what a mistake does, what a mended file does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from alerting.alert import to_line
from streams.embedded import Broker
from streams.kafka import ALERTS, client_options
from tests.alerting.conftest import an_alert
from tests.e2e.house import house

WAITS = 'routes:\n  - {channel: c, quiet: {from: "00:00", to: "23:59", below: medium}}\n'


async def test_changed_routes_count_at_once_and_a_mistake_changes_nothing(own_broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "routes.yml"
    file.write_text(WAITS)
    with house(own_broker, tmp_path) as place:
        place.environment = {"AUDITWATCH_ROUTES": str(file)}
        program = place.start("dispatcher")
        await program.until("its turn", lambda: "delivering alerts" in program.said)
        async with AIOKafkaProducer(**client_options(place.settings)) as producer:
            for number, severity in enumerate(("low", "critical")):
                alert = an_alert(number, severity=severity, title=f"Title {severity}", time=time.time_ns() // 1000)
                await producer.send_and_wait(ALERTS, to_line(alert))
        await program.until("the critical one", lambda: "Title critical" in program.shown)
        file.write_text(WAITS.replace("channel", "chanel"))
        await program.until("the mistake", lambda: "routes.yml:2:" in program.said and "did you mean" in program.said)
        await program.until("word of it", lambda: "A change of the routes was refused" in program.shown)
        await asyncio.sleep(0.5)
        assert "Title low" not in program.shown
        file.write_text("routes: []\n")
        await program.until("the one that waited", lambda: "Title low" in program.shown)
        program.end()
