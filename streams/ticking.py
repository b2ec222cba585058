"""The processor of a stage whose states speak when time has come, whether or not something comes in: correlate.

What is due when stands in an agenda, one a partition, written together with the states. `tick` is a step without
messages: the same load, emit, save, under the same condition; what it emits bears ids made of keys and event time, so
that a tick repeated after a crash says nothing new.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from streams.agenda import INDEX, Agenda, name_of, pieces_named, read_agenda
from streams.clock import RETRY, Reading
from streams.detections import Detections
from streams.processor import ENCODE, UNREADABLE, Held, Moved, Processor, damaged
from streams.stage import Arrival, Emit, Fault, Gap, Item, Stage, State, Verdict
from streams.store import Entry, Position, StateStore, Write

log = logging.getLogger("auditwatch.ticking")

MOST_DUE = 500
"""States of a partition that speak in one write when their time has come."""


class TickingStage(Stage[Item, State], Protocol[Item, State]):
    """A stage whose states have things due."""

    def due(self, state: State) -> int | None:
        """When something is due next, in event time; None where nothing is."""

    def wake(self, key: str) -> Item:
        """An item that says nothing, for the state of this key."""

    def tick(self, arrival: Arrival[Item], state: State, now: Reading, detections: Detections) -> Verdict:
        """What follows for a state of time having come to `now`. Pure, as `fold` is."""


class Ticking(Processor[Item, State]):
    """A processor that can be told what time it is. `evicted` counts what had no room in the states."""

    def __init__(self, stage: TickingStage[Item, State], store: StateStore, emit: Emit) -> None:
        super().__init__(stage, store, emit)
        self._ticking = stage
        self._agendas: dict[int, Agenda] = {}
        self.evicted = 0

    def forget(self, partition: int) -> None:
        """See Processor."""
        super().forget(partition)
        self._agendas.pop(partition, None)

    async def open(self, partition: int) -> Position | None:
        """See Processor; also reads what is due."""
        position = await super().open(partition)
        self._agendas[partition] = await self._read_agenda(partition)
        return position

    async def _read_agenda(self, partition: int) -> Agenda:
        names = [INDEX]
        try:
            numbers = pieces_named(*await self._store.load([(partition, INDEX)]))
            names = [name_of(number) for number in numbers]
            return read_agenda(numbers, await self._store.load([(partition, name) for name in names]) if names else [])
        except UNREADABLE as error:
            raise damaged(self._stage.name, partition, names, error) from error

    def next_due(self) -> int | None:
        """The event time at which the first of the states has something due."""
        dues = (agenda.next() for agenda in self._agendas.values())
        return min((due for due in dues if due is not None), default=None)

    async def tick(self, now: Reading, detections: Detections) -> list[Gap]:
        """Lets the states speak that have something due at `now`, emits, saves, until nothing more is due.

        Errors and lost writes are those of `step`.
        """
        gaps: list[Gap] = []
        while due := self._due(now):
            try:
                gaps += await self._tick(due, now, detections)
            except Moved:
                gaps += [Gap(number, "its store moved") for number in due]
                self._forget_all(due)
            except BaseException:  # cancelled, too: what is in memory was changed, what is stored was not
                self._forget_all(due)
                raise
        return gaps

    def _forget_all(self, partitions: Iterable[int]) -> None:
        for number in partitions:
            self.forget(number)

    async def _tick(self, due: Mapping[int, Sequence[str]], now: Reading, detections: Detections) -> list[Gap]:
        held = {number: self._partitions[number] for number in due}
        arrivals = [Arrival(number, 0, self._ticking.wake(key)) for number, keys in due.items() for key in keys]
        states = await self._states(arrivals, held)
        verdicts = [(arrival, self._spoken(arrival, states, now, detections)) for arrival in arrivals]
        said = [verdict for _, verdict in verdicts if verdict]
        entries = self._packed([arrival for arrival, verdict in verdicts if verdict], states)
        self.evicted += sum(verdict.evicted for verdict in said)
        gaps, held = await self._claimed(entries, held)
        ours = [verdict for arrival, verdict in verdicts if verdict and arrival.partition in held]
        outputs = [output for verdict in ours for output in verdict.outputs]
        await self._emit(outputs, [fault for verdict in ours for fault in verdict.faults])
        return gaps + await self._save({number: entries[number] for number in held}, held)

    async def _claimed(
        self, entries: Mapping[int, Sequence[Entry]], held: Mapping[int, Held[State]]
    ) -> tuple[list[Gap], dict[int, Held[State]]]:
        """The partitions whose states are those in the store, which a write of their position proves.

        A step of somebody whose time is over says what the next owner says, too. A tick would not: it says what did
        not happen, and who has not heard of the latest must not.
        """
        claimed = {number: held[number] for number in entries}
        gaps = await self._save({number: [] for number in entries}, claimed)
        lost = {gap.partition for gap in gaps}
        return gaps, {number: one for number, one in claimed.items() if number not in lost}

    async def _save(self, entries: Mapping[int, Sequence[Entry]], held: Mapping[int, Held[State]]) -> list[Gap]:
        positions = {number: held[number].position.ticked() for number in entries}
        writes = [Write(n, held[n].raw, ENCODE(position), entries[n]) for n, position in positions.items()]
        return self._written(writes, await self._store.save(writes) if writes else [], held, positions)

    def _due(self, now: Reading) -> dict[int, list[str]]:
        due = {number: agenda.due(now.latest, MOST_DUE) for number, agenda in self._agendas.items()}
        return {number: keys for number, keys in due.items() if keys}

    def _spoken(
        self, arrival: Arrival[Item], states: dict[str, State], now: Reading, detections: Detections
    ) -> Verdict | None:
        """What one state says; None where its time had not come after all: it is asked again later.

        A state that fails stays as it was and is not asked again until something comes in for it.
        """
        key, agenda = self._stage.key(arrival.item), self._agendas[arrival.partition]
        before = {entry.key: entry.value for entry in self._stage.pack(key, states[key])}
        try:
            verdict = self._ticking.tick(arrival, states[key], now, detections)
            due = self._ticking.due(states[key])
        except Exception as error:
            log.exception("%s: %s failed when its time had come", self._stage.name, key)
            restored = self._stage.unpack(key, [before.get(part) for part in self._stage.parts(key)])
            self._partitions[arrival.partition].states[key] = states[key] = restored
            agenda.mute(key)
            fault = Fault(arrival.partition, 0, f"tick failed: {error!r}", key.encode("utf-8", "surrogatepass"))
            return Verdict([], [fault])
        if due == agenda.get(key) and not verdict.outputs:
            agenda.sleep(key, now.latest + RETRY)
            return None
        return verdict

    def _packed(self, arrivals: Sequence[Arrival[Item]], states: Mapping[str, State]) -> dict[int, list[Entry]]:
        entries = super()._packed(arrivals, states)
        for number, key in {(arrival.partition, self._stage.key(arrival.item)) for arrival in arrivals}:
            self._agendas[number].set(key, self._ticking.due(states[key]))
        for number, changed in entries.items():
            changed += self._agendas[number].entries()
        return entries

    async def _fold(
        self, arrivals: Sequence[Arrival[Item]], held: Mapping[int, Held[State]], detections: Detections
    ) -> tuple[Verdict, dict[int, list[Entry]]]:
        verdict, entries = await super()._fold(arrivals, held, detections)
        self.evicted += verdict.evicted
        return verdict, entries
