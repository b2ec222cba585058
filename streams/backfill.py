"""What history teaches, put where a worker finds it: baselines and terms in Redis before their first live event.

History runs through replay's own score; nothing is told to anybody. A principal's states are then written by the same
compare-and-set as a worker's, with the position counted on, so that a worker that runs meanwhile notices and reads them
again. Whoever has a baseline already keeps it, so a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from detectors.peers import HEADER_SIZE, Snapshot, made_of
from streams.detections import Detections
from streams.kafka import EVENTS, bounds, ensure_topics, incarnations, partition_of
from streams.packet import Output, Signal
from streams.pipeline import Score
from streams.principal import BASELINE_TTL, baseline_key, memory_key, terms_key
from streams.processor import ENCODE, Fault
from streams.replay import Run
from streams.settings import Settings
from streams.snapshots import KEY
from streams.store import POSITION, Entry, Position, StateStore, Write

CHUNK = 200
"""Principals written at once: about 1 MB."""
TRIES = 20
"""How often a chunk is tried while a worker writes the same partition."""

Parts = dict[str, bytes]
"""The stored parts of a principal's state by their keys; empty where there is nothing of a part."""


class BackfillError(Exception):
    """History cannot be written; the text says why and what to do."""


class History(Run):
    """A replay of which only what it learns is wanted: no correlations, no alerts."""

    def __init__(self, detections: Detections, budget: float) -> None:
        super().__init__(detections, budget=budget)
        self.suspected = 0

    async def _to_correlate(self, outputs: Sequence[Output[Signal]], faults: Sequence[Fault]) -> None:
        self.result.faults.extend(faults)
        self.suspected += sum(output.item.finding is not None for output in outputs)

    @property
    def snapshot(self) -> Snapshot:
        """What principals shared at the last midnight."""
        return self.detections.snapshot

    def learnt(self) -> dict[str, Parts]:
        """The states of everybody who proved to be somebody, by principal."""
        values, prefix = self.stores[0].values, terms_key("")
        names = sorted(key.removeprefix(prefix) for _, key in values if key.startswith(prefix))
        return {name: {key: values.get((0, key), b"") for key in _STAGE.parts(name)} for name in names}


async def starts_of(settings: Settings) -> dict[int, Position]:
    """Where a worker that has never run would begin in each partition of audit.events, which is created if need be.

    Raises:
        KafkaProblem: Kafka cannot be reached.
    """
    await ensure_topics(settings, [EVENTS])
    incarnation = (await incarnations(settings, [EVENTS]))[EVENTS]
    places = await bounds(settings, [EVENTS])
    return {place.partition: Position(incarnation, bound.earliest - 1, {}) for place, bound in places.items()}


@dataclass(slots=True)
class Writer:
    """Puts states into a store for the worker to find; `fresh` are the principals written, `known` those left alone.

    `starts` are the positions of partitions that have none yet. With `replace` a baseline that is there gives way: what
    it learnt live is lost, what it holds and saw lately stays. `dry`: only look.
    """

    store: StateStore
    starts: Mapping[int, Position]
    replace: bool = False
    dry: bool = False
    fresh: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)

    async def write(self, learnt: Mapping[str, Parts], on_written: Callable[[int], None] = lambda _: None) -> None:
        """Writes states by principal; `on_written` is told of how many more are done.

        Raises:
            BackfillError: the log is another than the one the store's states are of, or a worker is too busy.
        """
        by_partition: dict[int, list[str]] = {}
        for name in learnt:
            by_partition.setdefault(partition_of(name, len(self.starts)), []).append(name)
        for partition, names in sorted(by_partition.items()):
            for start in range(0, len(names), CHUNK):
                chunk = {name: learnt[name] for name in names[start : start + CHUNK]}
                await self._write(partition, chunk)
                on_written(len(chunk))

    async def _write(self, partition: int, chunk: Mapping[str, Parts]) -> None:
        for _ in range(TRIES):
            wanted = [POSITION, *(key(name) for name in chunk for key in (baseline_key, memory_key))]
            raw, *values = await self.store.load([(partition, key) for key in wanted])
            position = _position(raw, partition, self.starts[partition])
            there = dict(zip(chunk, zip(values[::2], values[1::2], strict=True), strict=True))
            fresh = [name for name in chunk if self.replace or not there[name][0]]
            entries = [entry for name in fresh for entry in _entries(chunk[name], memory_key(name), there[name][1])]
            write = Write(partition, raw, ENCODE(position.ticked()), entries)
            if not fresh or self.dry or (await self.store.save([write]))[0]:
                self.fresh += fresh
                self.known += [name for name in chunk if name not in fresh]
                return
        raise BackfillError(
            f"a worker wrote partition {partition} of {EVENTS} {TRIES} times meanwhile: {len(self.fresh)} principals "
            "are written. Stop the worker, or run the same command again for the rest"
        )


def _position(raw: bytes | None, partition: int, start: Position) -> Position:
    try:
        position = msgspec.msgpack.decode(raw, type=Position) if raw else start
    except ValueError as error:
        raise BackfillError(f"the position of partition {partition} cannot be read: {error}: restore Redis") from error
    if position.incarnation != start.incarnation:
        raise BackfillError(
            f"Redis holds states of another {EVENTS} (stored: {position.incarnation}, now: {start.incarnation}). Start "
            "the worker once with --adopt-new-log, or empty Redis, and run this again"
        )
    return position


def _entries(parts: Parts, own: str, memory: bytes | None) -> list[Entry]:
    """A principal's state; the memory (under the key `own`) of one who lives already stays: what was seen, and held."""
    return [Entry(key, memory if key == own and memory else value, BASELINE_TTL) for key, value in parts.items()]


async def publish(redis: Any, snapshot: Snapshot) -> bool:
    """Stores what principals of the history share, unless what is stored is newer; whether it did."""
    if not snapshot.made:
        return False
    header = await redis.getrange(KEY, 0, HEADER_SIZE - 1)
    try:
        if header and made_of(header) >= snapshot.made:
            return False
    except ValueError:  # of another version: no worker can use it
        pass
    await redis.set(KEY, snapshot.pack())
    return True


_STAGE = Score()
