"""The worker's own processor over files, in the files' order: no broker, no Redis, no network.

One file keeps its order. Several are merged by (time, source, line), through a spool file so that memory stays small.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from alerting.alert import Alert
from audit.context import Context
from audit.event import AuditEvent, from_line
from audit.finding import Finding
from audit.sources.reader import Reject, read
from detectors.budget import BUDGET, DAY
from streams import trail
from streams.clock import Clock
from streams.deed import Deed
from streams.detections import Detections
from streams.files import FileError, records
from streams.grant_replay import Summaries
from streams.grants import SETTLED
from streams.loop import complete
from streams.packet import Output, Packet, Signal, encode, item_of, mark
from streams.pipeline import Correlate, Score
from streams.processor import Fault, Message, Processor, Verdict
from streams.shadow import Comparison
from streams.snapshots import of_values
from streams.store import MemoryStateStore
from streams.ticking import Ticking

BATCH = 1_000
NEVER = 1 << 62
EVENTS = "events"
UNTOLD = ("observed", "gap", "surplus")
"""Why it is told at no use of a day: observe_only, a gap of the model, more than there is room for."""
"""The source name of files that hold AuditEvents already: JSON lines, or the trail's Parquet."""


class Source(NamedTuple):
    """A file (or the trail's folder) and whose records it holds."""

    name: str
    path: str


class Rejected(NamedTuple):
    """A record nobody could read, with its place."""

    source: str
    line: int
    error: str
    raw: bytes


@dataclass(slots=True)
class Replay:
    """What came out: alerts in their last revision, findings, one (event id, strangeness) an event, rejects."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    scores: list[tuple[str, float]] = field(default_factory=list)
    rejects: list[Rejected] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    events: int = 0
    repeats: int = 0
    comparison: Comparison = field(default_factory=Comparison)
    quiet: set[str] = field(default_factory=set)
    """Ids of alerts nobody is told of: changes that nothing explains, and no more."""
    observed: Counter[str] = field(default_factory=Counter)
    """What the authorization model has to say and does not tell (UNTOLD), by detection."""
    summaries: dict[str, Alert] = field(default_factory=dict)
    """What is told when temporary access has ended."""


class Run:
    """A replay under way: feed it events, read `result`. States stay in memory between batches.

    With `snapshots`, one is built at the end of each event-time day and used from there on, whatever the batch:
    `detections` are those of the moment.
    """

    def __init__(
        self,
        detections: Detections,
        keep_scores: bool = False,
        witness: Callable[[Sequence[Deed]], None] | None = None,
        snapshots: bool = True,
        budget: float = BUDGET,
        hear: Callable[[Alert, int], None] | None = None,
    ) -> None:
        """`hear` is told each alert as it appears or grows, with the newest event time by then (µs)."""
        self.result = Replay()
        self._hear = hear
        self.stores = MemoryStateStore(), MemoryStateStore()
        self.detections = detections
        self._keep_scores = keep_scores
        self._score = Processor(_ToldScore(self, witness), self.stores[0], self._to_correlate)
        self._correlate = Ticking(_ToldCorrelate(self), self.stores[1], self._to_alerts)
        self._offsets = [0, 0]
        self._clock = Clock()
        self._snapshots, self._budget = snapshots, budget
        self._day = -1
        self._batch: Sequence[AuditEvent] = ()
        self._due: int | None = None
        self._grants = Summaries(self.result.summaries)

    async def open(self) -> None:
        """Must be awaited once before `feed`."""
        for processor in (self._score, self._correlate):
            await processor.open(0)
            processor.begin(0, "replay", 0)

    async def feed(self, events: Sequence[AuditEvent]) -> None:
        """Folds the next events."""
        start = 0
        for place, event in enumerate(events):
            if event.time >= self._day + DAY:
                if self._day >= 0 and self._snapshots:
                    await self._feed(events[start:place])
                    start = place
                    self._take_snapshot(event.time // DAY * DAY)
                self._day = event.time // DAY * DAY
            if event.time >= self._grants.due:
                await self._feed(events[start:place])
                start = place
                self._look_at_grants(event.time)
        await self._feed(events[start:])

    def _look_at_grants(self, now: int) -> None:
        self._grants.look(self.detections, now, self.stores[0].values, self._clock.sources)

    def _take_snapshot(self, midnight: int) -> None:
        values, context = self.stores[0].values, self.detections.context
        snapshot = of_values(values, context, midnight, self._budget)
        self.detections = self.detections.with_snapshot(snapshot)

    async def _feed(self, events: Sequence[AuditEvent]) -> None:
        if not events:
            return
        offset = self._offsets[0]
        self._offsets[0] += 1
        marks = [mark(offset, index) for index in range(len(events))]
        payload = encode(Packet("replay", marks, list(events)))
        self._batch = events
        await self._score.step([Message(0, offset, payload)], self.detections)
        self.result.events += len(events)

    async def close(self) -> None:
        """Nothing more comes: what waited for time to pass is judged as of the newest event."""
        await self._correlate.tick(self._clock.read().closed(), self.detections)
        self._look_at_grants(self._clock.latest + SETTLED)

    def told(self, verdict: Verdict) -> None:
        """Hears of each batch what the worker has no use for."""
        self.result.repeats += verdict.repeats
        self.result.comparison.add(verdict.compared)
        self.result.observed.update(name for name, why in verdict.unheard if why in UNTOLD)
        if self._keep_scores:
            self.result.scores.extend(verdict.scores)
        for finding in verdict.findings:
            self._keep(finding)

    async def _to_correlate(self, outputs: Sequence[Output[Signal]], faults: Sequence[Fault]) -> None:
        self.result.faults.extend(faults)
        for output in outputs:
            if output.item.finding:
                self._keep(output.item.finding)
        for chunk in self._cut(outputs):
            await self._fold(chunk)
            self._due = self._correlate.next_due()
            if self._due is not None and self._due <= self._clock.latest:
                await self._correlate.tick(self._clock.read(), self.detections)
                self._due = self._correlate.next_due()

    def _cut(self, outputs: Sequence[Output[Signal]]) -> Iterator[list[Output[Signal]]]:
        """The outputs in pieces that end where time makes something due: with the same event, whatever the batch."""
        patience = self.detections.rules.patience or NEVER
        waiting = [*reversed(outputs)]
        chunk: list[Output[Signal]] = []
        limit = NEVER
        for index, event in enumerate(self._batch):
            self._clock.see((event,))
            while waiting and item_of(waiting[-1].mark) == index:
                chunk.append(waiting.pop())
                match = chunk[-1].item.match
                limit = min(limit, match.entry.time + patience if match else NEVER)
            if self._clock.latest >= limit or (self._due is not None and self._clock.latest >= self._due):
                yield chunk
                chunk, limit = [], NEVER
        yield chunk

    async def _fold(self, outputs: Sequence[Output[Signal]]) -> None:
        if not outputs:
            return
        offset = self._offsets[1]
        self._offsets[1] += 1
        payload = encode(Packet("replay", [output.mark for output in outputs], [output.item for output in outputs]))
        await self._correlate.step([Message(0, offset, payload)], self.detections)

    async def _to_alerts(self, outputs: Sequence[Output[Alert]], faults: Sequence[Fault]) -> None:
        self.result.faults.extend(faults)
        for output in outputs:
            if output.item.quiet:  # nobody is told of it: the dispatcher asks about it
                self.result.quiet.add(output.item.id)
                continue
            self.result.quiet.discard(output.item.id)
            self.result.alerts[output.item.id] = output.item
            if self._hear:
                self._hear(output.item, self._clock.latest)

    def _keep(self, finding: Finding) -> None:
        self.result.findings[finding.id] = finding


class _ToldScore(Score):
    def __init__(self, run: Run, witness: Callable[[Sequence[Deed]], None] | None) -> None:
        super().__init__(witness)
        self._run = run

    def fold(self, arrivals: Any, states: Any, detections: Detections) -> Verdict:
        """See Stage."""
        verdict = super().fold(arrivals, states, detections)
        self._run.told(verdict)
        return verdict


class _ToldCorrelate(Correlate):
    def __init__(self, run: Run) -> None:
        self._run = run

    def fold(self, arrivals: Any, states: Any, detections: Detections) -> Verdict:
        """See Stage."""
        verdict = super().fold(arrivals, states, detections)
        self._run.told(verdict)
        return verdict

    def tick(self, arrival: Any, state: Any, now: Any, detections: Detections) -> Verdict:
        """See TickingStage."""
        verdict = super().tick(arrival, state, now, detections)
        self._run.told(verdict)
        return verdict


def replay(
    sources: Sequence[Source],
    detections: Detections,
    *,
    arrival: int,
    batch: int = BATCH,
    on_events: Callable[[Sequence[AuditEvent]], None] | None = None,
    witness: Callable[[Sequence[Deed]], None] | None = None,
    snapshots: bool = True,
    budget: float = BUDGET,
) -> Replay:
    """Replays files and returns what the worker would have said.

    Args:
        sources: files with their source's name.
        detections: rules, model and context to apply.
        arrival: microseconds since the epoch at which the records count as arrived (times far ahead are replaced).
        batch: events folded at once; changes nothing but speed.
        on_events: called with each batch of events before it is folded (progress, `--events`).
        witness: shown the judged deeds of each batch (`--features`).
        snapshots: whether what principals share is gathered at the end of each event-time day.
        budget: anomalies wanted in a day at most.

    Raises:
        FileError: a file cannot be read; everything readable before it was folded.
    """
    run = Run(detections, keep_scores=True, witness=witness, snapshots=snapshots, budget=budget)

    async def drive() -> None:
        await run.open()
        stream = events_of(sources, detections.context, arrival, run.result.rejects)
        while chunk := list(islice(stream, batch)):
            if on_events:
                on_events(chunk)
            await run.feed(chunk)
        await run.close()

    complete(drive())
    return run.result


def events_of(
    sources: Sequence[Source], context: Context, arrival: int, rejects: list[Rejected]
) -> Iterator[AuditEvent]:
    """The events of files, merged; records nobody can read are appended to `rejects`."""
    if len(sources) == 1:
        return (event for _, event in _events(sources[0], context, arrival, rejects))
    return _merged(sources, context, arrival, rejects)


def _events(
    source: Source, context: Context, arrival: int, rejects: list[Rejected]
) -> Iterator[tuple[int, AuditEvent]]:
    if source.name == EVENTS and (Path(source.path).is_dir() or source.path.endswith(".parquet")):
        yield from enumerate(trail.read(Path(source.path)), start=1)
        return
    for line, payload in records(source.path):
        for answer in _read(source.name, payload, arrival, context):
            if isinstance(answer, AuditEvent):
                yield line, answer
            else:
                rejects.append(Rejected(source.name, line, answer.error, answer.raw))


def _read(source: str, payload: bytes, arrival: int, context: Context) -> Iterable[AuditEvent | Reject]:
    if source == EVENTS:
        try:
            yield from_line(payload)
        except (ValueError, KeyError, RecursionError) as error:
            yield Reject(0, f"not an AuditEvent: {error}", payload)
        return
    for answer in read(source, payload, arrival, context):
        if isinstance(answer, Reject):
            yield answer
        else:
            yield from answer


def _merged(sources: Sequence[Source], context: Context, arrival: int, rejects: list[Rejected]) -> Iterator[AuditEvent]:
    decode = msgspec.msgpack.Decoder(AuditEvent).decode
    with tempfile.TemporaryFile(prefix="auditwatch-replay-") as spool:
        index: list[tuple[int, str, int, int, int]] = []
        start = 0
        for source in sources:
            for line, event in _events(source, context, arrival, rejects):
                packed = encode(event)
                spool.write(packed)
                index.append((event.time, source.name, line, start, len(packed)))
                start += len(packed)
        index.sort()
        for _, _, _, place, length in index:
            spool.seek(place)
            yield decode(spool.read(length))


__all__ = ["FileError", "Replay", "Run", "Source", "events_of", "replay"]
