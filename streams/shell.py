"""One stage against a real log: opens partitions where the store left them, survives outages, asks for rewinds.

Nothing here knows Faust: the worker hands over messages and is told up to where each partition may be acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from aiokafka.errors import KafkaError

from streams.clock import Reading
from streams.detections import Detections
from streams.kafka import KafkaProblem
from streams.metrics import count
from streams.processor import Damaged, Gap, Message, Processor
from streams.store import Position, StoreError
from streams.ticking import Ticking

log = logging.getLogger("auditwatch.shell")

PATIENCE = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries while a store or the broker is out of reach; the last one repeats."""


def unexpected(error: Exception) -> bool:
    """Whether an error is worth a traceback: not that a server is away."""
    return not isinstance(error, KafkaError | KafkaProblem | OSError | StoreError)


class Log(Protocol):
    """What a shell must know of the topic it reads: Kafka in the worker, a list in tests."""

    async def incarnation(self, topic: str) -> str:
        """The topic's identity: another one after it was created anew."""

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that still exists and the next one to be written; that one may be told too low."""

    async def holds(self, topic: str, partition: int, offset: int) -> bool:
        """Whether the record at this offset can be read."""


class Shell:
    """Runs a processor over one topic; `rewind(partition)` asks the consumer to come back to `open(partition)`."""

    def __init__(
        self,
        processor: Processor[Any, Any],
        topic: str,
        source: Log,
        rewind: Callable[[int], None],
        halt: Callable[[str], NoReturn],
    ) -> None:
        self.processor = processor
        self.topic = topic
        self._log = source
        self._rewind = rewind
        self._halt = halt
        self._lock = asyncio.Lock()
        self.adopt = False
        self.last_error = ""

    async def open(self, partition: int) -> Position:
        """Reads a partition's position anew and checks that the log can continue it; ends the process if it cannot."""
        async with self._lock:
            self.processor.forget(partition)
            return await self._open(partition)

    async def _open(self, partition: int) -> Position:
        try:
            position = await self.processor.open(partition)
        except Damaged as error:
            self._halt(str(error))
        incarnation = await self._log.incarnation(self.topic)
        start, end = await self._log.bounds(self.topic, partition)
        if position is None:
            return self.processor.begin(partition, incarnation, start)
        sound = position.incarnation == incarnation and start - 1 <= position.offset
        if sound and position.offset >= end:
            sound = await self._log.holds(self.topic, partition, position.offset)
        if self.adopt and not sound:
            log.warning("%s/%s: adopting the log from offset %s on", self.topic, partition, start)
            return self.processor.begin(partition, incarnation, start)
        if position.incarnation != incarnation:
            self._halt(_RECREATED.format(topic=self.topic, stored=position.incarnation, now=incarnation))
        if not sound:
            self._halt(
                _LOST.format(topic=self.topic, partition=partition, next=position.offset + 1, start=start, end=end)
            )
        return position

    async def run(self, messages: Sequence[Message], detections: Callable[[], Detections]) -> dict[int, int]:
        """Folds a batch; stays with it through outages. Returns the offset up to which each partition is done."""
        partitions = {message.partition for message in messages}
        for attempt in range(1_000_000):
            try:
                async with self._lock:
                    for partition in partitions - self.processor.owned.keys():
                        await self._open(partition)
                    gaps = await self.processor.step(messages, detections())
                    owned = self.processor.owned
                break
            except Damaged as error:
                self._halt(str(error))
            except Exception as error:
                count("errors", self.topic)
                pause = PATIENCE[min(attempt, len(PATIENCE) - 1)]
                log.error(
                    "%s: batch failed (%r), trying again in %s s", self.topic, error, pause, exc_info=unexpected(error)
                )
                self.last_error = f"{self.topic}: {error!r}"
                self.forget(partitions)
                await asyncio.sleep(pause)
        self._come_back(gaps)
        return {partition: owned[partition].offset for partition in partitions if partition in owned}

    def _come_back(self, gaps: Sequence[Gap]) -> None:
        for gap in gaps:
            log.warning("%s: %s: rewinding", self.topic, gap)
            self.forget([gap.partition])
            self._rewind(gap.partition)

    async def tick(self, now: Reading, detections: Callable[[], Detections]) -> None:
        """Lets the states of a ticking processor speak whose time has come; what fails is tried again next time."""
        assert isinstance(self.processor, Ticking)
        async with self._lock:
            owned = set(self.processor.owned)
            try:
                gaps = await self.processor.tick(now, detections())
            except Damaged as error:
                self._halt(str(error))
            except Exception as error:
                count("errors", self.topic)
                log.error("%s: time could not be told (%r)", self.topic, error, exc_info=unexpected(error))
                self.last_error = f"{self.topic}: {error!r}"
                gaps = [Gap(partition, "its tick failed") for partition in owned - self.processor.owned.keys()]
        self._come_back(gaps)

    def forget(self, partitions: Sequence[int] | set[int]) -> None:
        """Drops what memory holds of partitions: revoked, or in doubt."""
        for partition in partitions:
            self.processor.forget(partition)

    async def check(self) -> None:
        """Rewinds the partitions whose store moved while nothing was read (a Redis that came back older)."""
        async with self._lock:
            moved = await self.processor.moved()
        for partition in moved:
            log.warning("%s: partition %s: the store moved: rewinding", self.topic, partition)
            self.forget([partition])
            self._rewind(partition)

    def lag(self, ends: Mapping[int, int]) -> dict[int, int]:
        """Messages not yet folded per partition in memory, given each partition's next offset to be written."""
        return {
            partition: max(0, ends[partition] - position.offset - 1)
            for partition, position in self.processor.owned.items()
            if partition in ends
        }


_RECREATED = (
    "{topic} is not the log this state was computed on (stored: {stored}, now: {now}). The topic was created anew or a "
    "memory-only broker restarted, and what was not yet read is gone. Nothing was changed. Start the worker once with "
    "--adopt-new-log to keep the baselines and go on from the new log's start."
)
_LOST = (
    "{topic}/{partition}: the state wants to go on at offset {next}, but the log holds {start} to {end}. Either "
    "retention deleted messages nobody had read, or the log was cut. Nothing was changed. Restore the topic, or start "
    "the worker once with --adopt-new-log to go on from the log's start."
)
