"""What must stand in topics and Redis, whatever happened to the workers: the stages folded once over the same log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alerting.alert import to_line
from rules.correlation import BETWEEN
from streams.detections import Detections
from streams.kafka import EVENTS, FINDINGS
from streams.packet import Output, encode
from streams.pipeline import Correlate, Score, Stored
from streams.processor import Fault, Message, Processor
from streams.store import MemoryStateStore, Position
from streams.ticking import Ticking
from tests.e2e.logbook import Logbook

EVERY = 16
"""Messages folded at once."""


@dataclass(slots=True)
class Folded:
    """What one stage makes of its topic, and the states it ends with."""

    outputs: list[Output[Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    store: MemoryStateStore = field(default_factory=MemoryStateStore)


async def folded(book: Logbook, topic: str, detections: Detections) -> Folded:
    """Folds the stage that reads a topic over all of it, undisturbed."""
    made = Folded()

    async def emit(outputs: Sequence[Output[Any]], faults: Sequence[Fault]) -> None:
        made.outputs += outputs
        made.faults += faults

    processor: Processor[Any, Any] = (
        Processor(Score(), made.store, emit) if topic == EVENTS else Ticking(Correlate(), made.store, emit)
    )
    for number in range(book.partitions(topic)):
        await processor.open(number)
        processor.begin(number, book.incarnations[topic], 0)
    messages = [Message(each.partition, each.offset, each.value or b"") for each in book.records[topic]]
    for start in range(0, len(messages), EVERY):
        assert not await processor.step(messages[start : start + EVERY], detections)
    if isinstance(processor, Ticking):
        await processor.tick(book.clock(), detections)
    return made


async def assert_exact(book: Logbook, detections: Detections, ids: set[str]) -> None:
    """Fails unless topics and Redis hold exactly what one undisturbed worker makes of the same audit.events.

    `ids` are those of all events there must be. Normalise may have sent them twice; what follows may not show it.
    What waits for time to pass is judged as of the newest event, once the worker has had time to hear of it.
    """
    await book.until("all events", lambda: book.event_ids >= ids)
    assert book.event_ids == ids
    await book.caught_up()
    await book.told_the_time()
    score, correlate = await folded(book, EVENTS, detections), await folded(book, FINDINGS, detections)
    await _assert_stored(book, EVENTS, score.store, detections)
    await _assert_stored(book, FINDINGS, correlate.store, detections)
    origin = f"{EVENTS}/%d@{book.incarnations[EVENTS]}"
    assert book.signals == {(origin % each.partition, each.mark, encode(each.item)) for each in score.outputs}
    wanted = {each.item.id: to_line(each.item) for each in correlate.outputs}
    with suppress(AssertionError):  # the last of them may be written and not be read yet
        await book.until("the same alerts", lambda: book.alerts == wanted, within=10.0)
    assert book.alerts == wanted
    assert wanted, "nothing was compared"
    assert not score.faults
    assert not correlate.faults


async def _assert_stored(book: Logbook, topic: str, wanted: MemoryStateStore, detections: Detections) -> None:
    positions, values = await book.stored(topic)
    reached = {number: msgspec.msgpack.decode(mark, type=Position) for number, mark in wanted.marks.items()}
    unticked = {number: msgspec.structs.replace(position, ticks=0) for number, position in reached.items()}
    assert {n: msgspec.structs.replace(position, ticks=0) for n, position in positions.items()} == unticked
    assert values.keys() == wanted.values.keys()
    assert not [
        place
        for place, value in wanted.values.items()
        if values[place] != value and _settled(values[place], place, detections) != _settled(value, place, detections)
    ]


def _settled(value: bytes, place: tuple[int, str], detections: Detections) -> Any:
    """A state without the windows that wait for time to pass: what they still keep of matches they have judged depends
    on when they were told the time; what they said does not, and is compared."""
    if not place[1].startswith("e:"):
        return value
    stored = msgspec.msgpack.decode(value, type=Stored)
    waiting = [key for key in stored.windows if _waits(key.partition(BETWEEN)[0], detections)]
    windows = {key: bytes(raw) for key, raw in stored.windows.items() if key not in waiting}
    return msgspec.structs.replace(stored, windows={}), list(windows.items())


def _waits(name: str, detections: Detections) -> bool:
    found = detections.rules.correlation(name)
    return found is not None and found.patience is not None
