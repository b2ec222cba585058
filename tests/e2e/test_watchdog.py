"""A worker that is alive but does nothing ends itself and says why; here its patience is cut to seconds."""

from __future__ import annotations

import asyncio
from pathlib import Path

from streams.embedded import Broker
from tests.e2e.conftest import Logs
from tests.e2e.house import house

IMPATIENT = """
import time
from streams import cli, duties, engine, watchdog
watchdog.STUCK_SECONDS, watchdog.FROZEN_SECONDS, watchdog.LOOK_SECONDS, duties.LOOK_SECONDS = 3.0, 1.5, 0.3, 0.3
"""
FREEZING = """
async def freeze(*_):
    time.sleep(1000)
engine.Engine._normalise = freeze
"""
SLACKING = """
async def slack(*_):
    return []
engine.Engine._normalise = slack
"""


async def test_an_event_loop_that_hangs(own_broker: Broker, tmp_path: Path, few_logs: Logs) -> None:
    with house(own_broker, tmp_path) as built:
        worker = built.run(IMPATIENT + FREEZING + "cli.main()", "worker")
        await worker.ready()
        await built.ingest("okta", few_logs.files["okta"])
        assert await worker.ended(30) == 70
        assert "the event loop has not turned for" in worker.said


async def test_a_stage_that_gets_nothing_done(own_broker: Broker, tmp_path: Path, few_logs: Logs) -> None:
    with house(own_broker, tmp_path) as built:
        worker = built.run(IMPATIENT + SLACKING + "cli.main()", "worker")
        await worker.ready()
        await built.ingest("okta", few_logs.files["okta"])
        assert await worker.ended(30) == 70
        assert "normalise: messages wait, but no offset moved for" in worker.said


async def test_an_outage_that_does_not_end(own_broker: Broker, tmp_path: Path, few_logs: Logs) -> None:
    with house(own_broker, tmp_path) as built:
        worker = built.run(IMPATIENT + "cli.main()", "worker")
        await worker.ready()
        built.redis.kill()
        await built.ingest("okta", few_logs.files["okta"])
        assert await worker.ended(30) == 70
        assert "audit.events: messages wait, but no offset moved for" in worker.said
        assert "last error: " in worker.said
        assert "Connect" in worker.said.rpartition("last error: ")[2]


async def test_an_idle_worker_stays(own_broker: Broker, tmp_path: Path, few_logs: Logs) -> None:
    with house(own_broker, tmp_path) as built:
        worker = built.run(IMPATIENT + "cli.main()", "worker")
        await worker.ready()
        await built.ingest("okta", few_logs.files["okta"])
        await worker.folds()
        await asyncio.sleep(4.5)  # longer than it would wait for work that does not get done
        assert worker.alive
        worker.end()
