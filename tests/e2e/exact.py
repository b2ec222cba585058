"""What must stand in topics and Redis, whatever happened to the workers: the stages folded once over the same log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from alerting.alert import to_line
from streams.detections import Detections
from streams.kafka import EVENTS, FINDINGS
from streams.packet import Output, encode
from streams.pipeline import Correlate, Score
from streams.processor import Fault, Message, Processor
from streams.store import MemoryStateStore, Position
from streams.ticking import Ticking
from tests.e2e.logbook import Logbook


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
    for start in range(0, len(messages), 16):
        assert not await processor.step(messages[start : start + 16], detections)
    return made


async def assert_exact(book: Logbook, detections: Detections, ids: set[str]) -> None:
    """Fails unless topics and Redis hold exactly what one undisturbed worker makes of the same audit.events.

    `ids` are those of all events there must be. Normalise may have sent them twice; what follows may not show it.
    """
    await book.until("all events", lambda: book.event_ids >= ids)
    assert book.event_ids == ids
    await book.caught_up()
    score, correlate = await folded(book, EVENTS, detections), await folded(book, FINDINGS, detections)
    await _assert_stored(book, EVENTS, score.store)
    await _assert_stored(book, FINDINGS, correlate.store)
    origin = f"{EVENTS}/%d@{book.incarnations[EVENTS]}"
    assert book.signals == {(origin % each.partition, each.mark, encode(each.item)) for each in score.outputs}
    assert_same_alerts(book.alerts, {each.item.id: to_line(each.item) for each in correlate.outputs}, detections)
    assert not score.faults
    assert not correlate.faults


async def _assert_stored(book: Logbook, topic: str, wanted: MemoryStateStore) -> None:
    positions, values = await book.stored(topic)
    reached = {number: msgspec.msgpack.decode(mark, type=Position) for number, mark in wanted.marks.items()}
    assert {n: msgspec.structs.replace(position, ticks=0) for n, position in positions.items()} == reached
    found = {place: value for place, value in values.items() if not _is_due(place[1])}
    made = {place: value for place, value in wanted.values.items() if not _is_due(place[1])}
    assert found.keys() == made.keys()
    assert not [key for key in made if found[key] != made[key] and not _depends(key[1], made[key])]


def _is_due(key: str) -> bool:
    """Whether a key is of the agenda, which changes as time passes."""
    return key.startswith("agenda")


def _depends(key: str, value: bytes) -> bool:
    """Whether a state depends on more than its events: an entity's that knows of correlations does.

    How often a correlation speaks of a burst depends on where batches end; and time closes its windows.
    """
    if not key.startswith("e:"):
        return False
    entity = Correlate().unpack(key, [value])
    return bool(entity.windows.pack() or (entity.risk and any(episode.sizes for episode in entity.risk.episodes)))


def assert_same_alerts(found: Mapping[str, bytes], wanted: Mapping[str, bytes], detections: Detections) -> None:
    """Fails unless alerts say the same; those that wait for time to pass (absence, "less than") are left out."""
    told, due = _told(found), _told(wanted)
    waiting = {key for alerts in (told, due) for key, alert in alerts.items() if _waits(alert, detections)}
    assert {key: told[key] for key in told.keys() - waiting} == {key: due[key] for key in due.keys() - waiting}
    assert due.keys() - waiting, "nothing was compared"


def _told(alerts: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {key: orjson.loads(line) for key, line in alerts.items()}
    for alert in told.values():
        alert["detections"] = {finding["detection"] for finding in alert["findings"]}
        if any(finding["kind"] == "correlation" for finding in alert["findings"]):  # see `_depends`
            for name in ("count", "revision", "summary", "reasons", "findings"):
                del alert[name]
    return told


def _waits(alert: Mapping[str, Any], detections: Detections) -> bool:
    found = [detections.rules.correlation(detection) for detection in alert["detections"]]
    return any(each is not None and (each.timing != "prompt" or each.absent >= 0) for each in found)
