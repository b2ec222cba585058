from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NoReturn

import pytest

from streams import shell
from streams.metrics import counted
from streams.processor import Message
from streams.shell import Shell
from streams.store import MemoryStateStore, Position
from tests.streams.counting import NO_DETECTIONS, adding, packed

TOPIC = "audit.sums"


class Halted(BaseException):
    """The process ended."""


class MemoryLog:
    """A log that holds the payloads from `start` on."""

    def __init__(self, *payloads: bytes) -> None:
        self.payloads = list(payloads)
        self.start = 0
        self.identity = "i1/1"
        self.away = 0

    def end(self) -> int:
        return self.start + len(self.payloads)

    def read(self, offset: int) -> list[Message]:
        return [Message(0, at, self.payloads[at - self.start]) for at in range(max(offset, self.start), self.end())]

    async def incarnation(self, topic: str) -> str:
        assert topic == TOPIC
        if self.away:
            self.away -= 1
            raise ConnectionError("no broker")
        return self.identity

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self.start, self.end()

    async def holds(self, topic: str, partition: int, offset: int) -> bool:
        return self.start <= offset < self.end()


class Rig:
    """A shell over a log and a store in memory, with what it asked for."""

    def __init__(self, log: MemoryLog, store: MemoryStateStore | None = None) -> None:
        self.log = log
        self.processor, self.store, self.sent = adding(store)
        self.rewound: list[int] = []
        self.shell = Shell(self.processor, TOPIC, log, self.rewound.append, self.halt)

    def halt(self, reason: str) -> NoReturn:
        raise Halted(reason)

    async def run(self, messages: Sequence[Message] | None = None) -> dict[int, int]:
        return await self.shell.run(self.log.read(0) if messages is None else messages, lambda: NO_DETECTIONS)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "PATIENCE", (0.0,))


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(*(packed(("a", 1), first=at) for at in range(5)))


async def test_the_first_batch_begins_at_the_log_s_start(log: MemoryLog) -> None:
    log.start = 100
    rig = Rig(log)
    assert await rig.run() == {0: 104}
    assert rig.store.values[0, "sum:a"] == b"5"
    assert rig.processor.owned[0] == Position("i1/1", 104, {"raw/0@a": 4})


async def test_the_next_worker_goes_on_where_the_store_stands(log: MemoryLog) -> None:
    first = Rig(log)
    await first.run(log.read(0)[:3])
    second = Rig(log, first.store)
    assert (await second.shell.open(0)).offset == 2
    assert await second.run() == {0: 4}
    assert second.store.values[0, "sum:a"] == b"5"
    assert second.sent.items == [("a", 4), ("a", 5)]


async def test_a_gap_asks_for_a_rewind_and_acknowledges_only_what_is_covered(log: MemoryLog) -> None:
    rig = Rig(log)
    messages = log.read(0)
    assert await rig.run([*messages[:2], *messages[3:]]) == {0: 1}
    assert rig.rewound == [0]
    assert not rig.processor.owned
    assert await rig.run(log.read((await rig.shell.open(0)).offset + 1)) == {0: 4}
    assert rig.store.values[0, "sum:a"] == b"5"


async def test_somebody_else_s_write_asks_for_a_rewind_and_nothing_is_acknowledged(log: MemoryLog) -> None:
    rig = Rig(log)
    await rig.run(log.read(0)[:1])
    other = Rig(log, rig.store)
    await other.run(log.read(0)[:3])
    assert await rig.run(log.read(0)[:2]) == {}
    assert rig.rewound == [0]
    assert rig.store.values[0, "sum:a"] == b"3"


async def test_a_store_that_came_back_older_is_seen_without_any_message(log: MemoryLog) -> None:
    rig = Rig(log)
    await rig.run(log.read(0)[:2])
    older = dict(rig.store.marks), dict(rig.store.values)
    await rig.run(log.read(2))
    await rig.shell.check()
    assert rig.rewound == []
    rig.store.marks, rig.store.values = older
    await rig.shell.check()
    assert rig.rewound == [0]
    assert await rig.run(log.read((await rig.shell.open(0)).offset + 1)) == {0: 4}
    assert rig.store.values[0, "sum:a"] == b"5"


async def test_another_log_under_the_same_name_ends_the_process(log: MemoryLog) -> None:
    rig = Rig(log)
    await rig.run()
    kept = dict(rig.store.values)
    log.identity = "i2/1"
    with pytest.raises(Halted, match=r"stored: i1/1, now: i2/1.*--adopt-new-log"):
        await rig.shell.open(0)
    assert rig.store.values == kept


async def test_another_log_is_adopted_when_asked_for(log: MemoryLog, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(log)
    await rig.run()
    new = MemoryLog(packed(("a", 10), origin="raw/0@b"))
    new.identity = "i2/1"
    again = Rig(new, rig.store)
    again.shell.adopt = True
    with caplog.at_level(logging.WARNING):
        assert await again.run() == {0: 0}
    assert "adopting the log" in caplog.text
    assert again.store.values[0, "sum:a"] == b"15"
    assert (await Rig(new, rig.store).shell.open(0)).incarnation == "i2/1"


@pytest.mark.parametrize(("start", "length"), [(7, 3), (0, 2)], ids=["retention", "cut"])
async def test_a_log_that_lost_messages_ends_the_process(log: MemoryLog, start: int, length: int) -> None:
    rig = Rig(log)
    await rig.run()
    log.start, log.payloads = start, log.payloads[:length]
    with pytest.raises(Halted, match=rf"go on at offset 5, but the log holds {start} to {start + length}"):
        await rig.shell.open(0)


async def test_a_log_whose_beginning_was_read_may_lose_it(log: MemoryLog) -> None:
    rig = Rig(log)
    await rig.run()
    log.start, log.payloads = 5, []
    assert (await rig.shell.open(0)).offset == 4


async def test_an_outage_is_sat_out(log: MemoryLog) -> None:
    rig = Rig(log)
    log.away = 3
    before = counted("errors", TOPIC)
    rig.sent.trouble = ConnectionError("no broker either")
    assert await rig.run() == {0: 4}
    assert counted("errors", TOPIC) == before + 4
    assert "no broker" in rig.shell.last_error
    assert rig.store.values[0, "sum:a"] == b"5"


async def test_damage_ends_the_process_with_its_place(log: MemoryLog) -> None:
    rig = Rig(log)
    rig.store.marks[0] = b"\xc1"
    for call in (rig.run(), rig.shell.open(0)):
        with pytest.raises(Halted, match=r"auditwatch:\{sums-0\}:position cannot be read"):
            await call
    rig = Rig(log)
    rig.store.values[0, "sum:a"] = b"junk"
    with pytest.raises(Halted, match=r"auditwatch:\{sums-0\}:sum:a"):
        await rig.run()


async def test_the_process_ends_cleanly_when_cancelled_in_an_outage(log: MemoryLog) -> None:
    rig = Rig(log)
    log.away = 10**9
    task = asyncio.create_task(rig.run())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not rig.processor.owned


async def test_detections_are_taken_anew_for_each_batch(log: MemoryLog) -> None:
    rig = Rig(log)
    taken: list[Any] = []

    def detections() -> Any:
        taken.append(None)
        return NO_DETECTIONS

    for message in log.read(0):
        await rig.shell.run([message], detections)
    assert len(taken) == 5


async def test_a_rebalance_forgets(log: MemoryLog) -> None:
    rig = Rig(log)
    await rig.run(log.read(0)[:2])
    rig.shell.forget({0, 9})
    assert not rig.processor.owned
    assert await rig.run() == {0: 4}


async def test_the_lag_is_what_is_not_folded_yet(log: MemoryLog) -> None:
    rig = Rig(log)
    await rig.run(log.read(0)[:2])
    assert rig.shell.lag({0: 5, 3: 9}) == {0: 3}
    assert rig.shell.lag({0: 1}) == {0: 0}
