"""What travels between the agents: many items to one Kafka message, each with the place it came from.

A `mark` orders the items one input partition produced: (offset, item, ordinal) in one integer. The next stage keeps
the highest mark it has seen per origin, so an item emitted twice (a crash between emit and save) is seen once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from audit.event import AuditEvent
from audit.finding import Finding
from rules.correlation import Match
from streams.kafka import partition_of

Item = TypeVar("Item")

MAX_ITEMS = 256
MAX_BYTES = 1_000_000
"""A packet is closed once its payload would pass this; a single larger item still travels alone."""


class Signal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What score tells correlate about one entity: a finding, or one event that counts towards a correlation."""

    entity: str
    finding: Finding | None = None
    match: Match | None = None


class Packet(msgspec.Struct, Generic[Item], array_like=True, frozen=True):
    """`items[i]` was made at `marks[i]` of the partition named by `origin` ("topic/partition@incarnation")."""

    origin: str
    marks: list[int]
    items: list[Item]


class Output(NamedTuple, Generic[Item]):
    """An item on its way out: the partition it was made from, its mark there, and the key it goes by."""

    partition: int
    mark: int
    key: str
    item: Item


def mark(offset: int, item: int = 0, ordinal: int = 0) -> int:
    """One integer that sorts like (offset, item, ordinal); holds offsets below 2^35, 2^20 items, 2^8 ordinals."""
    return offset << 28 | item << 8 | ordinal


encode = msgspec.msgpack.Encoder().encode
decode_events = msgspec.msgpack.Decoder(Packet[AuditEvent]).decode
decode_signals = msgspec.msgpack.Decoder(Packet[Signal]).decode


def parcels(outputs: Sequence[Output[Any]], origins: Mapping[int, str], partitions: int) -> Iterator[tuple[int, bytes]]:
    """Packs outputs into (partition, payload) messages; what one origin sends to one partition keeps its order."""
    lanes: dict[tuple[int, int], list[Output[Any]]] = {}
    for output in outputs:
        lanes.setdefault((output.partition, partition_of(output.key, partitions)), []).append(output)
    for (source, target), lane in lanes.items():
        for chunk in _chunks(lane):
            marks, items = [output.mark for output in chunk], [output.item for output in chunk]
            yield target, encode(Packet(origins[source], marks, items))


def _chunks(lane: list[Output[Any]]) -> Iterator[list[Output[Any]]]:
    chunk: list[Output[Any]] = []
    size = 0
    for output in lane:
        weight = len(output.item.raw) + 300 if isinstance(output.item, AuditEvent) else 1_000
        if chunk and (len(chunk) >= MAX_ITEMS or size + weight > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(output)
        size += weight
    yield chunk
