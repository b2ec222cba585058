from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from streams import processor as shell
from streams.packet import mark
from streams.processor import Damaged, Fault, Message, Processor
from streams.store import POSITION, MemoryStateStore, Position, Write
from tests.streams.counting import BUG, NO_DETECTIONS, Item, adding, packed


async def opened(adding: Processor[Item, Any], *partitions: int) -> None:
    for partition in partitions:
        if await adding.open(partition) is None:
            adding.begin(partition, "a", 0)


def messages(partition: int, *payloads: bytes, start: int = 0) -> list[Message]:
    return [Message(partition, start + at, payload) for at, payload in enumerate(payloads)]


def position(store: MemoryStateStore, partition: int = 0) -> Position:
    return shell._POSITIONS.decode(store.marks[partition])


async def test_a_batch_is_folded_sent_and_saved_with_its_position() -> None:
    processor, store, sent = adding()
    await opened(processor, 0)
    batch = messages(0, packed(("a", 1), ("b", 2)), packed(("a", 3), first=2))
    assert await processor.step(batch, NO_DETECTIONS) == []
    assert sent.items == [("a", 1), ("b", 2), ("a", 4)]
    assert store.values == {(0, "sum:a"): b"4", (0, "last:a"): b"3", (0, "sum:b"): b"2", (0, "last:b"): b"2"}
    assert position(store) == processor.owned[0] == Position("a", 1, {"raw/0@a": 2})
    assert processor.folded == 3


async def test_marks_are_those_of_this_log_not_of_the_one_before() -> None:
    processor, _, _ = adding()
    made: list[int] = []

    async def emit(outputs: Sequence[Any], faults: Sequence[Fault]) -> None:
        made.extend(output.mark for output in outputs)

    processor._emit = emit
    await opened(processor, 0)
    batch = messages(0, packed(("a", 1), ("a", 2), first=900), packed(("a", 3), first=902))
    await processor.step(batch, NO_DETECTIONS)
    assert made == [mark(0, 0), mark(0, 1), mark(1, 0)]


async def test_what_was_folded_is_skipped_and_what_was_sent_twice_counts_once() -> None:
    processor, store, sent = adding()
    await opened(processor, 0)
    batch = messages(0, packed(("a", 1)), packed(("a", 10), first=1))
    await processor.step(batch, NO_DETECTIONS)
    await processor.step(batch, NO_DETECTIONS)
    again = messages(0, packed(("a", 1), ("a", 10)), packed(("a", 10), ("a", 100), first=1), start=2)
    await processor.step(again, NO_DETECTIONS)
    assert store.values[0, "sum:a"] == b"111"
    assert sent.items == [("a", 1), ("a", 11), ("a", 111)]
    assert position(store).seen == {"raw/0@a": 2}


async def test_origins_do_not_hide_each_other() -> None:
    processor, store, _ = adding()
    await opened(processor, 0)
    batch = messages(
        0, packed(("a", 1), first=9), packed(("a", 2), origin="raw/1@a"), packed(("a", 4), origin="raw/0@b")
    )
    await processor.step(batch, NO_DETECTIONS)
    assert store.values[0, "sum:a"] == b"7"
    assert position(store).seen == {"raw/0@a": 9, "raw/1@a": 0, "raw/0@b": 0}


async def test_a_packet_that_overtook_the_one_before_it_waits_for_its_next_sending() -> None:
    processor, store, _ = adding()
    await opened(processor, 0)
    second = packed(("a", 10), first=1, after=0)
    await processor.step(messages(0, second), NO_DETECTIONS)
    assert "sum:a" not in {key for _, key in store.values}
    assert position(store) == Position("a", 0, {})
    await processor.step(messages(0, packed(("a", 1)), second, start=1), NO_DETECTIONS)
    assert store.values[0, "sum:a"] == b"11"


async def test_a_gap_is_told_and_what_comes_before_it_is_folded() -> None:
    processor, store, _ = adding()
    await opened(processor, 0, 1)
    batch = [*messages(0, packed(("a", 1))), *messages(0, packed(("a", 2), first=1), start=2)]
    batch += [*messages(0, packed(("a", 4), first=2), start=3), *messages(1, packed(("b", 1)))]
    (gap,) = await processor.step(batch, NO_DETECTIONS)
    assert (gap.partition, str(gap)) == (0, "partition 0: expected offset 1, got 2")
    assert store.values[0, "sum:a"] == b"1"
    assert store.values[1, "sum:b"] == b"1"
    assert processor.owned[0].offset == 0


async def test_who_lost_the_write_forgets_only_that_partition() -> None:
    processor, store, _ = adding()
    other, _, _ = adding(store)
    await opened(processor, 0, 1)
    await opened(other, 0)
    await other.step(messages(0, packed(("a", 1))), NO_DETECTIONS)
    processor._partitions[0].states["a"] = [0, 0]  # as if it had been here before
    gaps = await processor.step([*messages(0, packed(("a", 1))), *messages(1, packed(("b", 1)))], NO_DETECTIONS)
    assert [gap.partition for gap in gaps] == [0]
    assert processor.owned.keys() == {1}
    assert store.values[0, "sum:a"] == b"1"


async def test_states_of_another_position_are_not_used() -> None:
    processor, store, sent = adding()
    other, _, _ = adding(store)
    await opened(processor, 0, 1)
    await opened(other, 0)
    await other.step(messages(0, packed(("a", 1))), NO_DETECTIONS)
    batch = [*messages(0, packed(("a", 1))), *messages(1, packed(("b", 1)))]
    assert {gap.partition for gap in await processor.step(batch, NO_DETECTIONS)} == {0, 1}
    assert sent.items == []
    assert not processor.owned


@pytest.mark.parametrize("trouble", [ConnectionError("gone"), asyncio.CancelledError()])
async def test_whatever_goes_wrong_the_batch_can_be_handed_over_again(trouble: BaseException) -> None:
    processor, store, sent = adding()
    await opened(processor, 0, 1)
    batch = [*messages(0, packed(("a", 1))), *messages(1, packed(("b", 1)))]
    await processor.step(batch[:1], NO_DETECTIONS)
    sent.trouble = trouble
    more = [*messages(0, packed(("a", 10), first=1), start=1), *batch[1:]]
    with pytest.raises(type(trouble)):
        await processor.step(more, NO_DETECTIONS)
    assert not processor.owned
    await opened(processor, 0, 1)
    await processor.step(more, NO_DETECTIONS)
    assert (store.values[0, "sum:a"], store.values[1, "sum:b"]) == (b"11", b"1")


class LostAnswer(MemoryStateStore):
    async def save(self, writes: Sequence[Write]) -> list[bool]:
        await super().save(writes)
        raise ConnectionError("written, but nobody heard")


async def test_a_write_whose_answer_is_lost_is_not_repeated() -> None:
    processor, store, _ = adding(LostAnswer())
    await opened(processor, 0)
    batch = messages(0, packed(("a", 1)))
    with pytest.raises(ConnectionError):
        await processor.step(batch, NO_DETECTIONS)
    assert (await processor.open(0)) == Position("a", 0, {"raw/0@a": 0})
    await processor.step(batch, NO_DETECTIONS)
    assert store.values[0, "sum:a"] == b"1"


async def test_what_cannot_be_read_is_a_fault_with_its_bytes_and_place() -> None:
    processor, store, sent = adding()
    await opened(processor, 2)
    await processor.step(messages(2, packed(("a", 1)), b"junk", packed(("a", 2), first=1)), NO_DETECTIONS)
    ((partition, offset, error, raw),) = sent.faults
    assert (partition, offset, raw) == (2, 1, b"junk")
    assert error.startswith("unreadable packet: ")
    assert store.values[2, "sum:a"] == b"3"
    assert position(store, 2).offset == 2


@pytest.mark.parametrize("alone", [True, False])
async def test_an_item_that_cannot_be_folded_is_put_aside(alone: bool) -> None:
    processor, store, sent = adding()
    await opened(processor, 0)
    payloads = [packed(("a", 1)), packed(("a", BUG), first=1), packed(("b", 5), ("a", 2), first=2)]
    batch = messages(0, *payloads)
    for part in [[each] for each in batch] if alone else [batch]:
        await processor.step(part, NO_DETECTIONS)
    assert sent.faults == [Fault(0, 1, "folding failed: RuntimeError('a bug')", b'["a",666]')]
    assert sent.items == [("a", 1), ("b", 5), ("a", 3)]
    assert store.values[0, "sum:a"] == b"3"
    await processor.step(messages(0, packed(("a", 7), first=4), start=3), NO_DETECTIONS)
    assert store.values[0, "sum:a"] == b"10", "what is in memory is right, too"


async def test_where_everything_fails_it_is_the_program_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "MOST_FAILING", 3)
    processor, store, sent = adding()
    await opened(processor, 0)
    bugs = messages(0, *(packed(("a", BUG), first=at) for at in range(9)))
    await processor.step(bugs[:3], NO_DETECTIONS)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a bug"):
            await processor.step(bugs[3:], NO_DETECTIONS)
        await opened(processor, 0)
    assert position(store).offset == 2
    assert len(sent.faults) == 3
    await processor.step(messages(0, packed(("a", 1), first=3), start=3), NO_DETECTIONS)
    await processor.step(messages(0, packed(("a", BUG), first=4), start=4), NO_DETECTIONS)
    assert len(sent.faults) == 4, "one that is folded begins the count anew"


async def test_the_store_is_read_once_for_what_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    processor, store, _ = adding()
    loads: list[Sequence[tuple[int, str]]] = []
    load = store.load

    async def counted(wanted: Sequence[tuple[int, str]]) -> list[bytes | None]:
        loads.append(wanted)
        return list(await load(wanted))

    store.load = counted
    monkeypatch.setattr(shell, "CACHED", 2)
    await opened(processor, 0)
    for offset, keys in enumerate(["ab", "ab", "ca", "b"]):
        items = [(key, 1) for key in keys]
        await processor.step(messages(0, packed(*items, first=10 * offset), start=offset), NO_DETECTIONS)
    asked = [[key for _, key in wanted if key != POSITION and key.startswith("sum:")] for wanted in loads]
    assert asked == [["sum:a", "sum:b"], ["sum:c"], ["sum:b"]]
    assert store.values[0, "sum:b"] == b"3"


async def test_adopting_another_log_keeps_states_and_marks() -> None:
    processor, store, _ = adding()
    await opened(processor, 0)
    await processor.step(messages(0, packed(("a", 1), ("a", 2))), NO_DETECTIONS)
    await processor.open(0)
    assert processor.begin(0, "b", 40) == Position("b", 39, {"raw/0@a": 1})
    again = packed(("a", 2), ("a", 4), first=1)
    assert await processor.step(messages(0, again, start=40), NO_DETECTIONS) == []
    assert store.values[0, "sum:a"] == b"7"
    assert position(store) == Position("b", 40, {"raw/0@a": 2})


async def test_a_store_that_moved_is_noticed() -> None:
    processor, store, _ = adding()
    await opened(processor, 0, 1)
    await processor.step(messages(0, packed(("a", 1))), NO_DETECTIONS)
    assert await processor.moved() == []
    before = dict(store.marks)
    await processor.step(messages(0, packed(("a", 1), first=1), start=1), NO_DETECTIONS)
    store.marks = before
    assert await processor.moved() == [0]
    store.marks = {}
    assert await processor.moved() == [0]


async def test_a_position_nobody_can_read_stops_with_its_key() -> None:
    processor, store, _ = adding()
    store.marks[4] = b"\xc1"
    with pytest.raises(Damaged, match=r"auditwatch:\{sums-4\}:position cannot be read: .* delete these keys"):
        await processor.open(4)


async def test_a_state_nobody_can_read_stops_with_its_keys_and_changes_nothing() -> None:
    processor, store, sent = adding()
    store.values[0, "sum:a"] = b"junk"
    await opened(processor, 0)
    with pytest.raises(Damaged, match=r"auditwatch:\{sums-0\}:sum:a, auditwatch:\{sums-0\}:last:a cannot be read"):
        await processor.step(messages(0, packed(("b", 1), ("a", 1))), NO_DETECTIONS)
    assert (sent.items, store.marks) == ([], {})
    assert not processor.owned


async def test_forgetting_in_the_middle_of_a_step_leaves_nothing_behind() -> None:
    """A rebalance does not wait for the batch under way."""
    processor, store, _ = adding()
    release = asyncio.Event()

    async def slow(outputs: Sequence[Any], faults: Sequence[Fault]) -> None:
        await release.wait()

    processor._emit = slow
    await opened(processor, 0)
    step = asyncio.create_task(processor.step(messages(0, packed(("a", 1))), NO_DETECTIONS))
    await asyncio.sleep(0)
    processor.forget(0)
    release.set()
    assert await step == []
    assert not processor.owned
    assert await processor.open(0) == Position("a", 0, {"raw/0@a": 0})
    assert store.values[0, "sum:a"] == b"1"
