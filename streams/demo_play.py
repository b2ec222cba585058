"""What happens in a demo: the company's records go in, alerts are watched coming out and compared with the labels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from statistics import median
from typing import IO, Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from alerting.alert import EXPLAINED, Alert, from_line
from streams.commands.ingest import packed
from streams.kafka import RAW
from streams.simulate.model import SECOND, SOURCES, Attack, SimEvent
from streams.simulate.organisation import Demo

CHUNK = 800
PACK = 50
TICK = 0.02
LAST_LOOK_MS = 500


class Sent(NamedTuple):
    """When a record happened, in microseconds of the company's time, and when it was sent, in seconds of ours."""

    time: int
    at: float


class Caught(NamedTuple):
    """How an attack came to light: with its `nth` record, `after` microseconds of the company's time."""

    alert: str
    nth: int
    after: int


@dataclass(slots=True)
class Feed:
    """Sends records as a shipper would, and notes in `sent` when it sent each record of the live part."""

    producer: AIOKafkaProducer
    sent: dict[str, Sent]
    count: int = 0

    async def history(self, events: Iterable[SimEvent], settled: Callable[[int], Awaitable[None]]) -> None:
        """As fast as the worker folds it, many records to a message; `settled` waits for that many records.

        In steps: a source that ran days ahead of the others would make bursts where people had none.
        """
        for chunk in _chunks(iter(events)):
            for source in SOURCES:
                payloads = (orjson.dumps(event.record) for event in chunk if event.source == source)
                for number, payload in packed(payloads, PACK):
                    await self.producer.send(RAW + source, payload)
                    self.count += number
            await self.producer.flush()
            await settled(self.count)

    async def live(self, events: Iterable[SimEvent], begins: int, speed: float) -> None:
        """Each when its time has come: the company's clock starts at `begins` and runs `speed` times as fast."""
        started = time.monotonic()
        for event in events:
            wait = started + (event.time - begins) / SECOND / speed - time.monotonic()
            if wait > TICK:
                await asyncio.sleep(wait)
            self.sent[event.id] = Sent(event.time, time.monotonic())
            await self.producer.send(RAW + event.source, orjson.dumps(event.record))
            self.count += 1
        await self.producer.flush()


@dataclass(slots=True)
class Watch:
    """Every alert that came, in its newest revision, and what the labels say about it; `closed` are those nobody is
    told of, because the company's own paper explains them."""

    demo: Demo
    file: IO[bytes] | None = None
    sent: dict[str, Sent] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    caught: dict[str, Caught] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    first: float | None = None
    _attack_of: dict[str, Attack] = field(init=False)
    _odd: set[str] = field(init=False)

    def __post_init__(self) -> None:
        organisation = self.demo.organisation
        self._attack_of = {event: attack for attack in organisation.attacks for event in attack.event_ids}
        self._odd = {event for lookalike in organisation.lookalikes for event in lookalike.event_ids}

    def see(self, line: bytes, at: float) -> Alert | None:
        """Takes in one line of audit.alerts that came `at` this moment; returns the alert when it is a new one."""
        alert = from_line(line)
        if alert.quiet:
            return None
        if self.file:
            self.file.write(line + b"\n")
            self.file.flush()
        if alert.resolution == EXPLAINED:
            self.closed.add(alert.id)
            return None
        self.closed.discard(alert.id)
        new = alert.id not in self.alerts
        self.alerts[alert.id] = alert
        for event in alert.event_ids:
            attack = self._attack_of.get(event)
            if attack and attack.id not in self.caught:
                self.caught[attack.id] = self._how(attack, alert)
        if not new:
            return None
        self.first = self.first or at
        self.delays += [at - max(sent) for sent in [self._moments(alert)] if sent]
        return alert

    def _moments(self, alert: Alert) -> list[float]:
        return [self.sent[event].at for event in alert.event_ids if event in self.sent]

    def _how(self, attack: Attack, alert: Alert) -> Caught:
        mine = set(attack.event_ids)
        last = max(self.sent[event].time for event in alert.event_ids if event in mine and event in self.sent)
        nth = sum(event in self.sent and self.sent[event].time <= last for event in attack.event_ids)
        return Caught(alert.id, nth, last - attack.start)

    @property
    def played(self) -> list[Attack]:
        """The attacks that have begun."""
        return [
            attack for attack in self.demo.organisation.attacks if not self.sent.keys().isdisjoint(attack.event_ids)
        ]

    def judged(self) -> tuple[int, int, int]:
        """How many alerts rest on an attack, on a harmless look-alike, and on neither."""
        rest = [a for a in self.alerts.values() if self._attack_of.keys().isdisjoint(a.event_ids)]
        odd = sum(not self._odd.isdisjoint(alert.event_ids) for alert in rest)
        return len(self.alerts) - len(rest), odd, len(rest) - odd

    def verdict(self, attack: Attack) -> str:
        """One line on an attack: how it came to light, or that it did not."""
        told = f"{attack.kind} ({attack.difficulty})".ljust(36)
        how = self.caught.get(attack.id)
        if how is None:
            return told + "not alerted"
        return told + f"with record {how.nth} of {len(attack.event_ids)}, {_span(how.after)} after the first"

    def delay(self) -> float | None:
        """The median of the seconds from the record that completed an alert to the alert."""
        return median(self.delays) if self.delays else None

    async def follow(self, consumer: AIOKafkaConsumer, told: Callable[[Alert], Any]) -> None:
        """Reads audit.alerts for ever; `told` hears of each new alert."""
        async for record in consumer:
            if alert := self.see(record.value, time.monotonic()):
                told(alert)

    async def catch_up(self, consumer: AIOKafkaConsumer) -> None:
        """Reads what has come meanwhile: the dispatcher may have been quicker."""
        while batches := await consumer.getmany(timeout_ms=LAST_LOOK_MS):
            for record in (record for records in batches.values() for record in records):
                self.see(record.value, time.monotonic())


def _span(microseconds: int) -> str:
    seconds = microseconds // SECOND
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _chunks(events: Iterator[SimEvent]) -> Iterator[list[SimEvent]]:
    while chunk := list(islice(events, CHUNK)):
        yield chunk
