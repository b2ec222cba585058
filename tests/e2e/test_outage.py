"""Redis and Kafka that go away, come back, or come back older, under workers that go on."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Logs
from tests.e2e.exact import assert_exact
from tests.e2e.flow import Flow
from tests.e2e.house import House, house
from tests.e2e.logbook import Logbook
from tests.servers import KafkaServer


async def test_redis_killed_and_started_again(empty_house: House, few_logs: Logs) -> None:
    empty_house.context = few_logs.context
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        flow = Flow(empty_house, few_logs.files)
        await flow.send(0.3, seconds=1)
        await worker.folds()
        empty_house.redis.kill()
        await flow.send(0.6, seconds=1.5)
        assert worker.get("/readyz")[0] == 503
        assert "Redis does not answer" in worker.get("/readyz")[1]
        empty_house.redis.restart()
        await flow.close()
        await assert_exact(book, few_logs.detections, few_logs.ids)
        worker.end()


async def test_redis_that_comes_back_older(empty_house: House, few_logs: Logs) -> None:
    empty_house.context = few_logs.context
    backup = empty_house.folder / "backup"
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        flow = Flow(empty_house, few_logs.files)
        await flow.send(0.2, seconds=1)
        await worker.folds()
        _save(empty_house, backup)
        await _moved(book, flow, 0.4)
        _restore(empty_house, backup)  # under a live worker

        await flow.send(0.5)
        await book.caught_up()
        _save(empty_house, backup)
        await _moved(book, flow, 0.8)
        await book.caught_up()
        worker.end()
        _restore(empty_house, backup)  # while no worker runs, and what was committed to Kafka is ahead of it
        worker = empty_house.worker()
        await worker.ready()
        await flow.close()
        await assert_exact(book, few_logs.detections, few_logs.ids)
        assert worker.alive


@pytest.mark.kafka
async def test_kafka_killed_and_started_again(own_kafka: KafkaServer, tmp_path: Path, few_logs: Logs) -> None:
    with house(own_kafka, tmp_path, few_logs.context) as built:
        worker = built.worker()
        await worker.ready()
        async with Logbook(built.settings) as book:
            flow = Flow(built, few_logs.files)
            await flow.send(0.4, seconds=1)
            await worker.folds()
            own_kafka.kill()
            sending = asyncio.create_task(flow.send(1.0, seconds=2))
            await asyncio.sleep(1.0)
            own_kafka.start()  # from the main thread: see Child
            await sending
            await flow.close()
            await assert_exact(book, few_logs.detections, few_logs.ids)
            worker.end()


def _save(built: House, backup: Path) -> None:
    shutil.rmtree(backup, ignore_errors=True)
    shutil.copytree(built.redis.folder.path, backup)


def _restore(built: House, backup: Path) -> None:
    built.redis.kill()
    shutil.rmtree(built.redis.folder.path)
    shutil.copytree(backup, built.redis.folder.path)
    built.redis.restart()


async def _moved(book: Logbook, flow: Flow, upto: float) -> None:
    """Sends on until the states in Redis have moved on."""
    before = await book.stored("audit.events")
    await flow.send(upto, seconds=1)
    while await book.stored("audit.events") == before:
        await asyncio.sleep(0.1)
