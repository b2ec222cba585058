"""Faust's Kafka transport with one event per fetched chunk: a chunk is what one fetch returned for one partition.

Stock Faust spends 70 us and two asyncio tasks on each message; here that is paid once a chunk. Each seek (a rewind, or
the one to the committed offsets that ends a rebalance) begins a new epoch of its partition, and a chunk bears the epoch
it was taken in. Both happen in the consumer's thread with no pause between, so a fetch that was under way is on the
right side: what is of an epoch gone by is dropped; within an epoch an agent sees every record, in order. Offsets are
committed up to the first chunk not done; Faust's own acknowledgements count for nothing, since it also acknowledges
what it skips during a rebalance.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import aiokafka
import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message

FETCH_WAIT_MS = 25
"""How long the broker may wait for more before it answers a fetch (Faust: 1500)."""
POLL_SECONDS = 1.0


class Chunk(NamedTuple):
    """Consecutive records of one partition, taken in one of its epochs."""

    tp: TP
    epoch: int
    records: list[Any]


class Chunks(faust.Schema):
    """Hands the chunk to the agent as it is: the pipeline does its own decoding, guarded."""

    def loads_key(self, app: Any, message: Message, **_: Any) -> None:
        """A chunk has no key."""

    def loads_value(self, app: Any, message: Message, **_: Any) -> Any:
        """The chunk."""
        return message.value


class _Thread(driver.AIOKafkaConsumerThread):
    """The thread that talks to Kafka; `epochs` is written here only and may be read from the other thread."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.epochs: defaultdict[TP, int] = defaultdict(int)
        self._tickets = count(1)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> dict[TP, Chunk]:
        records = await super()._fetch_records(*args, **kwargs)
        return {tp: Chunk(tp, self.epochs[tp], batch) for tp, batch in records.items() if batch}

    async def _seek_wait(self, consumer: aiokafka.AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        self._jump(consumer, partitions)

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        committed: Mapping[TP, int | None] = await self.call_thread(self._seek_to_committed)
        return committed

    async def _seek_to_committed(self) -> Mapping[TP, int | None]:
        """Seeks every partition, also one of which nothing was committed yet: that one to its beginning."""
        consumer = self._ensure_consumer()
        mine = list(consumer.assignment())
        committed = dict(zip(mine, await asyncio.gather(*map(consumer.committed, mine)), strict=True))
        fresh = [tp for tp, offset in committed.items() if offset is None]
        starts = await consumer.beginning_offsets(fresh) if fresh else {}
        self._jump(consumer, {tp: starts[tp] if offset is None else offset for tp, offset in committed.items()})
        return committed

    def _jump(self, consumer: aiokafka.AIOKafkaConsumer, places: Mapping[TP, int]) -> None:
        for tp, offset in places.items():
            consumer.seek(tp, offset)
            self.epochs[tp] = next(self._tickets)


@dataclass(slots=True)
class _Progress:
    """What an epoch of a partition has come to: chunks not done, and the offset before which all are."""

    epoch: int
    waiting: deque[Message] = field(default_factory=deque)
    done: int | None = None


class ChunkConsumer(driver.Consumer):
    """Delivers chunks, commits by chunk, and can go back on one partition."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._progress: dict[TP, _Progress] = {}
        self._held: dict[TP, int] = {}

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def is_stale(self, chunk: Chunk) -> bool:
        """Whether the partition was sought elsewhere since the chunk was fetched, or will be: it is on hold."""
        return bool(chunk.epoch != self._thread.epochs[chunk.tp] or self._is_held(chunk.tp))

    def hold(self, tps: Iterable[TP]) -> None:
        """Delivers nothing more of these partitions until each was rewound."""
        self._held.update({tp: self._thread.epochs[tp] for tp in tps})

    async def rewind(self, places: Mapping[TP, int]) -> None:
        """Goes on reading partitions at these offsets; what was fetched before is stale."""
        await self.seek_wait(places)

    async def perform_seek(self) -> None:
        """To the committed offsets, as Faust does after each rebalance; what is on hold stays so."""
        held = [tp for tp in self.assignment() if self._is_held(tp)]
        await super().perform_seek()
        self.hold(held)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forgets what may be somebody else's from now on."""
        for tp in revoked:
            self._progress.pop(tp, None)
            self._held.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    def done(self, message: Message) -> None:
        """Marks a chunk as done; commits may pass it once all before it are done. Of an epoch gone by: nothing."""
        message.acked = True
        progress = self._now(message.tp)
        while progress.waiting and progress.waiting[0].acked:
            progress.done = progress.waiting.popleft().offset + 1
            self._acked[message.tp] = [
                message.offset
            ]  # what Faust looks at to see whether there is something to commit

    def ack(self, message: Message) -> bool:
        """Faust's word that an event left its stream, worked on or skipped: not what we commit by."""
        return False

    async def reached(self, tp: TP) -> int | None:
        """The first offset of a partition that is not done yet; None while it is on hold."""
        if self._is_held(tp):
            return None
        waiting = self._now(tp).waiting
        return int(waiting[0].value.records[0].offset if waiting else await self.position(tp) or 0)

    async def verify_all_partitions_active(self) -> None:
        """Faust's own watch cries over idle partitions and does nothing; ours is streams/watchdog.py."""

    def _is_held(self, tp: TP) -> bool:
        return bool(self._held.get(tp) == self._thread.epochs[tp])

    def _now(self, tp: TP) -> _Progress:
        """The progress of the partition's present epoch."""
        epoch, progress = self._thread.epochs[tp], self._progress.get(tp)
        if progress is None or progress.epoch != epoch:
            progress = self._progress[tp] = _Progress(epoch)
        return progress

    def _new_offset(self, tp: TP) -> int | None:
        return self._now(tp).done

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                chunks, _ = await self._wait_next_records(timeout=POLL_SECONDS)
                await self.sleep(0)
                for chunk in (chunks or {}).values():
                    await self._deliver(chunk)
        except BaseException:  # a fetch under way when the consumer stops ends in one of several ways
            if not self.app.should_stop:
                raise

    async def _deliver(self, chunk: Chunk) -> None:
        while not (self.flow_active or self.should_stop):
            await self.wait(self.can_resume_flow)
        if self.should_stop or self.is_stale(chunk):
            return
        message = self._to_message(chunk.tp, chunk.records[-1])
        message.value = chunk
        self._now(chunk.tp).waiting.append(message)
        await self.wait_first(self.callback(message), self.suspend_flow.wait())


class Transport(driver.Transport):
    """aiokafka underneath, chunks on top."""

    Consumer = ChunkConsumer


class App(faust.App):
    """A Faust app that reads by chunk."""

    def _create_directories(self) -> None:
        """None: what must be kept is in Redis."""

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)
