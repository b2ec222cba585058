"""Workers that are killed at random times: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest

from alerting.alert import to_line
from streams.replay import Source, replay
from tests.e2e.conftest import ARRIVAL, Logs
from tests.e2e.exact import assert_exact, assert_same_alerts
from tests.e2e.flow import Flow
from tests.e2e.house import House
from tests.e2e.logbook import Logbook

KILLS = 5
log = logging.getLogger(__name__)


async def test_kills_while_four_sources_flow_change_nothing(empty_house: House, logs: Logs) -> None:
    seed = random.randrange(2**32)
    log.info("seed %s", seed)
    chance = random.Random(seed)
    empty_house.context = logs.context
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        flow = Flow(empty_house, logs.files)
        sending = asyncio.create_task(flow.send(1.0, seconds=4.0 * KILLS))
        for _ in range(KILLS):
            await worker.folds()
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            worker.kill()
            worker = empty_house.worker()
            await worker.ready()
        await sending
        await flow.close()
        await assert_exact(book, logs.detections, logs.ids)
        worker.end()


async def test_one_file_gives_what_its_replay_gives_whatever_was_killed(empty_house: House, few_logs: Logs) -> None:
    file = few_logs.files["cloudtrail"]
    empty_house.context = few_logs.context
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        await empty_house.ingest("cloudtrail", file)
        await worker.folds()
        worker.kill()
        empty_house.worker()
        await assert_exact(book, few_logs.detections, {event.id for event in few_logs.events("cloudtrail")})
        sources = [Source("cloudtrail", str(file))]
        told = await asyncio.to_thread(replay, sources, few_logs.detections, arrival=ARRIVAL)
        expected = {alert.id: to_line(alert) for alert in told.alerts.values()}
        assert_same_alerts(book.alerts, expected, few_logs.detections)


@pytest.mark.slow
async def test_two_workers_killed_and_frozen_at_random_for_minutes(empty_house: House, logs: Logs) -> None:
    seed = random.randrange(2**32)
    log.info("seed %s", seed)
    chance = random.Random(seed)
    empty_house.context = logs.context
    workers = [empty_house.worker(), empty_house.worker()]
    for worker in workers:
        await worker.ready()
    async with Logbook(empty_house.settings) as book:
        flow = Flow(empty_house, logs.files)
        sending = asyncio.create_task(flow.send(1.0, seconds=100.0))
        while not sending.done():
            victim = chance.choice(workers)
            if chance.random() < 0.3:
                victim.freeze()
                await asyncio.sleep(chance.uniform(0.5, 6.0))
                victim.thaw()
            else:
                victim.kill()
                workers[workers.index(victim)] = empty_house.worker()
            await asyncio.sleep(chance.uniform(0.0, 8.0))
        await flow.close()
        await assert_exact(book, logs.detections, logs.ids)
