"""What travels between the agents: many items to one Kafka message, each with the place it came from.

A `mark` orders the items one input partition produced: (offset, item, ordinal) in one integer. The next stage keeps
the highest mark it has seen per origin, so an item emitted twice (a crash between emit and save) is seen once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar, final

import msgspec

from audit.event import AuditEvent
from audit.finding import Finding
from rules.correlation import Match
from streams.kafka import partition_of

Item = TypeVar("Item")

MAX_ITEMS = 256
MAX_BYTES = 1_000_000
"""A longer packet is halved, down to a single item."""
MAX_SIGNALS = 256
"""Ordinals one mark has room for."""


class Signal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What score tells correlate about one entity: a finding, or one event that counts towards a correlation."""

    entity: str
    finding: Finding | None = None
    match: Match | None = None


class Packet(msgspec.Struct, Generic[Item], array_like=True, frozen=True):
    """`items[i]` was made at `marks[i]` of the partition named by `origin` ("topic/partition@incarnation").

    `after` is the mark before these in the same sending, -1 in its first packet. A reader that has not seen it drops
    the packet: the one before was not stored, so its sender is bound to send both again.
    """

    origin: str
    marks: list[int]
    items: list[Item]
    after: int = -1


@final
class Control(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What people decided about the usual of a principal. It travels with the events, so that it has an offset, too.

    `learn` and `drop` are about what is held: the events of these codes (`principal.event_code`); `drop` also about all
    of since <= time < until. `forget` lets the usual begin anew. Times in microseconds; sent again, `id` is the same.
    """

    id: str
    kind: Literal["learn", "drop", "forget"]
    principal: str
    time: int
    by: str = ""
    why: str = ""
    events: tuple[int, ...] = ()
    since: int = 0
    until: int = 0


class EventPacket(Packet[AuditEvent], array_like=True, frozen=True):
    """What audit.events carries: events, or controls, which come from no partition: their `origin` is empty."""

    controls: tuple[Control, ...] = ()


class Output(NamedTuple, Generic[Item]):
    """An item on its way out: the partition it was made from, its mark there, and the key it goes by."""

    partition: int
    mark: int
    key: str
    item: Item


def mark(offset: int, item: int = 0, ordinal: int = 0) -> int:
    """One integer that sorts like (offset, item, ordinal); holds offsets below 2^35, 2^20 items, 2^8 ordinals."""
    return offset << 28 | item << 8 | ordinal


def item_of(made_at: int) -> int:
    """The item in a mark."""
    return made_at >> 8 & 0xFFFFF


def offset_of(made_at: int) -> int:
    """The offset in a mark."""
    return made_at >> 28


encode = msgspec.msgpack.Encoder().encode
decode_events = msgspec.msgpack.Decoder(EventPacket).decode
decode_signals = msgspec.msgpack.Decoder(Packet[Signal]).decode


def parcels(outputs: Sequence[Output[Any]], origins: Mapping[int, str], partitions: int) -> Iterator[tuple[int, bytes]]:
    """Packs outputs into (partition, payload) messages; what one origin sends to one partition keeps its order."""
    lanes: dict[tuple[str, int], list[Output[Any]]] = {}
    for output in outputs:
        lanes.setdefault((origins[output.partition], partition_of(output.key, partitions)), []).append(output)
    for (origin, target), lane in lanes.items():
        after = -1
        for start in range(0, len(lane), MAX_ITEMS):
            chunk = lane[start : start + MAX_ITEMS]
            for payload in _payloads(origin, after, chunk):
                yield target, payload
            after = chunk[-1].mark


def _payloads(origin: str, after: int, chunk: Sequence[Output[Any]]) -> Iterator[bytes]:
    payload = encode(Packet(origin, [output.mark for output in chunk], [output.item for output in chunk], after))
    if len(payload) <= MAX_BYTES or len(chunk) == 1:
        yield payload
        return
    half = len(chunk) // 2
    yield from _payloads(origin, after, chunk[:half])
    yield from _payloads(origin, chunk[half - 1].mark, chunk[half:])
