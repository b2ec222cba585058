"""What the worker's agents share: the producer, the two shells, the rewinds they ask for.

Knows Faust only as `app.consumer`: which partitions are assigned, how far they are done, `hold` and `rewind`.
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
from streams.kafka_log import KafkaLog, TopicsGone
from streams.metrics import DELAY_SECONDS, STEP_SECONDS, count, gauge
from streams.normalise import RawMessage, normalise
from streams.outlet import Outlet
from streams.packet import Output
from streams.passage import Passage
from streams.pipeline import Correlate, Score
from streams.processor import Message, Processor
from streams.settings import Settings
from streams.shadow import COUNTS, publish
from streams.shell import PATIENCE, Shell, unexpected
from streams.silence import MINUTE
from streams.silence_watch import Watch, held, keep_watching
from streams.snapshots import Snapshots, keep_snapshots
from streams.store import RedisStateStore, connect
from streams.ticking import Ticking
from streams.watchdog import Watchdog

log = logging.getLogger("auditwatch.engine")

EX_SOFTWARE = 70
LOOK_SECONDS = 5.0
TICK_SECONDS = 1.0
TELL_SECONDS = 1.0
COMPARE_SECONDS = 10.0
GONE_LOOKS = 2
"""In how many looks in a row a topic must be missing: a broker that is starting may not know its topics yet."""
LAST_BATCH_SECONDS = 2.0
"""How long a worker that is told to end waits for the batches under way."""

NORMALISE = "normalise"
STAGES = (NORMALISE, EVENTS, FINDINGS)
"""The stages by what they are called in metrics and logs; a folding stage bears the name of its topic."""


class Engine:
    """What the agents share: the producer, the two shells, the rewinds they asked for."""

    def __init__(self, app: Any, settings: Settings, detections: Detections, sources: Sequence[str]) -> None:
        self.app = app
        self.detections = detections
        self.watchdog = Watchdog(halt, STAGES)
        self.shells: dict[str, Shell] = {}
        self._settings = settings
        self._sources = list(sources)
        self._starting = asyncio.Lock()
        self._connected = asyncio.Event()
        self._turns = {stage: asyncio.Lock() for stage in STAGES}
        self._rewinds: set[TopicPartition] = set()
        self._clock = Clock()
        self._passage = Passage()
        self._gone = 0
        self._ending = False

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
        score = Processor(Score(), RedisStateStore(self._redis, "events"), score_emit)
        correlate = Ticking(Correlate(), RedisStateStore(self._redis, "findings"), self._outlet.correlate_emit())
        await self._share(settings)
        self.shells = {EVENTS: self._shell(score, EVENTS, adopt), FINDINGS: self._shell(correlate, FINDINGS, adopt)}
        self._beating = asyncio.create_task(self._keep_beating())
        self.watchdog.start()
        self._connected.set()

    async def _share(self, settings: Settings) -> None:
        """Takes the snapshot that is stored, before the first batch."""
        started = int(time.time() * 1e6)
        self._snapshots = Snapshots(self._redis, settings.snapshot_hours, settings.alert_budget, started)
        if stored := await self._snapshots.poll():
            self.take(stored)

    def swap(self, detections: Detections) -> None:
        """Takes another set, under the snapshot there is; a batch under way ends under the one it began with."""
        self.detections = detections.with_snapshot(self.detections.snapshot)

    def take(self, snapshot: Snapshot) -> None:
        """Takes another snapshot in the same way."""
        self.detections = self.detections.with_snapshot(snapshot)

    async def tell(self, alert: Alert) -> None:
        """Sends an alert of the worker's own; while the broker takes none, it waits and tries again."""
        await self._connected.wait()
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
                for turn in self._turns.values():
                    await turn.acquire()  # and keep it: nothing more begins
        if self.shells:
            self._beating.cancel()
            await self._producer.stop()
            await self.log.stop()
            await self._redis.aclose()

    async def handle(self, stage: str, events: Sequence[Any]) -> None:
        """One batch of chunks through a stage; ends the process where even its error handling failed."""
        async with self._turns[stage]:
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
                await self._outlet.packets(EVENTS, outputs, origins, self._partitions[EVENTS])
                await self._outlet.letters(NORMALISE, dict(enumerate(lanes)), faults)
                self._clock.see((output.item for output in outputs), int(time.time() * 1e6))
                break
            except Exception as error:
                await self._survive(NORMALISE, error, attempt)
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

    async def _survive(self, stage: str, error: Exception, attempt: int) -> None:
        if self._ending:  # the connections were closed under it
            await asyncio.Event().wait()
        count("errors", stage)
        self.watchdog.failed(f"{stage}: {error!r}")
        pause = PATIENCE[min(attempt, len(PATIENCE) - 1)]
        log.error("%s failed (%r), trying again in %s s", stage, error, pause, exc_info=unexpected(error))
        await asyncio.sleep(pause)

    def _origin(self, topic: str, partition: int) -> str:
        return f"{topic}/{partition}@{self._incarnations[topic]}"

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
            await asyncio.wait_for(self._redis.ping(), 2.0)
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
            if not (self.shells and self._rewinds) or self.app.rebalancing:
                continue
            asked, self._rewinds = self._rewinds, set()
            try:
                await self._rewind(asked & self.app.consumer.assignment())
                attempt = 0
            except Exception as error:
                self._rewinds |= asked
                await self._survive("rewind", error, attempt)
                attempt += 1

    async def keep_looking(self) -> None:
        """Looks around every few seconds, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self.shells and not self.app.rebalancing:
                try:
                    await self._look_around()
                except Exception as error:
                    await self._survive("look around", error, 0)

    async def _rewind(self, places: set[TopicPartition]) -> None:
        """Seeks partitions to where their store stands."""
        positions = {tp: await self.shells[tp.topic].open(tp.partition) for tp in places}
        await self.app.consumer.rewind({tp: position.offset + 1 for tp, position in positions.items()})
        for tp in places:
            count("rewinds", tp.topic)

    async def _look_around(self) -> None:
        """How far behind are we, and did a store move behind us? A stage with nothing to do is one that moves."""
        await self._check_logs()
        mine = self.app.consumer.assignment()
        lags = dict.fromkeys(STAGES, 0)
        for tp, end in (await self.log.ends(mine)).items():
            stage = tp.topic if tp.topic in STAGES else NORMALISE
            reached = await self.app.consumer.reached(tp)
            lags[stage] += 1 if reached is None else max(0, end - reached)
        for stage, lag in lags.items():
            gauge("lag", lag, stage)
            if not lag:
                self.watchdog.moved(stage)
        for shell in self.shells.values():
            if shell.last_error:
                self.watchdog.failed(shell.last_error)
            await shell.check()

    async def keep_sharing(self) -> None:
        """Takes snapshots as they are published, and builds them if partition 0 of audit.events is ours, for ever."""
        await self._connected.wait()
        await keep_snapshots(
            self._snapshots,
            lambda: self.detections.context,
            self.take,
            lambda: TopicPartition(EVENTS, 0) in self.app.consumer.assignment(),
            lambda: int(time.time() * 1e6),
        )

    async def keep_watching(self) -> None:
        """Watches for sources that fall silent, if partition 0 of audit.events is ours, for ever."""
        await self._connected.wait()
        if least := self._settings.silence_minutes * MINUTE:
            await keep_watching(
                Watch(self._redis, least, lambda: self.detections),
                lambda: held(self.log, self._partitions, self._sources),
                lambda: TopicPartition(EVENTS, 0) in self.app.consumer.assignment(),
                self.tell,
                lambda: int(time.time() * 1e6),
            )

    async def keep_passing(self) -> None:
        """Tells correlate what time it is, about every second, for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self.shells and not self.app.rebalancing:
                try:
                    await self._pass_time()
                except Exception as error:
                    await self._survive("pass time", error, 0)

    async def _pass_time(self) -> None:
        now = self._clock.read(int(time.time() * 1e6))
        ends = await self.log.ends(self.app.consumer.assignment())
        reached = {tp: await self.app.consumer.reached(tp) for tp in ends}
        if passed := self._passage.look(now, ends, reached):
            async with self._turns[FINDINGS]:
                await self.shells[FINDINGS].tick(passed, lambda: self.detections)

    async def keep_comparing(self) -> None:
        """Publishes what the model in the shadow would have told, every few seconds, for ever."""
        while True:
            await asyncio.sleep(COMPARE_SECONDS)
            detections = self.detections
            if not (self.shells and detections.shadow):
                continue
            comparison = self.shells[EVENTS].processor.comparison
            if report := comparison.take(detections.model.hash, detections.shadow.hash):
                for name in COUNTS:
                    count("compared", name, getattr(report, name))
                try:
                    await publish(self._redis, report)
                except Exception as error:
                    await self._survive("compare models", error, 0)

    async def _check_logs(self) -> None:
        """Ends the process when a topic is not the one any more that offsets were read from."""
        try:
            now = await self.log.incarnations(self._incarnations)
        except TopicsGone as error:
            self._gone += 1
            if self._gone >= GONE_LOOKS:
                halt(str(error))
            raise
        self._gone = 0
        if changed := [topic for topic in now if now[topic] != self._incarnations[topic]]:
            halt(f"{', '.join(changed)}: created anew or with more partitions under this worker: start it again")


def halt(reason: str) -> NoReturn:
    """Ends the process at once: Faust's own ways out hang or take seconds (facts: engine)."""
    log.critical("%s", reason)
    logging.shutdown()
    os._exit(EX_SOFTWARE)
