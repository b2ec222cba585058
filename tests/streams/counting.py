"""A stage small enough to see through, for the tests of the processor and the shell: it adds numbers up by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from streams.detections import Detections
from streams.packet import Output, Packet, encode
from streams.processor import Arrival, Fault, Processor, Verdict
from streams.store import DAY, Entry, MemoryStateStore, StateStore

Item = tuple[str, int]
NO_DETECTIONS: Detections = None  # type: ignore[assignment]  # this stage asks for none
BUG = 666


class Sums:
    """State of a key: [sum]. Each item is sent on with the sum it led to; the number BUG is a bug half-way through."""

    name = "sums"

    def decode(self, payload: bytes) -> Packet[Item]:
        return _PACKETS.decode(payload)

    def key(self, item: Item) -> str:
        return item[0]

    def parts(self, key: str) -> tuple[str, str]:
        return f"sum:{key}", f"last:{key}"

    def unpack(self, key: str, values: Sequence[bytes | None]) -> list[int]:
        return [int(value or b"0") for value in values]

    def pack(self, key: str, state: list[int]) -> list[Entry]:
        return [Entry(part, b"%d" % value, DAY) for part, value in zip(self.parts(key), state, strict=True)]

    def due(self, state: list[int]) -> int | None:
        return None

    def fold(
        self, arrivals: Sequence[Arrival[Item]], states: Mapping[str, list[int]], detections: Detections
    ) -> Verdict:
        outputs = []
        for partition, mark, (key, number) in arrivals:
            states[key][0] += number
            if number == BUG:
                raise RuntimeError("a bug")
            states[key][1] = number
            outputs.append(Output(partition, mark, key, (key, states[key][0])))
        return Verdict(outputs, [])


class Sent:
    """Where outputs go; `trouble` is raised instead when it is set."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.faults: list[Fault] = []
        self.trouble: BaseException | None = None

    async def __call__(self, outputs: Sequence[Output[Any]], faults: Sequence[Fault]) -> None:
        if self.trouble:
            trouble, self.trouble = self.trouble, None
            raise trouble
        self.items += [output.item for output in outputs]
        self.faults += faults


def packed(*items: Item, origin: str = "raw/0@a", first: int = 0, after: int = -1) -> bytes:
    """A packet of items with marks from `first` on."""
    return encode(Packet(origin, list(range(first, first + len(items))), list(items), after))


def adding(store: StateStore | None = None) -> tuple[Processor[Item, list[int]], Any, Sent]:
    """A processor of sums, its store and what it sent."""
    store, sent = store or MemoryStateStore(), Sent()
    return Processor(Sums(), store, sent), store, sent


_PACKETS = msgspec.msgpack.Decoder(Packet[Item])
