"""What stands in the topics and in Redis, and what must stand there: the stages folded over the same log."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from redis.asyncio import Redis

from alerting.alert import to_line
from streams.detections import Detections
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS, client_options, incarnations
from streams.packet import Output, Packet, decode_events, decode_signals, encode
from streams.pipeline import Correlate, Score
from streams.processor import Fault, Message, Processor
from streams.settings import Settings
from streams.store import MemoryStateStore, Position

TOPICS = (EVENTS, FINDINGS, ALERTS, DEADLETTER)


@dataclass(slots=True)
class Expected:
    """What one stage makes of the messages of its topic, and the states it ends with."""

    outputs: list[Output[Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    store: MemoryStateStore = field(default_factory=MemoryStateStore)


class Logbook:
    """Reads the worker's topics as they grow: `async with Logbook(settings) as book: await book.read()`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest")
        self.records: defaultdict[str, list[ConsumerRecord[Any, Any]]] = defaultdict(list)
        self.incarnations: dict[str, str] = {}

    async def __aenter__(self) -> Logbook:
        self.incarnations = await incarnations(self._settings, TOPICS)
        assert self.incarnations.keys() == set(TOPICS), "wait for the worker first: it creates the topics"
        await self._consumer.start()
        counts = {topic: int(each.rpartition("/")[2]) for topic, each in self.incarnations.items()}
        self._consumer.assign([TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self) -> None:
        """Reads on until nothing comes any more (the embedded broker may tell the end of a log too low)."""
        while found := await self._consumer.getmany(timeout_ms=200):
            for place, records in found.items():
                self.records[place.topic] += records

    async def until(self, what: str, true: Callable[[], bool], within: float = 90.0) -> None:
        """Reads on until something holds of what was read."""
        deadline = time.monotonic() + within
        await self.read()
        while not true():
            assert time.monotonic() < deadline, f"waited {within:.0f} s for {what}; read: {self.counts}"
            await asyncio.sleep(0.1)
            await self.read()

    @property
    def counts(self) -> dict[str, int]:
        """Messages read by topic."""
        return {topic: len(records) for topic, records in self.records.items()}

    @property
    def event_ids(self) -> set[str]:
        """The ids of all events that were sent on by normalise."""
        return {event.id for packet in self._packets(EVENTS, decode_events) for event in packet.items}

    @property
    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return [orjson.loads(record.value) for record in self.records[DEADLETTER]]

    @property
    def alerts(self) -> dict[str, bytes]:
        """The last revision of each alert, as its line."""
        last: dict[str, tuple[int, bytes]] = {}
        for record in self.records[ALERTS]:
            alert = orjson.loads(record.value)
            last[alert["id"]] = max(last.get(alert["id"], (0, b"")), (alert["revision"], record.value))
        return {key: line for key, (_, line) in last.items()}

    @property
    def signals(self) -> set[tuple[str, int, bytes]]:
        """What score sent to correlate, each with its place of origin; sent twice is the same twice."""
        return {
            (packet.origin, mark, encode(signal))
            for packet in self._packets(FINDINGS, decode_signals)
            for mark, signal in zip(packet.marks, packet.items, strict=True)
        }

    def _packets(self, topic: str, decode: Callable[[bytes], Packet[Any]]) -> Iterator[Packet[Any]]:
        for record in self.records[topic]:
            with suppress(msgspec.DecodeError):
                yield decode(record.value or b"")

    async def expected(self, topic: str, detections: Detections) -> Expected:
        """What the stage that reads a topic has to make of it."""
        stage: Any = {EVENTS: Score, FINDINGS: Correlate}[topic]()
        made = Expected()

        async def emit(outputs: Sequence[Output[Any]], faults: Sequence[Fault]) -> None:
            made.outputs += outputs
            made.faults += faults

        processor = Processor(stage, made.store, emit)
        incarnation = self.incarnations[topic]
        for number in range(int(incarnation.rpartition("/")[2])):
            await processor.open(number)
            processor.begin(number, incarnation, 0)
        messages = [Message(each.partition, each.offset, each.value or b"") for each in self.records[topic]]
        for start in range(0, len(messages), 16):
            assert not await processor.step(messages[start : start + 16], detections)
        return made

    async def caught_up(self, within: float = 60.0) -> None:
        """Waits until the states in Redis cover every message of their topics."""
        deadline = time.monotonic() + within
        while True:
            await self.read()
            behind = {topic: behind for topic in (EVENTS, FINDINGS) if (behind := await self._behind(topic))}
            if not behind:
                return
            assert time.monotonic() < deadline, f"behind after {within:.0f} s, (stored, last) offsets: {behind}"
            await asyncio.sleep(0.2)

    async def _behind(self, topic: str) -> dict[int, tuple[int, int]]:
        ends = {record.partition: record.offset for record in self.records[topic]}
        marks, _ = await self.stored(topic)
        reached = {number: msgspec.msgpack.decode(mark, type=Position).offset for number, mark in marks.items()}
        return {number: (at, end) for number, end in ends.items() if (at := reached.get(number, -1)) != end}

    async def assert_exact(self, detections: Detections, ids: set[str]) -> None:
        """Fails unless topics and Redis hold exactly what one undisturbed worker makes of the same audit.events.

        `ids` are those of all events there must be. Normalise may have sent them twice; what follows may not show it.
        """
        await self.until("all events", lambda: self.event_ids >= ids)
        assert self.event_ids == ids
        await self.caught_up()
        score, correlate = await self.expected(EVENTS, detections), await self.expected(FINDINGS, detections)
        await self._assert_stored(EVENTS, score.store)
        await self._assert_stored(FINDINGS, correlate.store)
        origin = f"{EVENTS}/%d@{self.incarnations[EVENTS]}"
        assert self.signals == {(origin % each.partition, each.mark, encode(each.item)) for each in score.outputs}
        assert told_by(self.alerts) == told_by({each.item.id: to_line(each.item) for each in correlate.outputs})
        assert not score.faults
        assert not correlate.faults

    async def _assert_stored(self, topic: str, wanted: MemoryStateStore) -> None:
        marks, values = await self.stored(topic)
        assert marks == wanted.marks
        both = values.keys() & wanted.values.keys()
        wrong = [key for key in both if values[key] != wanted.values[key] and not _has_correlated(key[1], values[key])]
        assert not wrong
        assert values.keys() == wanted.values.keys()

    async def stored(self, topic: str) -> tuple[dict[int, bytes], dict[tuple[int, str], bytes]]:
        """(position by partition, value by partition and key) of a topic's stage in Redis."""
        stage = topic.removeprefix("audit.")
        client = Redis.from_url(self._settings.redis)
        try:
            keys = [key async for key in client.scan_iter(match=f"auditwatch:{{{stage}-*}}:*", count=1000)]
            found = dict(zip(keys, await client.mget(keys), strict=True)) if keys else {}
        finally:
            await client.aclose()
        places = {key: _place(key.decode("utf-8", "surrogatepass"), stage) for key in found}
        marks = {places[key][0]: value for key, value in found.items() if places[key][1] == "position"}
        return marks, {places[key]: value for key, value in found.items() if places[key][1] != "position"}


def told_by(alerts: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What alerts say, apart from how often a correlation has said it: that depends on where batches end."""
    told: dict[str, dict[str, Any]] = {key: orjson.loads(line) for key, line in alerts.items()}
    for alert in told.values():
        if any(finding["kind"] == "correlation" for finding in alert["findings"]):
            alert |= {"count": None, "revision": None, "summary": None}
    return told


def _has_correlated(key: str, value: bytes) -> bool:
    """Whether an entity's state knows of correlations: see `told_by`."""
    if not key.startswith("e:"):
        return False
    entity = Correlate().unpack(key, [value])
    return bool(entity.windows.pack() or (entity.risk and any(episode.sizes for episode in entity.risk.episodes)))


def _place(key: str, stage: str) -> tuple[int, str]:
    number, _, rest = key.removeprefix(f"auditwatch:{{{stage}-").partition("}:")
    return int(number), rest
