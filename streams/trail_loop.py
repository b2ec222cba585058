"""The fifth consumer: follows `audit.events` and writes it to the trail. The files, not Kafka, say where it goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka import EVENTS, MAX_MESSAGE_BYTES, KafkaProblem, client_options, ensure_topics, incarnations
from streams.packet import decode_events
from streams.settings import Settings
from streams.trail import Overtaken, Shelf

GROUP = "auditwatch-trail"
SESSION_MS = 10_000
"""After which a dead process's partitions pass to another; brokers refuse less than 6 s."""
POLL_MS = 250
POLL_MESSAGES = 64
MAX_EVENTS = 50_000
MAX_BYTES = 64 * 1024 * 1024
"""Waiting events and bytes after which a flush does not wait for the clock; both bound this process's memory."""

log = logging.getLogger(__name__)


async def follow(settings: Settings, stop: asyncio.Event, every: float = 60.0) -> None:
    """Write the trail until `stop` is set; a file at least every `every` seconds while events come.

    Raises:
        KafkaProblem: Kafka is not reachable at the start, or audit.events was created anew meanwhile.
    """
    await ensure_topics(settings, [EVENTS])
    follower = Follower(settings, (await incarnations(settings, [EVENTS]))[EVENTS])
    await follower.start()
    try:
        due = time.monotonic() + every
        while not stop.is_set():
            await follower.poll()
            if follower.full or time.monotonic() >= due:
                await follower.flush()
                due = time.monotonic() + every
        await follower.flush()
    finally:
        await follower.consumer.stop()


@dataclass(slots=True)
class Follower(ConsumerRebalanceListener):  # type: ignore[misc]
    """One consumer of audit.events with a shelf for each partition it holds; `topic` is the topic's incarnation."""

    settings: Settings
    topic: str
    shelves: dict[int, Shelf] = field(default_factory=dict)
    consumer: Any = field(init=False)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Joins the group."""
        self.consumer = AIOKafkaConsumer(
            **client_options(self.settings),
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=POLL_MS,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 3,
            rebalance_timeout_ms=SESSION_MS,
        )
        self.consumer.subscribe([EVENTS], listener=self)
        await self.consumer.start()

    @property
    def full(self) -> bool:
        """Whether so much waits that it must be written before more is read."""
        shelves = self.shelves.values()
        return sum(each.events for each in shelves) >= MAX_EVENTS or sum(each.bytes for each in shelves) >= MAX_BYTES

    async def poll(self) -> None:
        """Puts what Kafka has on the shelves; a partition new to us is first taken over from disk."""
        if self.full:  # Kafka is out of reach, or it would have been written
            await asyncio.sleep(1)
            return
        for each in self.consumer.assignment():
            if each.partition not in self.shelves:
                await self._take_over(each)
        batch = await self.consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_MESSAGES)
        async with self.writing:  # a rebalance may be writing the shelves just now, and take them away
            for each, messages in batch.items():
                if each.partition in self.shelves:
                    _put(self.shelves[each.partition], messages)

    async def _take_over(self, partition: TopicPartition) -> None:
        shelf = await asyncio.to_thread(Shelf.take_over, self.settings.trail, self.topic, partition.partition)
        if partition in self.consumer.assignment():
            self.consumer.seek(partition, shelf.offset + 1)
            self.shelves[partition.partition] = shelf

    async def flush(self) -> None:
        """Writes what waits and commits, unless Kafka cannot say just now whether it is still the same topic.

        Raises:
            KafkaProblem: audit.events was created anew.
            TrailError: the disk refuses.
        """
        async with self.writing:
            if not await self._same_topic():
                return
            offsets: dict[TopicPartition, int] = {}
            for partition, shelf in list(self.shelves.items()):
                try:
                    last = await asyncio.to_thread(shelf.flush)
                except Overtaken as error:
                    log.warning("%s: taking it over anew", error)
                    del self.shelves[partition]
                else:
                    if last >= 0:
                        offsets[TopicPartition(EVENTS, partition)] = last + 1
            await self._commit(offsets)

    async def _same_topic(self) -> bool:
        try:
            now = (await incarnations(self.settings, [EVENTS])).get(EVENTS)
        except KafkaProblem as error:
            log.warning("not written yet: %s", error)
            return False
        if now != self.topic:
            raise KafkaProblem(
                f"{EVENTS} is no longer the topic it was ({self.topic}, now {now}): created anew, more partitions, or "
                "a memory broker restarted. Start `auditwatch trail` again; what is on disk stays"
            )
        return True

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Only for those who watch the group's lag: where we go on is read from the files."""
        try:
            if offsets:
                await self.consumer.commit(offsets)
        except KafkaError as error:
            log.info("offsets not committed: %s", error)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Writes what waits before another process takes over."""
        try:
            await self.flush()
        finally:
            self.shelves.clear()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Nothing yet: `poll` takes partitions over, where a failure is seen."""


def _put(shelf: Shelf, messages: Sequence[ConsumerRecord[Any, bytes]]) -> None:
    if messages[0].offset > shelf.last + 1:
        log.warning(
            "%s/%d: Kafka no longer has offsets %d to %d; the trail lacks them",
            *(EVENTS, shelf.partition, shelf.last + 1, messages[0].offset - 1),
        )
    for message in messages:
        try:
            shelf.add(message.offset, decode_events(message.value))
        except (ValueError, RecursionError) as error:
            log.error("%s/%d: offset %d is no packet (%s); left out", EVENTS, shelf.partition, message.offset, error)
            shelf.last = max(shelf.last, message.offset)
