"""Everything the worker sends: packets, alerts, dead letters. A send is done when the broker has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from alerting.alert import Alert
from alerting.alert import to_line as alert_line
from streams import deadletter
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS
from streams.metrics import count
from streams.packet import Output, Signal, parcels
from streams.processor import Emit, Fault


class Outlet:
    """Sends over one producer; `clock` gives microseconds since the epoch for the dead letters' time."""

    def __init__(self, producer: AIOKafkaProducer, clock: Callable[[], int]) -> None:
        self._producer = producer
        self._clock = clock

    async def packets(
        self, topic: str, outputs: Sequence[Output[Any]], origins: Mapping[int, str], partitions: int
    ) -> None:
        """Sends outputs packed by target partition and waits until all are stored."""
        sent = [
            await self._producer.send(topic, payload, partition=target)
            for target, payload in parcels(outputs, origins, partitions)
        ]
        await asyncio.gather(*sent)

    async def alerts(self, outputs: Sequence[Output[Alert]]) -> None:
        """Sends alerts, one JSON object a message, keyed by the alert's key."""
        sent = [
            await self._producer.send(ALERTS, alert_line(output.item), key=output.key.encode("utf-8", "surrogatepass"))
            for output in outputs
        ]
        await asyncio.gather(*sent)
        count("alerts", by=len(sent))

    async def letters(self, stage: str, topics: Mapping[int, tuple[str, int]], faults: Sequence[Fault]) -> None:
        """Sends what could not be digested to the dead letters; `topics` gives (topic, partition) of each lane."""
        now = self._clock()
        sent = []
        for fault in faults:
            place = (*topics[fault.partition], fault.offset)
            letter = deadletter.dead_letter(stage, place, fault.error, fault.raw, now)
            sent.append(await self._producer.send(DEADLETTER, deadletter.to_line(letter), key=letter.id.encode()))
        await asyncio.gather(*sent)
        count("deadletters", stage, len(sent))

    def score_emit(self, origin: Callable[[int], str], partitions: int) -> Emit:
        """How score sends: signals to the partition of their entity."""

        async def emit(outputs: Sequence[Output[Signal]], faults: Sequence[Fault]) -> None:
            lanes = {output.partition for output in outputs}
            await self.packets(FINDINGS, outputs, {lane: origin(lane) for lane in lanes}, partitions)
            await self.letters("score", {fault.partition: (EVENTS, fault.partition) for fault in faults}, faults)
            count("findings", by=sum(output.item.finding is not None for output in outputs))

        return emit

    def correlate_emit(self) -> Emit:
        """How correlate sends: alerts as JSON for whoever wants them."""

        async def emit(outputs: Sequence[Output[Alert]], faults: Sequence[Fault]) -> None:
            await self.alerts(outputs)
            await self.letters("correlate", {fault.partition: (FINDINGS, fault.partition) for fault in faults}, faults)

        return emit
