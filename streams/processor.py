"""The shell around the pure stages: load, fold, emit, save. The worker, replay and the notebooks all run this one.

A stage is folded in order of offset. `step` takes a batch; whatever goes wrong, the partition is forgotten and the
caller hands over the same messages again (`rewind`): positions and marks make the repetition harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Generic

import msgspec

from audit.event import AuditEvent
from streams.detections import Detections
from streams.metrics import count
from streams.packet import mark, offset_of
from streams.shadow import Comparison
from streams.stage import Arrival, Damaged, Emit, Fault, Gap, Item, Message, Stage, State, Verdict, joined
from streams.store import POSITION, Entry, Position, StateStore, Write, key_name

__all__ = ["Arrival", "Damaged", "Emit", "Fault", "Gap", "Message", "Processor", "Stage", "Verdict"]

log = logging.getLogger("auditwatch.processor")

CACHED = 400
"""States one processor keeps in memory; the rest is read again from the store when needed."""
MOST_FAILING = 100
"""Items in a row that may fail and be put aside; after so many it is the program that is broken, and it stays there."""


class Moved(Exception):
    """The store is no longer where memory is: what it holds belongs to another position."""


class Held(Generic[State]):
    """What is known in memory of one partition: its position and some of its states."""

    __slots__ = ("position", "raw", "states")

    def __init__(self, raw: bytes | None, position: Position) -> None:
        self.raw = raw
        self.position = position
        self.states: dict[str, State] = {}


class Processor(Generic[Item, State]):
    """Folds one stage over its partitions: everything that survives a crash lives in the store."""

    def __init__(self, stage: Stage[Item, State], store: StateStore, emit: Emit) -> None:
        self._stage = stage
        self._store = store
        self._emit = emit
        self._partitions: dict[int, Held[State]] = {}
        self.folded = 0
        self.repeats = 0
        self.comparison = Comparison()
        self._failing = 0

    @property
    def owned(self) -> dict[int, Position]:
        """The position of each partition that is in memory."""
        return {number: held.position for number, held in self._partitions.items()}

    def forget(self, partition: int) -> None:
        """Drops what memory knows of a partition: the store is read again before its next batch."""
        self._partitions.pop(partition, None)

    async def open(self, partition: int) -> Position | None:
        """Reads a partition's position anew; None when the store has none: then `begin` must follow.

        Raises:
            Damaged: when the stored position cannot be read.
        """
        (raw,) = await self._store.positions([partition])
        try:
            position = _POSITIONS.decode(raw) if raw else None
        except UNREADABLE as error:
            raise damaged(self._stage.name, partition, [POSITION], error) from error
        self._partitions[partition] = Held(raw, position or Position("", -1, {}))
        return position

    def begin(self, partition: int, incarnation: str, start: int) -> Position:
        """Starts an opened partition at the log's first offset (saved with its first batch).

        States stay, and so do marks: they tell of the logs before this one, not of this log.
        """
        held = self._partitions[partition]
        held.position = Position(incarnation, start - 1, held.position.seen)
        return held.position

    async def moved(self) -> list[int]:
        """The partitions whose position in the store is no longer the one in memory (a Redis that came back older)."""
        numbers = list(self._partitions)
        stored = await self._store.positions(numbers)
        return [
            n
            for n, raw in zip(numbers, stored, strict=True)
            if n in self._partitions and self._partitions[n].raw != raw
        ]

    async def step(self, messages: Sequence[Message], detections: Detections) -> list[Gap]:
        """Folds the messages that are next in their opened partitions, emits, saves; skips those already folded.

        Returns a Gap for each partition that has to be rewound; the messages of all others are done with. After an
        exception (store or broker out of reach) every partition of the batch is forgotten, as is one with a lost write.

        Raises:
            Damaged: when a stored state cannot be read.
        """
        held = {number: self._partitions[number] for number in {message.partition for message in messages}}
        try:
            positions, arrivals, faults, gaps = self._admit(messages, held)
            verdict, entries = await self._fold(arrivals, held, detections)
            self.folded += len(arrivals)
            self.repeats += verdict.repeats
            self.comparison.add(verdict.compared)
            for rule_id, why in verdict.unheard:
                count(why if why in ("shadow", "explained") else "excused", rule_id)
            await self._emit(verdict.outputs, faults + verdict.faults)
            writes = [
                Write(number, held[number].raw, ENCODE(position), entries.get(number, []))
                for number, position in positions.items()
            ]
            saved = await self._store.save(writes) if writes else []
        except Moved:
            for number in held:
                self.forget(number)
            return [Gap(number, "its store moved") for number in held]
        except BaseException:  # cancelled, too: what is in memory was changed, what is stored was not
            for number in held:
                self.forget(number)
            raise
        return gaps + self._written(writes, saved, held, positions)

    def _written(
        self,
        writes: Sequence[Write],
        saved: Sequence[bool],
        held: Mapping[int, Held[State]],
        positions: Mapping[int, Position],
    ) -> list[Gap]:
        """Keeps in memory what the store took, forgets the rest."""
        gaps = []
        for write, done in zip(writes, saved, strict=True):
            kept = self._partitions.get(write.partition)
            if done and kept is held[write.partition]:  # a rebalance may have had it forgotten meanwhile
                self._keep(kept, write, positions[write.partition])
            elif not done:
                self.forget(write.partition)
                gaps.append(Gap(write.partition, "somebody else wrote its state"))
        return gaps

    def _admit(
        self, messages: Sequence[Message], held: Mapping[int, Held[State]]
    ) -> tuple[dict[int, Position], list[Arrival[Item]], list[Fault], list[Gap]]:
        positions: dict[int, Position] = {}
        arrivals: list[Arrival[Item]] = []
        faults: list[Fault] = []
        gaps: dict[int, Gap] = {}
        for message in messages:
            number = message.partition
            position = positions.get(number) or held[number].position
            if message.offset <= position.offset or number in gaps:
                continue
            if message.offset > position.offset + 1:
                gaps[number] = Gap(number, f"expected offset {position.offset + 1}, got {message.offset}")
                continue
            positions[number] = self._read(message, position, arrivals, faults)
        return positions, arrivals, faults, list(gaps.values())

    def _read(
        self, message: Message, position: Position, arrivals: list[Arrival[Item]], faults: list[Fault]
    ) -> Position:
        number, offset, payload = message
        try:
            packet = self._stage.decode(payload)
            pairs = list(zip(packet.marks, packet.items, strict=True))
        except UNREADABLE as error:
            faults.append(Fault(number, offset, f"unreadable packet: {error}", payload))
            return position.at(offset)
        high = position.seen.get(packet.origin, -1)
        if high < packet.after:
            log.warning(
                "%s/%s: offset %s overtook its packet before: both come again", self._stage.name, number, offset
            )
            return position.at(offset)
        for index, (made_at, item) in enumerate(pairs):
            if made_at > high:
                high = made_at
                arrivals.append(Arrival(number, mark(offset, index), item))
        return position.at(offset, packet.origin, high)

    async def _fold(
        self, arrivals: Sequence[Arrival[Item]], held: Mapping[int, Held[State]], detections: Detections
    ) -> tuple[Verdict, dict[int, list[Entry]]]:
        states = await self._states(arrivals, held)
        try:
            verdict, entries = self._stage.fold(arrivals, states, detections), self._packed(arrivals, states)
            self._failing = 0
            return verdict, entries
        except Exception:
            log.exception("%s: a batch could not be folded; trying its items one by one", self._stage.name)
        for partition in held.values():
            partition.states.clear()
        states = await self._states(arrivals, held)
        verdict = self._fold_alone(arrivals, states, detections)
        for arrival in arrivals:
            key = self._stage.key(arrival.item)
            held[arrival.partition].states[key] = states[key]
        return verdict, self._packed(arrivals, states)

    def _fold_alone(
        self, arrivals: Sequence[Arrival[Item]], states: dict[str, State], detections: Detections
    ) -> Verdict:
        """Folds item by item: one that cannot be folded leaves its state as it was and goes to the dead letters."""
        stage = self._stage
        verdicts: list[Verdict] = []
        for arrival in arrivals:
            key = stage.key(arrival.item)
            before = {entry.key: entry.value for entry in stage.pack(key, states[key])}
            try:
                verdict = stage.fold([arrival], states, detections)
                stage.pack(key, states[key])
                self._failing = 0
            except Exception as error:
                self._failing += 1
                if self._failing > MOST_FAILING:
                    raise
                states[key] = stage.unpack(key, [before.get(part) for part in stage.parts(key)])
                verdict = Verdict([], [_fault(arrival, error)])
            verdicts.append(verdict)
        return joined(verdicts)

    async def _states(self, arrivals: Sequence[Arrival[Item]], held: Mapping[int, Held[State]]) -> dict[str, State]:
        key_of, parts_of = self._stage.key, self._stage.parts
        states: dict[str, State] = {}
        missing: dict[str, int] = {}
        for number, _, item in arrivals:
            key = key_of(item)
            if key in states or key in missing:
                continue
            cached = held[number].states
            if key in cached:
                states[key] = cached[key] = cached.pop(key)  # moved to the end: the longest unused is dropped first
            else:
                missing[key] = number
        if missing:
            numbers = sorted(set(missing.values()))
            wanted = [(number, POSITION) for number in numbers]
            wanted += [(number, part) for key, number in missing.items() for part in parts_of(key)]
            values = iter(await self._store.load(wanted))
            if any(held[number].raw != next(values) for number in numbers):
                raise Moved
            for key, number in missing.items():
                state = self._unpacked(number, key, [next(values) for _ in parts_of(key)])
                states[key] = held[number].states[key] = state
        return states

    def _unpacked(self, partition: int, key: str, values: Sequence[bytes | None]) -> State:
        try:
            return self._stage.unpack(key, values)
        except UNREADABLE as error:
            raise damaged(self._stage.name, partition, self._stage.parts(key), error) from error

    def _packed(self, arrivals: Sequence[Arrival[Item]], states: Mapping[str, State]) -> dict[int, list[Entry]]:
        key_of, pack = self._stage.key, self._stage.pack
        entries: dict[int, list[Entry]] = {}
        for key, number in {key_of(item): number for number, _, item in arrivals}.items():
            entries.setdefault(number, []).extend(pack(key, states[key]))
        return entries

    def _keep(self, held: Held[State], write: Write, position: Position) -> None:
        held.raw, held.position = write.position, position
        room = max(1, CACHED // len(self._partitions)) if self._partitions else 0
        while len(held.states) > room:
            del held.states[next(iter(held.states))]


def _fault(arrival: Arrival[Any], error: Exception) -> Fault:
    partition, made_at, item = arrival
    raw = item.raw if isinstance(item, AuditEvent) else msgspec.json.encode(item)
    return Fault(partition, offset_of(made_at), f"folding failed: {error!r}", raw)


def damaged(stage: str, partition: int, parts: Sequence[str], error: Exception) -> Damaged:
    """What to say of a stored value that cannot be read."""
    names = ", ".join(key_name(stage, partition, part) for part in parts)
    return Damaged(
        f"what Redis holds under {names} cannot be read: {error}. Nothing was changed. Restore Redis from a backup, or "
        "delete these keys to let this state begin anew, and start the worker again."
    )


UNREADABLE = (ValueError, RecursionError)  # msgspec's errors and those of UTF-8 are ValueErrors
ENCODE = msgspec.msgpack.Encoder().encode
_POSITIONS = msgspec.msgpack.Decoder(Position)
