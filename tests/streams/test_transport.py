from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams.transport import App, Chunk, ChunkConsumer, Chunks

ONE, TWO = TP("audit.events", 0), TP("audit.events", 1)


class Record(NamedTuple):
    """What aiokafka hands over, as far as Faust looks at it."""

    offset: int
    topic: str = "audit.events"
    partition: int = 0
    timestamp: int = 0
    timestamp_type: int = 0
    headers: tuple[()] = ()
    key: bytes | None = None
    value: bytes = b""
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


class Kafka:
    """aiokafka's consumer as the transport uses it; `fetch` is what the next fetch returns."""

    def __init__(self, committed: Mapping[TP, int | None]) -> None:
        self._committed = {TopicPartition(*tp): offset for tp, offset in committed.items()}
        self.positions: dict[Any, int] = {}
        self.starts = 3

    def assignment(self) -> set[TopicPartition]:
        return set(self._committed)

    async def committed(self, tp: TopicPartition) -> int | None:
        await asyncio.sleep(0)
        return self._committed[tp]

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self.starts)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.positions[tp] = offset


@pytest.fixture
async def consumer(monkeypatch: pytest.MonkeyPatch) -> ChunkConsumer:
    """A consumer that never talks to a broker; what it delivers is appended to `consumer.delivered`."""
    app = App("test-transport", broker="kafka://127.0.0.1:9", store="memory://", web_enabled=False)
    app.finalize()
    delivered: list[Chunk] = []

    async def callback(message: Any) -> None:
        delivered.append(message.value)

    async def nothing(*_: Any) -> None:
        """Faust asks back on rebalances."""

    made: ChunkConsumer = app.transport.create_consumer(
        callback, on_partitions_revoked=nothing, on_partitions_assigned=nothing
    )
    made.delivered = delivered
    made.resume_flow()
    monkeypatch.setattr(made._thread, "call_thread", lambda function, *args: function(*args))
    return made


def with_kafka(consumer: ChunkConsumer, committed: Mapping[TP, int | None]) -> Kafka:
    kafka = Kafka(committed)
    consumer._thread._consumer = kafka
    return kafka


async def deliver(consumer: ChunkConsumer, tp: TP, first: int, last: int, epoch: int | None = None) -> Any:
    """Delivers a chunk of the offsets first to last; returns its message."""
    now = consumer._thread.epochs[tp] if epoch is None else epoch
    records = [Record(offset, partition=tp.partition) for offset in range(first, last + 1)]
    await consumer._deliver(Chunk(tp, now, records))
    waiting = consumer._now(tp).waiting
    return waiting[-1] if waiting else None


class TestCommits:
    async def test_stop_before_the_first_chunk_not_done(self, consumer: ChunkConsumer) -> None:
        first, second, third = [await deliver(consumer, ONE, n * 10, n * 10 + 9) for n in range(3)]
        assert consumer._new_offset(ONE) is None
        consumer.done(second)
        assert consumer._new_offset(ONE) is None
        consumer.done(first)
        assert consumer._new_offset(ONE) == 20
        consumer.done(third)
        assert consumer._new_offset(ONE) == 30
        assert ONE in set(consumer._filter_tps_with_pending_acks())

    async def test_are_by_partition(self, consumer: ChunkConsumer) -> None:
        await deliver(consumer, ONE, 0, 9)
        consumer.done(await deliver(consumer, TWO, 0, 4))
        assert (consumer._new_offset(ONE), consumer._new_offset(TWO)) == (None, 5)

    async def test_do_not_follow_what_faust_acknowledges_by_itself(self, consumer: ChunkConsumer) -> None:
        message = await deliver(consumer, ONE, 0, 9)
        assert consumer.ack(message) is False  # what a stream does with an event it skips during a rebalance
        assert consumer._new_offset(ONE) is None

    async def test_do_not_follow_a_chunk_of_an_epoch_gone_by(self, consumer: ChunkConsumer) -> None:
        kafka = with_kafka(consumer, {ONE: 0})
        old = await deliver(consumer, ONE, 0, 99)
        await consumer.rewind({ONE: 10})
        new = await deliver(consumer, ONE, 10, 19)
        consumer.done(old)
        assert consumer._new_offset(ONE) is None
        consumer.done(new)
        assert consumer._new_offset(ONE) == 20
        assert kafka.positions == {ONE: 10}

    async def test_of_a_revoked_partition_are_forgotten(self, consumer: ChunkConsumer) -> None:
        consumer.done(await deliver(consumer, ONE, 0, 9))
        await consumer.on_partitions_revoked({ONE})
        assert consumer._new_offset(ONE) is None


class TestDelivery:
    async def test_leaves_out_what_was_fetched_before_a_seek(self, consumer: ChunkConsumer) -> None:
        with_kafka(consumer, {ONE: 0, TWO: 0})
        before = consumer._thread.epochs[ONE]
        await consumer.rewind({ONE: 5})
        await deliver(consumer, ONE, 50, 59, epoch=before)
        await deliver(consumer, TWO, 7, 8)
        await deliver(consumer, ONE, 5, 9)
        assert [(chunk.tp, chunk.records[0].offset) for chunk in consumer.delivered] == [(TWO, 7), (ONE, 5)]

    async def test_rests_on_hold_until_the_rewind(self, consumer: ChunkConsumer) -> None:
        with_kafka(consumer, {ONE: 0, TWO: 0})
        queued = Chunk(ONE, consumer._thread.epochs[ONE], [Record(1)])
        consumer.hold([ONE])
        assert consumer.is_stale(queued)
        await deliver(consumer, ONE, 2, 3)
        await deliver(consumer, TWO, 2, 3)
        assert [chunk.tp for chunk in consumer.delivered] == [TWO]
        assert await consumer.reached(ONE) is None
        await consumer.rewind({ONE: 1})
        await deliver(consumer, ONE, 1, 1)
        assert [chunk.tp for chunk in consumer.delivered] == [TWO, ONE]

    async def test_rests_on_hold_over_the_seek_that_ends_a_rebalance(self, consumer: ChunkConsumer) -> None:
        with_kafka(consumer, {ONE: 40, TWO: 40})
        consumer.hold([ONE])
        await consumer.perform_seek()
        await deliver(consumer, ONE, 40, 49)
        await deliver(consumer, TWO, 40, 49)
        assert [chunk.tp for chunk in consumer.delivered] == [TWO]

    async def test_waits_while_a_rebalance_is_under_way(self, consumer: ChunkConsumer) -> None:
        with_kafka(consumer, {ONE: 0, TWO: 0})
        consumer.stop_flow()
        epoch = consumer._thread.epochs[TWO]
        held = asyncio.create_task(deliver(consumer, ONE, 0, 9))
        stale = asyncio.create_task(deliver(consumer, TWO, 0, 9, epoch))
        await asyncio.sleep(0.02)
        assert not consumer.delivered
        await consumer._thread._seek_wait(consumer._thread._consumer, {TWO: 0})
        consumer.resume_flow()
        await asyncio.gather(held, stale)
        assert [chunk.tp for chunk in consumer.delivered] == [ONE]

    async def test_says_how_far_it_is(self, consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
        async def position(tp: TP) -> int:
            return 20

        monkeypatch.setattr(consumer, "position", position)
        assert await consumer.reached(ONE) == 20
        first, _ = await deliver(consumer, ONE, 0, 9), await deliver(consumer, ONE, 10, 19)
        assert await consumer.reached(ONE) == 0
        consumer.done(first)
        assert await consumer.reached(ONE) == 10


class TestThread:
    async def test_seeks_all_partitions_after_a_rebalance(self, consumer: ChunkConsumer) -> None:
        kafka = with_kafka(consumer, {ONE: 40, TWO: None})
        before = dict(consumer._thread.epochs)
        await consumer.perform_seek()
        assert kafka.positions == {ONE: 40, TWO: kafka.starts}  # nothing committed: from the beginning of the log
        assert {consumer._thread.epochs[tp] for tp in (ONE, TWO)}.isdisjoint(before.values())
        assert consumer._committed_offset[ONE] == 40

    async def test_stamps_a_fetch_with_the_epoch_it_ends_in(
        self, consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kafka = with_kafka(consumer, {ONE: 0})
        answer: asyncio.Future[dict[TP, list[Record]]] = asyncio.get_running_loop().create_future()

        async def fetched(*_: Any) -> dict[TP, list[Record]]:
            return await answer

        monkeypatch.setattr("faust.transport.drivers.aiokafka.AIOKafkaConsumerThread._fetch_records", fetched)
        fetching = asyncio.create_task(consumer._thread._fetch_records(kafka, {ONE}))
        await asyncio.sleep(0)
        await consumer.rewind({ONE: 5})  # in the middle of the fetch
        answer.set_result({ONE: [Record(5)], TWO: []})
        chunks = await fetching
        assert [chunk.records for chunk in chunks.values()] == [[Record(5)]]
        assert not consumer.is_stale(chunks[ONE])

    async def test_gives_no_epoch_twice(self, consumer: ChunkConsumer) -> None:
        with_kafka(consumer, {ONE: 0})
        seen = set()
        for _ in range(5):
            await consumer.rewind({ONE: 1})
            seen.add(consumer._thread.epochs[ONE])
        assert len(seen) == 5


class TestFetching:
    async def test_ends_without_a_word_when_the_app_ends(
        self, consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(timeout: float) -> Any:
            raise AttributeError("the thread is gone")

        monkeypatch.setattr(consumer, "_wait_next_records", broken)
        fetcher = type("Fetcher", (), {"_stopped": threading.Event()})
        with pytest.raises(AttributeError):
            await consumer._drain_messages(fetcher)
        monkeypatch.setattr(type(consumer.app), "should_stop", True)
        await consumer._drain_messages(fetcher)

    async def test_delivers_what_comes(self, consumer: ChunkConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
        with_kafka(consumer, {ONE: 0})
        fetcher = type("Fetcher", (), {"_stopped": threading.Event()})

        async def records(timeout: float) -> Any:
            fetcher._stopped.set()  # type: ignore[attr-defined]
            return {ONE: Chunk(ONE, consumer._thread.epochs[ONE], [Record(0), Record(1)])}, {ONE}

        monkeypatch.setattr(consumer, "_wait_next_records", records)
        await consumer._drain_messages(fetcher)
        assert [len(chunk.records) for chunk in consumer.delivered] == [2]


def test_an_agent_gets_the_chunk_as_it_is() -> None:
    message = type("Message", (), {"value": Chunk(ONE, 1, [])})()
    assert Chunks().loads_value(None, message) is message.value
