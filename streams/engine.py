"""What the worker's agents share: the producer, the two shells, the rewinds they ask for.

Knows Faust only as `app.consumer`: which partitions are assigned, how far they reach, and `rewind`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from aiokafka import AIOKafkaProducer, TopicPartition

from streams.detections import Detections
from streams.kafka import EVENTS, FINDINGS, MAX_MESSAGE_BYTES, RAW, client_options
from streams.kafka_log import KafkaLog
from streams.metrics import DELAY_SECONDS, STEP_SECONDS, count, gauge
from streams.normalise import RawMessage, normalise
from streams.outlet import Outlet
from streams.pipeline import Correlate, Score
from streams.processor import Message, Processor
from streams.settings import Settings
from streams.shell import PATIENCE, Shell
from streams.store import RedisStateStore, connect
from streams.watchdog import Watchdog

log = logging.getLogger("auditwatch.engine")

EX_SOFTWARE = 70
LOOK_SECONDS = 5.0


class Engine:
    """What the agents share: the producer, the two shells, the rewinds they asked for."""

    def __init__(self, app: Any, settings: Settings, detections: Detections, sources: Sequence[str]) -> None:
        self.app = app
        self.detections = detections
        self.watchdog = Watchdog(halt)
        self.shells: dict[str, Shell] = {}
        self._settings = settings
        self._sources = list(sources)
        self._starting = asyncio.Lock()
        self._rewinds: set[tuple[str, int]] = set()
        self._rewound = asyncio.Event()

    async def start(self, adopt: bool) -> None:
        """Connects once, before the first message is handled; goes on trying while the broker is out of reach."""
        async with self._starting:
            for attempt in range(1_000_000):
                if self.shells:
                    return
                try:
                    await self._connect(adopt)
                except Exception as error:
                    await self._survive("start", error, attempt)

    async def _connect(self, adopt: bool) -> None:
        settings = self._settings
        self.log = KafkaLog(settings)
        await self.log.start()
        topics = [RAW + source for source in self._sources] + [EVENTS, FINDINGS]
        self._incarnations = await self.log.incarnations(topics)
        self._producer = AIOKafkaProducer(**client_options(settings), max_request_size=MAX_MESSAGE_BYTES)
        await self._producer.start()
        self._outlet = Outlet(self._producer, lambda: int(time.time() * 1e6))
        self._redis = connect(settings)
        self._partitions = {topic: int(each.rpartition("/")[2]) for topic, each in self._incarnations.items()}
        score_emit = self._outlet.score_emit(lambda lane: self._origin(EVENTS, lane), self._partitions[FINDINGS])
        self._open_shell(Processor(Score(), RedisStateStore(self._redis, "events"), score_emit), EVENTS, adopt)
        correlate_emit = self._outlet.correlate_emit()
        self._open_shell(
            Processor(Correlate(), RedisStateStore(self._redis, "findings"), correlate_emit), FINDINGS, adopt
        )
        self.watchdog.start()

    def _open_shell(self, processor: Processor[Any, Any], topic: str, adopt: bool) -> None:
        shell = Shell(processor, topic, self.log, lambda partition: self._rewinds.add((topic, partition)), halt)
        shell.adopt = adopt
        self.shells[topic] = shell

    async def stop(self) -> None:
        """Closes what `start` opened."""
        if self.shells:
            await self._producer.stop()
            await self.log.stop()
            await self._redis.aclose()

    async def normalise(self, events: Sequence[Any]) -> None:
        """Raw chunks -> packets of events; stays with the batch until the broker has them."""
        started = time.perf_counter()
        lanes = [event.value.tp for event in events]
        messages = [
            RawMessage(
                chunk.tp.topic.removeprefix(RAW), lane, record.offset, record.timestamp * 1000, record.value or b""
            )
            for lane, chunk in enumerate(event.value for event in events)
            for record in chunk.records
        ]
        outputs, faults = normalise(messages, self.detections.context)
        origins = {lane: self._origin(*tp) for lane, tp in enumerate(lanes)}
        for attempt in range(1_000_000):
            try:
                await self._outlet.packets(EVENTS, outputs, origins, self._partitions[EVENTS])
                await self._outlet.letters("normalise", dict(enumerate(lanes)), faults)
                break
            except Exception as error:
                await self._survive("normalise", error, attempt)
        count("records", by=len(outputs) + len(faults))
        self._done("normalise", started, events)

    async def fold(self, topic: str, events: Sequence[Any]) -> None:
        """Chunks of packets through the shell of their topic; acknowledges what the store now covers."""
        started = time.perf_counter()
        messages = [
            Message(record.partition, record.offset, record.value or b"")
            for event in events
            for record in event.value.records
        ]
        shell = self.shells[topic]
        processor = shell.processor
        folded, repeats = processor.folded, processor.repeats
        done = await shell.run(messages, lambda: self.detections)
        count("folded", topic, processor.folded - folded)
        count("repeats", topic, processor.repeats - repeats)
        self.watchdog.failed(shell.last_error)
        covered = [event for event in events if event.message.offset <= done.get(event.message.partition, -1)]
        self._done(topic, started, covered)

    async def _survive(self, stage: str, error: Exception, attempt: int) -> None:
        count("errors", stage)
        self.watchdog.failed(f"{stage}: {error!r}")
        pause = PATIENCE[min(attempt, len(PATIENCE) - 1)]
        log.exception("%s: batch failed, trying again in %s s", stage, pause)
        await asyncio.sleep(pause)

    def _done(self, stage: str, started: float, events: Sequence[Any]) -> None:
        for event in events:
            event.ack()
        if events:
            self.watchdog.moved()
            DELAY_SECONDS.labels(stage).observe(max(0.0, time.time() - events[-1].message.timestamp))
        STEP_SECONDS.labels(stage).observe(time.perf_counter() - started)

    def _origin(self, topic: str, partition: int) -> str:
        return f"{topic}/{partition}@{self._incarnations[topic]}"

    def assigned(self, partitions: set[TopicPartition]) -> None:
        """Forgets what may no longer be ours, and has each partition of a stage start where its store stands."""
        self._rewinds = {(tp.topic, tp.partition) for tp in partitions if tp.topic in (EVENTS, FINDINGS)}
        for shell in self.shells.values():
            shell.forget(set(shell.processor.owned))
        gauge("partitions", len(partitions))

    async def missing(self) -> str | None:
        """What keeps this worker from being ready; None when nothing does."""
        if not self.shells:
            return "not connected yet"
        if self.app.rebalancing:
            return "partitions are being assigned"
        try:
            await asyncio.wait_for(self._redis.ping(), 2.0)
        except Exception as error:
            return f"Redis does not answer: {error!r}"
        return None

    async def keep_rewinding(self) -> None:
        """Serves the rewinds asked for, for ever; also tells the watchdog that the loop turns."""
        while True:
            self.watchdog.beat()
            if self.shells and self._rewinds:
                await self._rewind_asked()
            await asyncio.sleep(0.05)

    async def keep_looking(self) -> None:
        """Looks around every few seconds, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self.shells and not self.app.rebalancing:
                try:
                    await self._look_around()
                except Exception as error:
                    await self._survive("look around", error, 0)

    async def _rewind_asked(self) -> None:
        """Seeks the partitions somebody asked for to where their store stands."""
        for topic, partition in list(self._rewinds):
            if self.app.rebalancing:
                return
            self._rewinds.discard((topic, partition))
            tp = TopicPartition(topic, partition)
            if tp in self.app.consumer.assignment():
                try:
                    position = await self.shells[topic].open(partition)
                    await self.app.consumer.rewind(tp, position.offset + 1)
                    count("rewinds", topic)
                except Exception as error:
                    self._rewinds.add((topic, partition))
                    await self._survive(f"rewind of {topic}/{partition}", error, 2)

    async def _look_around(self) -> None:
        """Did a store move behind us, and how far behind are we? An idle worker counts as one that moves."""
        waiting = 0
        for topic, shell in self.shells.items():
            await shell.check()
            ends = {tp.partition: self.app.consumer.highwater(tp) or 0 for tp in self._assignment(topic)}
            lag = sum(shell.lag(ends).values())
            gauge("lag", lag, topic)
            waiting += lag
        if not waiting:
            self.watchdog.moved()

    def _assignment(self, topic: str) -> list[TopicPartition]:
        return [tp for tp in self.app.consumer.assignment() if tp.topic == topic]


def halt(reason: str) -> NoReturn:
    """Ends the process at once: Faust's own ways out hang or take seconds (facts: engine)."""
    log.critical("%s", reason)
    logging.shutdown()
    os._exit(EX_SOFTWARE)
