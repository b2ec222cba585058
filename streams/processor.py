"""The shell around the pure stages: load, fold, emit, save. The worker, replay and the notebooks all run this one.

A stage is folded in order of offset. `step` hands over a batch; whatever goes wrong, the caller forgets the partition
and hands over the same messages again (`rewind`): positions and marks make the repetition harmless.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from streams.detections import Detections
from streams.packet import Packet
from streams.store import Entry, Position, StateStore, Write

Item = TypeVar("Item")
State = TypeVar("State")

CACHED = 5_000
"""States one processor keeps in memory; the rest is read again from the store when needed."""


class Message(NamedTuple):
    """One Kafka message as the shell sees it."""

    partition: int
    offset: int
    payload: bytes


class Arrival(NamedTuple, Generic[Item]):
    """One item of a message, with the mark that whatever is made from it will carry."""

    partition: int
    mark: int
    item: Item


class Fault(NamedTuple):
    """Something that could not be read or folded, with its place: bound for the dead letters."""

    partition: int
    offset: int
    error: str
    raw: bytes


class Verdict(NamedTuple):
    """What a stage makes of a batch: things to send on, things it could not digest, a score per event, repeats met."""

    outputs: list[Any]
    faults: list[Fault]
    scores: Sequence[tuple[str, float]] = ()
    repeats: int = 0


class Stage(Protocol[Item, State]):
    """One stage of the pipeline: two exist, score and correlate."""

    name: str

    def decode(self, payload: bytes) -> Packet[Item]:
        """The items of a message. Raises msgspec.DecodeError."""

    def key(self, item: Item) -> str:
        """The key of the state this item is folded into."""

    def parts(self, key: str) -> tuple[str, ...]:
        """The store's keys that make up the state."""

    def unpack(self, key: str, values: Sequence[bytes | None]) -> State:
        """The state from the values of its parts."""

    def pack(self, key: str, state: State) -> list[Entry]:
        """The parts of a state to be written."""

    def fold(self, arrivals: Sequence[Arrival[Item]], states: Mapping[str, State], detections: Detections) -> Verdict:
        """Folds a batch into the states in place, in order. Pure otherwise: no clock, no I/O."""


class Gap(Exception):
    """A partition's next message is not the one after its position, or its store moved on: forget and rewind."""

    def __init__(self, partition: int, reason: str) -> None:
        super().__init__(f"partition {partition}: {reason}")
        self.partition = partition


Emit = Callable[[Sequence[Any], Sequence[Fault]], Awaitable[None]]


class _Partition(Generic[State]):
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
        self._partitions: dict[int, _Partition[State]] = {}
        self.folded = 0
        self.repeats = 0

    @property
    def owned(self) -> dict[int, Position]:
        """The position of each partition that is in memory."""
        return {number: held.position for number, held in self._partitions.items()}

    def forget(self, partition: int) -> None:
        """Drops what memory knows of a partition: the store is read again before its next batch."""
        self._partitions.pop(partition, None)

    async def open(self, partition: int) -> Position | None:
        """Reads a partition's position anew; None when the store has none: then `begin` must follow."""
        (raw,) = await self._store.positions([partition])
        position = _POSITIONS.decode(raw) if raw else None
        self._partitions[partition] = _Partition(raw, position or Position("", -1, {}))
        return position

    def begin(self, partition: int, incarnation: str, start: int) -> Position:
        """Starts an opened partition at the log's first offset (saved with its first batch); states stay."""
        held = self._partitions[partition]
        held.position = Position(incarnation, start - 1, {})
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

        Returns a Gap for each partition that has to be rewound; the messages of all others are done with. An
        exception (store or broker out of reach) leaves every partition of the batch to be forgotten by the caller.
        """
        held = {number: self._partitions[number] for number in {message.partition for message in messages}}
        positions, arrivals, faults, gaps = self._admit(messages, held)
        states = await self._states(arrivals, held)
        verdict = self._stage.fold(arrivals, states, detections)
        self.folded += len(arrivals)
        self.repeats += verdict.repeats
        await self._emit(verdict.outputs, faults + verdict.faults)
        entries = self._packed(arrivals, states)
        writes = [
            Write(number, held[number].raw, _ENCODE(position), entries.get(number, []))
            for number, position in positions.items()
        ]
        saved = await self._store.save(writes) if writes else []
        for write, done in zip(writes, saved, strict=True):
            if done:
                self._keep(held[write.partition], write, positions[write.partition])
            else:
                gaps.append(Gap(write.partition, "somebody else wrote its state"))
        return gaps

    def _admit(
        self, messages: Sequence[Message], held: Mapping[int, _Partition[State]]
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
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            faults.append(Fault(number, offset, f"unreadable packet: {error}", payload))
            return Position(position.incarnation, offset, position.seen)
        high = position.seen.get(packet.origin, -1)
        for index, (mark, item) in enumerate(zip(packet.marks, packet.items, strict=False)):
            if mark > high:
                high = mark
                arrivals.append(Arrival(number, offset << 28 | index << 8, item))
        return Position(position.incarnation, offset, {**position.seen, packet.origin: high})

    async def _states(
        self, arrivals: Sequence[Arrival[Item]], held: Mapping[int, _Partition[State]]
    ) -> dict[str, State]:
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
            wanted = [(number, part) for key, number in missing.items() for part in parts_of(key)]
            values = iter(await self._store.load(wanted))
            for key, number in missing.items():
                state = self._stage.unpack(key, [next(values) for _ in parts_of(key)])
                states[key] = held[number].states[key] = state
        return states

    def _packed(self, arrivals: Sequence[Arrival[Item]], states: Mapping[str, State]) -> dict[int, list[Entry]]:
        key_of, pack = self._stage.key, self._stage.pack
        entries: dict[int, list[Entry]] = {}
        for key, number in {key_of(item): number for number, _, item in arrivals}.items():
            entries.setdefault(number, []).extend(pack(key, states[key]))
        return entries

    def _keep(self, held: _Partition[State], write: Write, position: Position) -> None:
        held.raw, held.position = write.position, position
        room = max(1, CACHED // len(self._partitions)) if self._partitions else 0
        while len(held.states) > room:
            del held.states[next(iter(held.states))]


_ENCODE = msgspec.msgpack.Encoder().encode
_POSITIONS = msgspec.msgpack.Decoder(Position)
