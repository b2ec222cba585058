from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from streams.clock import Reading
from streams.detections import Detections
from streams.packet import Packet
from streams.stage import Arrival, Damaged, Fault, Gap, Message, Verdict
from streams.store import Entry, MemoryStateStore, Write
from streams.ticking import Ticking
from tests.streams.counting import NO_DETECTIONS

Alarm = tuple[str, int]


class Alarms:
    """A stage whose state is the times at which it has to ring."""

    name = "alarms"

    def decode(self, payload: bytes) -> Packet[Alarm]:
        return msgspec.msgpack.decode(payload, type=Packet[Alarm])

    def key(self, item: Alarm) -> str:
        return item[0]

    def parts(self, key: str) -> tuple[str]:
        return (f"a:{key}",)

    def unpack(self, key: str, values: Sequence[bytes | None]) -> list[int]:
        return msgspec.msgpack.decode(values[0], type=list[int]) if values[0] else []

    def pack(self, key: str, state: list[int]) -> list[Entry]:
        return [Entry(f"a:{key}", msgspec.msgpack.encode(state), 60)]

    def fold(self, arrivals: Sequence[Arrival[Alarm]], states: Mapping[str, list[int]], _: Detections) -> Verdict:
        for arrival in arrivals:
            states[arrival.item[0]].append(arrival.item[1])
            states[arrival.item[0]].sort()
        return Verdict([], [], evicted=len(arrivals))

    def due(self, state: list[int]) -> int | None:
        return state[0] if state else None

    def wake(self, key: str) -> Alarm:
        return key, 0

    def tick(self, arrival: Arrival[Alarm], state: list[int], now: Reading, _: Detections) -> Verdict:
        if arrival.item[0] == "broken":
            state.clear()
            raise ValueError("broken")
        time = now(frozenset())
        rung = [due for due in state if due <= time]
        del state[: len(rung)]
        return Verdict([(arrival.item[0], due) for due in rung], [], evicted=len(rung))


class Sent:
    def __init__(self) -> None:
        self.items: list[Alarm] = []
        self.faults: list[Fault] = []
        self.trouble: BaseException | None = None

    async def __call__(self, outputs: Sequence[Any], faults: Sequence[Fault]) -> None:
        if self.trouble:
            raise self.trouble
        self.items += outputs
        self.faults += faults


def at(time: int, **sources: int) -> Reading:
    return Reading({"okta": time, **sources})


async def ringing(
    *alarms: Alarm, store: MemoryStateStore | None = None, sent: Sent | None = None
) -> tuple[Ticking[Alarm, list[int]], MemoryStateStore, Sent]:
    store, sent = store or MemoryStateStore(), sent or Sent()
    processor = Ticking(Alarms(), store, sent)
    position = await processor.open(0)
    if position is None:
        position = processor.begin(0, "a", 0)
    if alarms:
        marks = [*range(len(alarms))]
        payload = msgspec.msgpack.encode(Packet(f"x{position.offset}", marks, list(alarms)))
        assert await processor.step([Message(0, position.offset + 1, payload)], NO_DETECTIONS) == []
    return processor, store, sent


async def test_states_speak_when_their_time_has_come() -> None:
    processor, _, sent = await ringing(("a", 30), ("b", 10), ("a", 20))
    assert processor.next_due() == 10
    assert await processor.tick(at(9), NO_DETECTIONS) == []
    assert sent.items == []
    await processor.tick(at(20), NO_DETECTIONS)
    assert sent.items == [("b", 10), ("a", 20)]
    assert processor.next_due() == 30
    await processor.tick(at(30), NO_DETECTIONS)
    assert sent.items[2:] == [("a", 30)]
    assert processor.next_due() is None
    assert processor.evicted == 6


async def test_what_is_due_survives_a_restart() -> None:
    _, store, sent = await ringing(("a", 10), ("b", 20))
    processor, _, _ = await ringing(store=store, sent=sent)
    await processor.tick(at(10), NO_DETECTIONS)
    processor, _, _ = await ringing(store=store, sent=sent)
    assert processor.next_due() == 20
    await processor.tick(at(20), NO_DETECTIONS)
    assert sent.items == [("a", 10), ("b", 20)]
    assert set(store.values) == {(0, "a:a"), (0, "a:b")}


async def test_nothing_due_writes_nothing() -> None:
    processor, store, _ = await ringing(("a", 10))
    before = store.marks.copy()
    await processor.tick(at(5), NO_DETECTIONS)
    await processor.tick(at(10, github=4), NO_DETECTIONS)  # due by one source, not by the other
    assert store.marks == before


async def test_who_was_asked_too_early_is_asked_again_later() -> None:
    processor, _, sent = await ringing(("a", 10))
    second = 1_000_000
    await processor.tick(at(10, github=4), NO_DETECTIONS)
    await processor.tick(at(11, github=11), NO_DETECTIONS)
    assert sent.items == []
    await processor.tick(at(10 + 10 * second, github=11), NO_DETECTIONS)
    assert sent.items == [("a", 10)]


async def test_a_tick_changes_the_position_but_not_how_far_the_log_was_read() -> None:
    processor, store, _ = await ringing(("a", 10))
    before = processor.owned[0]
    mark = store.marks[0]
    await processor.tick(at(10), NO_DETECTIONS)
    assert processor.owned[0].offset == before.offset
    assert processor.owned[0].seen == before.seen
    assert processor.owned[0].ticks > before.ticks
    assert store.marks[0] != mark


async def test_who_has_not_heard_of_the_latest_says_nothing() -> None:
    stale, store, sent = await ringing(("a", 10))
    other, _, _ = await ringing(("a", 5), store=store, sent=sent)
    (gap,) = await stale.tick(at(10), NO_DETECTIONS)
    assert gap.partition == 0
    assert sent.items == []
    assert stale.owned == {}
    await other.tick(at(10), NO_DETECTIONS)
    assert sent.items == [("a", 5), ("a", 10)]


@pytest.mark.parametrize("trouble", [ConnectionError("gone"), KeyboardInterrupt()])
async def test_what_could_not_be_sent_is_said_again(trouble: BaseException) -> None:
    processor, store, sent = await ringing(("a", 10))
    sent.trouble = trouble
    with pytest.raises(type(trouble)):
        await processor.tick(at(10), NO_DETECTIONS)
    assert processor.owned == {}
    sent.trouble = None
    processor, _, _ = await ringing(store=store, sent=sent)
    await processor.tick(at(10), NO_DETECTIONS)
    assert sent.items == [("a", 10)]


class Losing(MemoryStateStore):
    """Takes the claim of a tick and nothing after."""

    lost = -1

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        self.lost -= 1
        return [False] * len(writes) if self.lost == 0 else await super().save(writes)


async def test_a_lost_write_is_a_gap() -> None:
    store = Losing()
    processor, _, sent = await ringing(("a", 10), store=store)
    store.lost = 2
    gaps = await processor.tick(at(10), NO_DETECTIONS)
    assert [type(gap) for gap in gaps] == [Gap]
    assert sent.items == [("a", 10)]
    processor, _, _ = await ringing(store=store, sent=sent)
    await processor.tick(at(10), NO_DETECTIONS)
    assert sent.items == [("a", 10), ("a", 10)]


async def test_a_state_that_fails_stays_as_it_was_and_holds_nobody_up() -> None:
    processor, store, sent = await ringing(("broken", 10), ("a", 10))
    await processor.tick(at(10), NO_DETECTIONS)
    await processor.tick(at(20), NO_DETECTIONS)
    assert sent.items == [("a", 10)]
    assert [fault.error for fault in sent.faults] == ["tick failed: ValueError('broken')"]
    assert msgspec.msgpack.decode(store.values[0, "a:broken"]) == [10]


async def test_many_are_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.ticking.MOST_DUE", 3)
    processor, _, sent = await ringing(*((f"k{at}", at) for at in range(10)))
    await processor.tick(at(10), NO_DETECTIONS)
    assert sent.items == [(f"k{one}", one) for one in range(10)]


async def test_an_agenda_that_cannot_be_read_is_said() -> None:
    _, store, _ = await ringing(("a", 10))
    store.values[0, "agenda:0"] = b"\xc1"
    with pytest.raises(Damaged, match="agenda:0"):
        await ringing(store=store)


async def test_a_store_that_came_back_older_is_noticed() -> None:
    processor, store, sent = await ringing(("a", 10))
    older = store.marks.copy(), store.values.copy()
    await processor.tick(at(10), NO_DETECTIONS)
    processor._partitions[0].states.clear()
    store.marks, store.values = older
    marks = [5]
    payload = msgspec.msgpack.encode(Packet("y", marks, [("a", 50)]))
    gaps = await processor.step([Message(0, 1, payload)], NO_DETECTIONS)
    assert len(gaps) == 1
    processor, _, _ = await ringing(store=store, sent=sent)
    await processor.tick(at(10), NO_DETECTIONS)
    assert sent.items == [("a", 10), ("a", 10)]
