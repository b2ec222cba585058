"""Both stages over logs in memory, with every fault a real deployment has: what `test_crash.py` drives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from alerting.alert import Alert
from audit.event import AuditEvent
from audit.finding import Finding
from streams.detections import Detections
from streams.packet import Output, Signal, decode_signals, mark, parcels
from streams.pipeline import Correlate, Score
from streams.processor import Fault, Message, Processor
from streams.store import MemoryStateStore, Write
from streams.ticking import Ticking

PARTITIONS = 2
SCORE, CORRELATE = 0, 1

Copy = tuple[dict[int, bytes], dict[tuple[int, str], bytes]]


class Crash(Exception):
    """The process, the broker or the store went away."""


@dataclass
class Trouble:
    """What goes wrong with the next step: at which moment, and which of its packets are stored nevertheless."""

    moment: str = ""
    random: Random = field(default_factory=lambda: Random(0))

    def meets(self, moment: str) -> bool:
        """Whether it strikes now (once)."""
        if self.moment != moment:
            return False
        self.moment = ""
        return True


class FlakyStore(MemoryStateStore):
    """A store whose answers get lost, and that remembers older states of itself."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self.trouble = trouble

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        if self.trouble.meets("before write"):
            raise Crash
        answers = await super().save(writes)
        if self.trouble.meets("answer lost"):
            raise Crash
        return answers

    def copy(self) -> Copy:
        return self.marks.copy(), self.values.copy()

    def restore(self, copy: Copy) -> None:
        self.marks, self.values = copy[0].copy(), copy[1].copy()


class Flow:
    """audit.events and audit.findings as lists, the two stores, the alerts, and as many workers as are asked for."""

    def __init__(self, detections: Detections) -> None:
        self.detections = detections
        self.trouble = Trouble()
        self.stores = FlakyStore(self.trouble), FlakyStore(self.trouble)
        self.logs: list[list[list[bytes]]] = [[[] for _ in range(PARTITIONS)] for _ in (SCORE, CORRELATE)]
        self.alerts: list[Alert] = []
        self.faults: list[Fault] = []
        self.history: list[Any] = []
        self.workers = [self.worker(), self.worker()]
        self.raw = 0

    def worker(self) -> list[Processor[Any, Any]]:
        return [
            Processor(Score(), self.stores[SCORE], self._to_findings),
            Ticking(Correlate(), self.stores[CORRELATE], self._to_alerts),
        ]

    def send(self, events: Sequence[AuditEvent], again: Random | None = None) -> None:
        """Puts events into audit.events as normalise does, ten to a raw message; `again`: with crashes of its own.

        It keeps no state: after a crash it begins at the last offset committed and sends everything from there again.
        """
        rounds: list[list[Output[AuditEvent]]] = []
        for start in range(0, len(events), 40):
            batch = enumerate(events[start : start + 40])
            rounds.append([Output(0, mark(self.raw + at // 10, at % 10), event.actor.id, event) for at, event in batch])
            self.raw += 4
            self._send(rounds[-1])
            if again and again.random() < 0.3:
                for outputs in rounds[-again.randint(1, 4) :]:
                    self._send(outputs)

    def _send(self, outputs: Sequence[Output[AuditEvent]]) -> None:
        for target, payload in parcels(outputs, {0: "audit.raw.all/0@a/1"}, PARTITIONS):
            self.logs[SCORE][target].append(payload)

    async def step(self, worker: int, stage: int, partition: int, count: int, back: int = 0) -> bool:
        """Lets a worker fold the next messages (from `back` before them on); False where there are none."""
        processor = self.workers[worker][stage]
        if partition not in processor.owned and await processor.open(partition) is None:
            processor.begin(partition, "a", 0)
        log = self.logs[stage][partition]
        start = max(0, processor.owned[partition].offset + 1 - back)
        messages = [Message(partition, start + at, payload) for at, payload in enumerate(log[start : start + count])]
        if not messages:
            return False
        try:
            await processor.step(messages, self.detections)
        except Crash:
            assert partition not in processor.owned
        self.history.append([store.copy() for store in self.stores])
        return True

    async def finish(self) -> None:
        """Everything to its end, by one worker that came late."""
        self.trouble.moment = ""
        self.workers[0] = self.worker()
        for stage in (SCORE, CORRELATE):
            for partition in range(PARTITIONS):
                while await self.step(0, stage, partition, 50):
                    pass

    async def lose_memory(self, steps: int) -> None:
        """The stores come back as they were some steps ago; workers notice now or at their next write."""
        if self.history:
            for store, copy in zip(self.stores, self.history[-min(steps, len(self.history))], strict=True):
                store.restore(copy)

    async def look(self, worker: int) -> None:
        """What Shell.check does every few seconds."""
        for processor in self.workers[worker]:
            for partition in await processor.moved():
                processor.forget(partition)

    def said(self) -> tuple[set[str], dict[str, Alert]]:
        """Findings by id and the last revision of each alert: all that reaches people."""
        last: dict[str, Alert] = {}
        for alert in self.alerts:
            if alert.id not in last or alert.revision >= last[alert.id].revision:
                last[alert.id] = alert
        return {finding.id for finding in self.findings()}, last

    def findings(self) -> Iterable[Finding]:
        for log in self.logs[CORRELATE]:
            for payload in log:
                with suppress(ValueError, RecursionError):
                    yield from (signal.finding for signal in decode_signals(payload).items if signal.finding)
        for alert in self.alerts:
            yield from alert.findings

    async def _to_findings(self, outputs: Sequence[Output[Signal]], faults: Sequence[Fault]) -> None:
        origins = {partition: f"audit.events/{partition}@a/{PARTITIONS}" for partition in range(PARTITIONS)}
        packets = list(parcels(outputs, origins, PARTITIONS))
        await self._store(packets, lambda each: self.logs[CORRELATE][each[0]].append(each[1]), faults)

    async def _to_alerts(self, outputs: Sequence[Output[Alert]], faults: Sequence[Fault]) -> None:
        await self._store(outputs, lambda output: self.alerts.append(output.item), faults)

    async def _store(self, packets: Sequence[Any], put: Callable[[Any], None], faults: Sequence[Fault]) -> None:
        if self.trouble.meets("before emit"):
            raise Crash
        some = self.trouble.meets("part of emit")
        for packet in packets:
            if not some or self.trouble.random.random() < 0.5:
                put(packet)
        if some:
            raise Crash
        self.faults.extend(faults)
        if self.trouble.meets("after emit"):
            raise Crash
