"""What the worker's agents share: the connections, the two shells, the rewinds they ask for.

Knows Faust only as `app.consumer`: which partitions are assigned, how far they are done, `hold` and `rewind`.
What a worker does beside folding stands in streams/duties.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from alerting.alert import Alert
from detectors.peers import Snapshot
from streams.clock import Clock
from streams.detections import Detections
from streams.kafka import EVENTS, FINDINGS, MAX_MESSAGE_BYTES, RAW, client_options
from streams.kafka_log import KafkaLog
from streams.metrics import DELAY_SECONDS, STEP_SECONDS, count, gauge
from streams.normalise import RawMessage, normalise
from streams.outlet import Outlet
from streams.packet import Output
from streams.pipeline import Correlate, Score
from streams.processor import Message, Processor
from streams.settings import Settings
from streams.shell import PATIENCE, Shell, unexpected
from streams.snapshots import Snapshots
from streams.store import RedisStateStore, connect
from streams.ticking import Ticking
from streams.watchdog import Watchdog

log = logging.getLogger("auditwatch.engine")

EX_SOFTWARE = 70
TELL_SECONDS = 1.0
LAST_BATCH_SECONDS = 2.0
"""How long a worker that is told to end waits for the batches under way."""

NORMALISE = "normalise"
STAGES = (NORMALISE, EVENTS, FINDINGS)
"""The stages by what they are called in metrics and logs; a folding stage bears the name of its topic."""


class Engine:
    """What the agents share; `log`, `redis`, `incarnations`, `partitions`, `snapshots` are there once `connected`."""

    def __init__(self, app: Any, settings: Settings, detections: Detections, sources: Sequence[str]) -> None:
        self.app = app
        self.detections = detections
        self.watchdog = Watchdog(halt, STAGES)
        self.shells: dict[str, Shell] = {}
        self.settings = settings
        self.sources = list(sources)
        self.connected = asyncio.Event()
        self.turns = {stage: asyncio.Lock() for stage in STAGES}
        self.clock = Clock()
        self._starting = asyncio.Lock()
        self._rewinds: set[TopicPartition] = set()
        self._ending = False

    @property
    def working(self) -> bool:
        """Whether it is connected and knows which partitions are its own."""
        return bool(self.shells) and not self.app.rebalancing

    async def start(self, adopt: bool) -> None:
        """Connects once, before the first message is handled; goes on trying while the broker is out of reach."""
        async with self._starting:
            for attempt in range(1_000_000):
                if self.shells:
                    return
                try:
                    await self._connect(adopt)
                except Exception as error:
                    await self.survive("start", error, attempt)

    async def _connect(self, adopt: bool) -> None:
        settings = self.settings
        self.log = KafkaLog(settings)
        await self.log.start()
        topics = [RAW + source for source in self.sources] + [EVENTS, FINDINGS]
        self.incarnations = await self.log.incarnations(topics)
        self._producer = AIOKafkaProducer(**client_options(settings), max_request_size=MAX_MESSAGE_BYTES)
        await self._producer.start()
        self._outlet = Outlet(self._producer, lambda: int(time.time() * 1e6))
        self.redis = connect(settings)
        self.partitions = {topic: int(each.rpartition("/")[2]) for topic, each in self.incarnations.items()}
        score_emit = self._outlet.score_emit(lambda lane: self._origin(EVENTS, lane), self.partitions[FINDINGS])
        score = Processor(Score(), RedisStateStore(self.redis, "events"), score_emit)
        correlate = Ticking(Correlate(), RedisStateStore(self.redis, "findings"), self._outlet.correlate_emit())
        await self._share(settings)
        self.shells = {EVENTS: self._shell(score, EVENTS, adopt), FINDINGS: self._shell(correlate, FINDINGS, adopt)}
        self._beating = asyncio.create_task(self._keep_beating())
        self.watchdog.start()
        self.connected.set()

    async def _share(self, settings: Settings) -> None:
        """Takes the snapshot that is stored, before the first batch."""
        started = int(time.time() * 1e6)
        self.snapshots = Snapshots(self.redis, settings.snapshot_hours, settings.alert_budget, started)
        if stored := await self.snapshots.poll():
            self.take(stored)

    def swap(self, detections: Detections) -> None:
        """Takes another set, under the snapshot there is; a batch under way ends under the one it began with."""
        self.detections = detections.with_snapshot(self.detections.snapshot)

    def take(self, snapshot: Snapshot) -> None:
        """Takes another snapshot in the same way."""
        self.detections = self.detections.with_snapshot(snapshot)

    async def tell(self, alert: Alert) -> None:
        """Sends an alert of the worker's own; while the broker takes none, it waits and tries again."""
        await self.connected.wait()
        while True:
            try:
                return await self._outlet.alerts([Output(0, 0, alert.key, alert)])
            except KafkaError as error:
                count("errors", "tell")
                log.error("an alert of the worker's own waits: %s", error)
                await asyncio.sleep(TELL_SECONDS)

    def _shell(self, processor: Processor[Any, Any], topic: str, adopt: bool) -> Shell:
        shell = Shell(
            processor, topic, self.log, lambda partition: self._ask_rewind([TopicPartition(topic, partition)]), halt
        )
        shell.adopt = adopt
        return shell

    async def stop(self) -> None:
        """Lets the batches under way end, if they soon do, and closes what `start` opened."""
        self._ending = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_BATCH_SECONDS):
                for turn in self.turns.values():
                    await turn.acquire()  # and keep it: nothing more begins
        if self.shells:
            self._beating.cancel()
            await self._producer.stop()
            await self.log.stop()
            await self.redis.aclose()

    async def handle(self, stage: str, events: Sequence[Any]) -> None:
        """One batch of chunks through a stage; ends the process where even its error handling failed."""
        async with self.turns[stage]:
            started = time.perf_counter()
            try:
                covered = await (self._normalise(events) if stage == NORMALISE else self._fold(stage, events))
            except Exception as error:  # Faust would restart the agent without the batch
                log.exception("%s", stage)
                halt(f"{stage}: a batch failed in a way nobody foresaw: {error!r}")
            for event in covered:
                self.app.consumer.done(event.message)
            if covered:
                self.watchdog.moved(stage)
                DELAY_SECONDS.labels(stage).observe(max(0.0, time.time() - covered[-1].message.timestamp))
            STEP_SECONDS.labels(stage).observe(time.perf_counter() - started)

    async def _normalise(self, events: Sequence[Any]) -> Sequence[Any]:
        """Raw chunks -> packets of events; stays with the batch until the broker has them."""
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
                await self._outlet.packets(EVENTS, outputs, origins, self.partitions[EVENTS])
                await self._outlet.letters(NORMALISE, dict(enumerate(lanes)), faults)
                self.clock.see((output.item for output in outputs), int(time.time() * 1e6))
                break
            except Exception as error:
                await self.survive(NORMALISE, error, attempt)
        count("records", by=len(outputs) + len(faults))
        return events

    async def _fold(self, topic: str, events: Sequence[Any]) -> Sequence[Any]:
        """Chunks of packets through the shell of their topic; returns the chunks the store now covers."""
        messages = [
            Message(record.partition, record.offset, record.value or b"")
            for event in events
            for record in event.value.records
        ]
        shell = self.shells[topic]
        processor = shell.processor
        folded, repeats, evicted = processor.folded, processor.repeats, getattr(processor, "evicted", 0)
        done = await shell.run(messages, lambda: self.detections)
        count("folded", topic, processor.folded - folded)
        count("repeats", topic, processor.repeats - repeats)
        count("evicted", topic, getattr(processor, "evicted", 0) - evicted)
        return [event for event in events if event.message.offset <= done.get(event.message.partition, -1)]

    async def survive(self, stage: str, error: Exception, attempt: int) -> None:
        """Tells of an error and waits, the longer the more attempts there were."""
        if self._ending:  # the connections were closed under it
            await asyncio.Event().wait()
        count("errors", stage)
        self.watchdog.failed(f"{stage}: {error!r}")
        pause = PATIENCE[min(attempt, len(PATIENCE) - 1)]
        log.error("%s failed (%r), trying again in %s s", stage, error, pause, exc_info=unexpected(error))
        await asyncio.sleep(pause)

    def _origin(self, topic: str, partition: int) -> str:
        return f"{topic}/{partition}@{self.incarnations[topic]}"

    def assigned(self, partitions: set[TopicPartition]) -> None:
        """Forgets what may no longer be ours, and has each partition of a stage start where its store stands."""
        self._rewinds.clear()
        self._ask_rewind([TopicPartition(*tp) for tp in partitions if tp.topic in (EVENTS, FINDINGS)])
        for shell in self.shells.values():
            shell.forget(set(shell.processor.owned))
        gauge("partitions", len(partitions))
        mine = Counter(tp.topic for tp in partitions)
        raw = [n for topic, n in mine.items() if topic.startswith(RAW)]
        log.info(
            "reading %d partitions: %d of %d raw topics, %d of %s, %d of %s",
            len(partitions), sum(raw), len(raw), mine[EVENTS], EVENTS, mine[FINDINGS], FINDINGS,
        )  # fmt: skip

    def revoked(self) -> None:
        """Until the next assignment nothing is ours."""
        gauge("partitions", 0)

    def _ask_rewind(self, partitions: Sequence[TopicPartition]) -> None:
        self.app.consumer.hold(partitions)
        self._rewinds.update(partitions)

    async def missing(self) -> str | None:
        """What keeps this worker from being ready; None when nothing does."""
        if not self.shells:
            return "not connected yet"
        if self.app.rebalancing:
            return "partitions are being assigned"
        try:
            await asyncio.wait_for(self.redis.ping(), 2.0)
        except Exception as error:
            return f"Redis does not answer: {error!r}"
        return None

    async def _keep_beating(self) -> None:
        while True:
            self.watchdog.beat()
            await asyncio.sleep(1.0)

    async def keep_rewinding(self) -> None:
        """Serves the rewinds asked for, for ever."""
        attempt = 0
        while True:
            await asyncio.sleep(0.05)
            if not (self.working and self._rewinds):
                continue
            asked, self._rewinds = self._rewinds, set()
            try:
                await self._rewind(asked & self.app.consumer.assignment())
                attempt = 0
            except Exception as error:
                self._rewinds |= asked
                await self.survive("rewind", error, attempt)
                attempt += 1

    async def _rewind(self, places: set[TopicPartition]) -> None:
        """Seeks partitions to where their store stands."""
        positions = {tp: await self.shells[tp.topic].open(tp.partition) for tp in places}
        await self.app.consumer.rewind({tp: position.offset + 1 for tp, position in positions.items()})
        for tp in places:
            count("rewinds", tp.topic)


def halt(reason: str) -> NoReturn:
    """Ends the process at once: Faust's own ways out hang or take seconds (facts: engine)."""
    log.critical("%s", reason)
    logging.shutdown()
    os._exit(EX_SOFTWARE)
