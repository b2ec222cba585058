from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from audit.event import AuditEvent
from streams import trail_loop
from streams.embedded import Broker
from streams.kafka import EVENTS, KafkaProblem, client_options, ensure_topics
from streams.packet import encode
from streams.settings import Settings
from streams.trail import Shelf, read
from streams.trail_loop import Follower, follow
from tests.streams.test_trail import LOG, event, packet


async def publish(settings: Settings, events: range, partition: int = 0) -> None:
    """One event a message, marked by its number."""
    producer = AIOKafkaProducer(**client_options(settings))
    await producer.start()
    try:
        for number in events:
            payload = encode(packet(event(number), origin=f"raw/{partition}", first=number))
            await producer.send(EVENTS, payload, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


async def followed(settings: Settings, count: int, within: float = 20.0) -> list[AuditEvent]:
    """What the trail holds once `count` events are in it and the follower has stopped."""
    stop = asyncio.Event()
    task = asyncio.create_task(follow(settings, stop, every=0.2))
    deadline = time.monotonic() + within
    while len(list(read(settings.trail))) < count and not task.done() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    stop.set()
    await task
    return list(read(settings.trail))


@contextmanager
def trail_process(settings: Settings, prelude: str = "") -> Iterator[subprocess.Popen[str]]:
    """`auditwatch trail` as its own process; `prelude` is run in it first."""
    program = f"{prelude}\nfrom streams.cli import main\nmain()"
    environ = {**os.environ, "AUDITWATCH_BROKER": settings.broker, "AUDITWATCH_TRAIL": str(settings.trail)}
    command = [sys.executable, "-c", program, "trail", "--every", "0.2"]
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True, cwd=settings.trail.parent)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def short_session(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A killed process's partitions pass on after its session: as short as the broker lets it be."""
    monkeypatch.setattr(trail_loop, "SESSION_MS", 6_000 if "[kafka]" in request.node.name else 2_000)


DIES_BEFORE_ITS_COMMIT = """
import os, signal
from streams import trail_loop
from streams.trail_loop import Follower
trail_loop.SESSION_MS = {session}
async def dies(self, offsets):
    if offsets:
        os.kill(os.getpid(), signal.SIGKILL)
Follower._commit = dies
"""


class TestFollow:
    async def test_writes_every_event_of_every_partition(self, fresh: Settings) -> None:
        await ensure_topics(fresh, [EVENTS])
        for partition in range(3):
            await publish(fresh, range(partition * 100, partition * 100 + 50), partition)
        found = await followed(fresh, 150)
        assert [each.id for each in found] == [f"e{at * 100 + number}" for at in range(3) for number in range(50)]

    async def test_a_kill_between_rename_and_commit_loses_and_doubles_nothing(self, fresh: Settings) -> None:
        await ensure_topics(fresh, [EVENTS])
        for life in range(2):
            await publish(fresh, range(life * 20, life * 20 + 20), life)
            with trail_process(fresh, DIES_BEFORE_ITS_COMMIT.format(session=trail_loop.SESSION_MS)) as process:
                assert process.wait(30) == -signal.SIGKILL
        assert len(list(read(fresh.trail))) in (20, 40), "the second life may die before it fetched what is new"
        await publish(fresh, range(40, 50), 2)
        found = await followed(fresh, 50)
        assert [each.id for each in found] == [f"e{number}" for number in range(50)]

    async def test_a_trail_that_came_back_older_is_filled_again(self, fresh: Settings) -> None:
        await ensure_topics(fresh, [EVENTS])
        await publish(fresh, range(10))
        assert len(await followed(fresh, 10)) == 10
        for file in fresh.trail.rglob("*.parquet"):
            file.unlink()
        assert len(await followed(fresh, 10)) == 10

    async def test_a_message_that_is_no_packet_is_named_and_passed(
        self, fresh: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        await ensure_topics(fresh, [EVENTS])
        producer = AIOKafkaProducer(**client_options(fresh))
        await producer.start()
        await producer.send_and_wait(EVENTS, b"\xc1garbage", partition=0)
        await producer.stop()
        await publish(fresh, range(2))
        with caplog.at_level(logging.ERROR):
            assert len(await followed(fresh, 2)) == 2
        assert "audit.events/0: offset 0 is no packet" in caplog.text

    async def test_a_memory_broker_that_restarted_is_a_clear_error(self, tmp_path: Path) -> None:
        with Broker.start() as broker:
            settings = Settings(broker=broker.url, partitions=1, trail=tmp_path / "trail")
            await ensure_topics(settings, [EVENTS])
            await publish(settings, range(5))
            task = asyncio.create_task(follow(settings, asyncio.Event(), every=0.2))
            while len(list(read(settings.trail))) < 5:
                await asyncio.sleep(0.1)
            broker.restart()
            await ensure_topics(settings, [EVENTS])
            with pytest.raises(KafkaProblem, match="no longer the topic it was"):
                await asyncio.wait_for(task, 20)
            await publish(settings, range(5, 8))
            assert [each.id for each in await followed(settings, 8)] == [f"e{number}" for number in range(8)]


class Handful:
    """A consumer that has one message for partition 0 and remembers what is committed."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(EVENTS, 0)}

    async def getmany(self, **_: object) -> dict[TopicPartition, list[SimpleNamespace]]:
        message = SimpleNamespace(offset=1, value=encode(packet(event(1), first=1)))
        return {TopicPartition(EVENTS, 0): [message]}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed = offsets


async def test_what_arrives_while_a_rebalance_writes_is_not_taken_for_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def the_same(*_: object) -> dict[str, str]:
        return {EVENTS: LOG}

    write = Shelf._write

    def slowly(shelf: Shelf) -> None:
        write(shelf)
        time.sleep(0.3)

    monkeypatch.setattr(trail_loop, "incarnations", the_same)
    monkeypatch.setattr(Shelf, "_write", slowly)
    follower = Follower(Settings(trail=tmp_path), LOG)
    follower.consumer = Handful()
    follower.shelves[0] = Shelf.take_over(tmp_path, LOG, 0)
    follower.shelves[0].add(0, packet(event(0)))
    writing = asyncio.create_task(follower.flush())
    await asyncio.sleep(0.1)
    await follower.poll()
    await writing
    assert follower.consumer.committed == {TopicPartition(EVENTS, 0): 1}
    await follower.flush()
    assert [each.id for each in read(tmp_path)] == ["e0", "e1"]


class TestCommand:
    @pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
    async def test_ends_in_order_with_everything_written(self, tmp_path: Path, told: signal.Signals) -> None:
        with Broker.start() as broker:
            settings = Settings(broker=broker.url, trail=tmp_path / "trail")
            await ensure_topics(settings, [EVENTS])
            await publish(settings, range(5))
            with trail_process(settings) as process:
                while not list(read(settings.trail)):
                    assert process.poll() is None
                    await asyncio.sleep(0.1)
                process.send_signal(told)
                _, errors = process.communicate(timeout=15)
            assert (process.returncode, "Traceback" in errors) == (0, False), errors
            assert len(list(read(settings.trail))) == 5

    def test_without_a_broker_says_what_to_set(self, tmp_path: Path) -> None:
        with trail_process(Settings(trail=tmp_path / "trail")) as process:
            _, errors = process.communicate(timeout=20)
        assert process.returncode == 2
        assert "set AUDITWATCH_BROKER" in errors
