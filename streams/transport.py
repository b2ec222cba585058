"""Faust's Kafka transport with one event per fetched chunk: a chunk is what one fetch returned for one partition.

Stock Faust spends 70 us and two asyncio tasks on each message; here that is paid once a chunk. A chunk bears the epoch
of its partition: after a seek (a rewind, or the seek to the committed offset that follows a rebalance) chunks of the
epoch before are stale and are dropped, so within an epoch what an agent sees has no gap. Offsets are committed up to
the last chunk before which all were done; Faust's own acknowledgements count for nothing, since it also acknowledges
what it skips during a rebalance.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import aiokafka
import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message

FETCH_WAIT_MS = 50
"""How long the broker may wait for more before it answers a fetch (Faust: 1500)."""
NOTHING = -1
"""Awaited by a partition on hold: no chunk will do until it was rewound."""


class Chunk(NamedTuple):
    """Consecutive records of one partition."""

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
    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class ChunkConsumer(driver.Consumer):
    """Delivers chunks, commits by chunk, and can go back on one partition."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._epochs: defaultdict[TP, int] = defaultdict(int)
        self._waiting: defaultdict[TP, deque[Message]] = defaultdict(deque)
        self._done: dict[TP, int] = {}
        self._awaited: dict[TP, int] = {}

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def is_stale(self, chunk: Chunk) -> bool:
        """Whether the partition was sought elsewhere since the chunk was fetched."""
        return chunk.epoch != self._epochs[chunk.tp]

    def hold(self, tps: Iterable[TP]) -> None:
        """Delivers nothing more of these partitions until each was rewound."""
        for tp in tps:
            self._begin_epoch(tp)
            self._awaited[tp] = NOTHING

    async def rewind(self, tp: TP, offset: int) -> None:
        """Goes on reading a partition at `offset`; what was fetched before is stale."""
        self._begin_epoch(tp)
        self._awaited[tp] = offset
        await self.seek_wait({tp: offset})

    async def perform_seek(self) -> None:
        """To the committed offsets, as Faust does after each rebalance."""
        for tp in self.assignment():
            self._begin_epoch(tp)
        await super().perform_seek()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forgets what may be somebody else's from now on."""
        for tp in revoked:
            self._begin_epoch(tp)
            self._awaited.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    def done(self, message: Message) -> None:
        """Marks a chunk as done; commits may pass it once all before it are done. Of an epoch gone by: nothing."""
        message.acked = True
        waiting = self._waiting[message.tp]
        while waiting and waiting[0].acked:
            first = waiting.popleft()
            self._done[first.tp] = first.offset + 1
            self._acked[first.tp] = [first.offset]  # what Faust looks at to see whether there is something to commit

    def ack(self, message: Message) -> bool:
        """Faust's word that an event left its stream, worked on or skipped: not what we commit by."""
        return False

    async def reached(self, tp: TP) -> int:
        """The first offset of a partition that is not done yet."""
        if self._waiting[tp]:
            chunk: Chunk = self._waiting[tp][0].value
            return int(chunk.records[0].offset)
        awaited = self._awaited.get(tp, NOTHING)
        return int(await self.position(tp) or 0) if awaited == NOTHING else awaited

    async def verify_all_partitions_active(self) -> None:
        """Faust's own watch cries over idle partitions and does nothing; ours is streams/watchdog.py."""

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp)

    def _begin_epoch(self, tp: TP) -> None:
        self._epochs[tp] += 1
        self._waiting.pop(tp, None)
        self._done.pop(tp, None)
        self._acked.pop(tp, None)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                await self._drain_once()
        except BaseException:  # a fetch under way when the consumer stops ends in one of several ways
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        generation = self.app.consumer_generation_id
        records, active = await self._wait_next_records(timeout=1.0)
        await self.sleep(0)
        for tp, batch in (records or {}).items():
            moved_on = not self.flow_active or generation != self.app.consumer_generation_id
            if self.should_stop or moved_on:
                return  # a rebalance is under way: it ends with a seek to the committed offsets
            if batch and (active is None or tp in active or tp in self._buffered_partitions):
                await self._deliver(tp, batch)

    async def _deliver(self, tp: TP, batch: list[Any]) -> None:
        if tp in self._awaited:
            if batch[0].offset > self._awaited[tp]:
                return  # fetched before the seek
            del self._awaited[tp]
        message = self._to_message(tp, batch[-1])
        message.value = Chunk(tp, self._epochs[tp], batch)
        self._waiting[tp].append(message)
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
