"""What stands in the worker's topics and in Redis."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from redis.asyncio import Redis

from streams.agenda import INDEX
from streams.clock import Clock, Reading
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS, client_options, incarnations
from streams.packet import Packet, decode_events, decode_signals, encode
from streams.settings import Settings
from streams.store import Position

TOPICS = (EVENTS, FINDINGS, ALERTS, DEADLETTER)


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
        self._consumer.assign([TopicPartition(topic, n) for topic in TOPICS for n in range(self.partitions(topic))])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return int(self.incarnations[topic].rpartition("/")[2])

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

    def clock(self) -> Reading:
        """What time it is by the events there are."""
        clock = Clock()
        clock.see(event for packet in self._packets(EVENTS, decode_events) for event in packet.items)
        return clock.read()

    async def told_the_time(self, within: float = 30.0) -> None:
        """Waits until nothing is due any more at the time of the newest event, and nothing more is said of it."""
        deadline, latest = time.monotonic() + within, self.clock().latest
        while due := [at for piece in await self._agenda() for at in piece.values() if at <= latest]:
            assert time.monotonic() < deadline, f"{len(due)} states were due at {latest}, the first at {min(due)}"
            await asyncio.sleep(0.2)
        await self.read()

    async def _agenda(self) -> list[dict[str, int]]:
        _, values = await self.stored(FINDINGS)
        pieces = [value for (_, key), value in values.items() if key.startswith(f"{INDEX}:")]
        return [msgspec.msgpack.decode(piece, type=dict[str, int]) for piece in pieces]

    async def _behind(self, topic: str) -> dict[int, tuple[int, int]]:
        ends = {record.partition: record.offset for record in self.records[topic]}
        positions, _ = await self.stored(topic)
        reached = {number: position.offset for number, position in positions.items()}
        return {number: (at, end) for number, end in ends.items() if (at := reached.get(number, -1)) != end}

    @property
    def counts(self) -> dict[str, int]:
        """Messages read by topic."""
        return {topic: len(records) for topic, records in self.records.items()}

    @property
    def event_ids(self) -> set[str]:
        """The ids of all events that normalise sent on."""
        return {event.id for packet in self._packets(EVENTS, decode_events) for event in packet.items}

    @property
    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return [orjson.loads(record.value) for record in self.records[DEADLETTER]]

    @property
    def alerts(self) -> dict[str, bytes]:
        """The last revision of each alert, as its line; without summaries of temporary access, told by the watch."""
        last: dict[str, tuple[int, bytes]] = {}
        for record in self.records[ALERTS]:
            alert = orjson.loads(record.value)
            if not alert["key"].startswith("grant:") and alert["revision"] >= last.get(alert["id"], (0, b""))[0]:
                last[alert["id"]] = (alert["revision"], record.value)
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

    async def stored(self, topic: str) -> tuple[dict[int, Position], dict[tuple[int, str], bytes]]:
        """(position by partition, state by partition and key) of the stage that reads a topic, from Redis.

        What is deleted while it reads is not there.
        """
        stage = topic.removeprefix("audit.")
        client = Redis.from_url(self._settings.redis)
        try:
            keys = [key async for key in client.scan_iter(match=f"auditwatch:{{{stage}-*}}:*", count=1000)]
            values: list[Any] = await client.mget(keys) if keys else []
        finally:
            await client.aclose()
        found = {_place(key, stage): value for key, value in zip(keys, values, strict=True) if value is not None}
        positions = {
            number: msgspec.msgpack.decode(value, type=Position)
            for (number, key), value in found.items()
            if key == "position"
        }
        return positions, {place: value for place, value in found.items() if place[1] != "position"}


def _place(key: bytes, stage: str) -> tuple[int, str]:
    number, _, rest = key.decode("utf-8", "surrogatepass").removeprefix(f"auditwatch:{{{stage}-").partition("}:")
    return int(number), rest
