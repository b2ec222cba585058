from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from audit.event import AuditEvent
from detectors.baseline import Baseline
from detectors.budget import BUDGET
from detectors.peers import Snapshot
from streams.backfill import BackfillError, History, Parts, Writer, publish
from streams.detections import Detections
from streams.kafka import partition_of
from streams.packet import Output, Signal, mark, parcels
from streams.pipeline import Score
from streams.principal import Principal, baseline_key, memory_key, terms_key
from streams.processor import Fault, Message, Processor
from streams.replay import Run
from streams.snapshots import KEY
from streams.store import MemoryStateStore, Position, Write
from tests.laws.conftest import detections, events, folder, sources

__all__ = ["detections", "events", "folder", "sources"]

PARTITIONS = 4
STARTS = {number: Position("log/4", -1, {}) for number in range(PARTITIONS)}
TAIL = 150
"""Of the last day: no midnight lies within, at which a replay takes another snapshot."""


class Warm:
    """A worker's score on a store, over events as normalise sends them; `scores` by event id."""

    def __init__(self, store: MemoryStateStore, detections: Detections) -> None:
        self.scores: dict[str, float] = {}
        self.findings: set[str] = set()
        self.processor = Processor(Score(self._hear), store, self._emit)
        self._detections = detections

    async def fold(self, events: Sequence[AuditEvent]) -> None:
        outputs = [Output(0, mark(at), event.actor.id, event) for at, event in enumerate(events)]
        for number in range(PARTITIONS):
            if await self.processor.open(number) is None:
                self.processor.begin(number, "log/4", 0)
        offsets = {number: held.offset for number, held in self.processor.owned.items()}
        for target, payload in parcels(outputs, {0: "audit.raw.all/0@a"}, PARTITIONS):
            offsets[target] += 1
            assert not await self.processor.step([Message(target, offsets[target], payload)], self._detections)

    def _hear(self, deeds: Sequence[Any]) -> None:
        self.scores |= {deed.event.id: deed.strangeness for deed in deeds}

    async def _emit(self, outputs: Sequence[Output[Signal]], faults: Sequence[Fault]) -> None:
        assert not faults
        self.findings |= {output.item.finding.id for output in outputs if output.item.finding}


async def learnt_from(events: Sequence[AuditEvent], detections: Detections) -> History:
    history = History(detections, BUDGET)
    await history.open()
    for start in range(0, len(events), 300):
        await history.feed(events[start : start + 300])
    return history


@pytest.fixture(scope="module")
def history(events: list[AuditEvent], detections: Detections) -> History:
    return asyncio.run(learnt_from(events[:-TAIL], detections))


async def written(store: MemoryStateStore, learnt: Mapping[str, Parts], **options: Any) -> Writer:
    writer = Writer(store, STARTS, **options)
    await writer.write(learnt)
    return writer


def stored(store: MemoryStateStore, name: str) -> tuple[bytes | None, ...]:
    place = partition_of(name, PARTITIONS)
    return tuple(store.values.get((place, key(name))) for key in (baseline_key, memory_key, terms_key))


async def test_a_worker_goes_on_where_history_ended(
    history: History, events: list[AuditEvent], detections: Detections
) -> None:
    """Strangeness to the bit, and the same findings, as if all had been replayed in one."""
    whole = Run(detections, keep_scores=True)
    await whole.open()
    await whole.feed(events)
    store = MemoryStateStore()
    await written(store, history.learnt())
    warm = Warm(store, detections.with_snapshot(history.snapshot))
    await warm.fold(events[-TAIL:])
    expected = dict(whole.result.scores)
    assert len(warm.scores) == TAIL
    assert any(warm.scores.values())
    assert warm.scores == {name: expected[name] for name in warm.scores}
    tail = {event.id for event in events[-TAIL:]}
    said = {
        finding.id
        for finding in whole.result.findings.values()
        if finding.kind != "correlation" and tail.issuperset(finding.event_ids)
    }
    assert warm.findings == said
    cold = Warm(MemoryStateStore(), detections)
    await cold.fold(events[-TAIL:])
    assert cold.scores != warm.scores


async def test_a_second_time_changes_nothing(history: History) -> None:
    store = MemoryStateStore()
    first = await written(store, history.learnt())
    values, marks = store.values.copy(), store.marks.copy()
    second = await written(store, history.learnt())
    assert (len(first.fresh), first.known) == (len(history.learnt()), [])
    assert sorted(second.known) == sorted(name for name, parts in history.learnt().items() if parts[baseline_key(name)])
    assert store.values == values
    assert {n for n in marks if store.marks[n] == marks[n]} >= {partition_of(n, PARTITIONS) for n in second.known} - {
        partition_of(n, PARTITIONS) for n in second.fresh
    }


async def test_who_has_a_baseline_keeps_it_unless_told_otherwise(history: History) -> None:
    learnt = history.learnt()
    name = next(name for name, parts in learnt.items() if parts[baseline_key(name)])
    store = MemoryStateStore()
    own = (b"own baseline", b"own memory", b"own terms")
    place = partition_of(name, PARTITIONS)
    for key, value in zip((baseline_key, memory_key, terms_key), own, strict=True):
        store.values[place, key(name)] = value
    writer = await written(store, learnt)
    assert writer.known == [name]
    assert stored(store, name) == own
    writer = await written(store, learnt, replace=True)
    assert writer.known == []
    assert stored(store, name) == (learnt[name][baseline_key(name)], b"own memory", learnt[name][terms_key(name)])


async def test_a_dry_run_writes_nothing(history: History) -> None:
    store = MemoryStateStore()
    writer = await written(store, history.learnt(), dry=True)
    assert sorted(writer.fresh) == sorted(history.learnt())
    assert not store.values
    assert not store.marks


async def test_a_worker_that_runs_notices_and_learns_what_was_written(
    history: History, events: list[AuditEvent], detections: Detections
) -> None:
    """It has an empty state of everybody in memory: its next write must fail, not win."""
    store = MemoryStateStore()
    worker = Warm(store, detections)
    await worker.fold([])
    cached = {number: processor_raw(worker, number) for number in range(PARTITIONS)}
    await written(store, history.learnt())
    assert await worker.processor.moved() == sorted({partition_of(name, PARTITIONS) for name in history.learnt()})
    assert cached == dict.fromkeys(range(PARTITIONS))
    event = events[-1]
    ((target, payload),) = parcels([Output(0, 1, event.actor.id, event)], {0: "o"}, PARTITIONS)
    (gap,) = await worker.processor.step([Message(target, 0, payload)], detections)
    assert gap.partition == target
    await worker.processor.open(target)
    assert not await worker.processor.step([Message(target, 0, payload)], detections)
    learnt, baseline = history.learnt()[event.actor.id], stored(store, event.actor.id)[0]
    assert baseline
    assert Baseline.unpack(baseline).events >= Baseline.unpack(learnt[baseline_key(event.actor.id)]).events


def processor_raw(worker: Warm, number: int) -> bytes | None:
    return worker.processor._partitions[number].raw


class Busy(MemoryStateStore):
    """A store whose worker writes before each of the next few writes of ours."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        if self.times:
            self.times -= 1
            (write,) = writes
            position = Position("log/4", self.times, {})
            self.marks[write.partition] = msgspec.msgpack.encode(position)
        return await super().save(writes)


async def test_a_worker_that_writes_meanwhile_is_waited_for(history: History) -> None:
    store = Busy(5)
    assert len((await written(store, history.learnt())).fresh) == len(history.learnt())


async def test_a_worker_that_never_rests_is_told_of(history: History) -> None:
    with pytest.raises(BackfillError, match="Stop the worker, or run the same command again"):
        await written(Busy(10_000), history.learnt())


async def test_the_states_of_another_log_are_left_alone(history: History) -> None:
    store = MemoryStateStore()
    for number in range(PARTITIONS):
        store.marks[number] = msgspec.msgpack.encode(Position("other/4", 7, {}))
    with pytest.raises(BackfillError, match="--adopt-new-log"):
        await written(store, history.learnt())
    assert not store.values


async def test_a_position_that_cannot_be_read_is_told_of(history: History) -> None:
    store = MemoryStateStore()
    store.marks = dict.fromkeys(range(PARTITIONS), b"\xc1")
    with pytest.raises(BackfillError, match="cannot be read"):
        await written(store, history.learnt())


def test_what_is_suspected_in_history_is_held_there_too(history: History) -> None:
    assert history.suspected
    values = [parts.values() for parts in history.learnt().values()]
    assert any(Principal.unpack(*[value or None for value in list(each)[:3]]).held for each in values)


class Cupboard:
    """The part of Redis that a snapshot needs."""

    def __init__(self, value: bytes = b"") -> None:
        self.value = value

    async def getrange(self, key: str, start: int, end: int) -> bytes:
        assert key == KEY
        return self.value[start : end + 1]

    async def set(self, key: str, value: bytes) -> None:
        assert key == KEY
        self.value = value


async def test_what_all_share_is_left_for_the_worker_unless_it_has_newer() -> None:
    ours, newer = Snapshot(made=5), Snapshot(made=9)
    assert not await publish(Cupboard(), Snapshot())
    for before in (b"", b"of another version", Snapshot(made=4).pack()):
        cupboard = Cupboard(before)
        assert await publish(cupboard, ours)
        assert Snapshot.unpack(cupboard.value) == ours
    cupboard = Cupboard(newer.pack())
    assert not await publish(cupboard, ours)
    assert Snapshot.unpack(cupboard.value) == newer
