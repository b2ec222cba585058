"""The writer: safe before it returns while the ledger answers, never in the way when it does not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import pytest

from alerting import ledger_writer as module
from alerting.ledger import Decision
from alerting.ledger_store import LedgerAway
from alerting.ledger_writer import BATCH, LedgerWriter
from tests.alerting.test_ledger import a_decision


class Store:
    """Keeps what it is given, as `mood` lets it."""

    def __init__(self) -> None:
        self.kept: list[Decision] = []
        self.calls: list[int] = []
        self.mood: Exception | float | None = None

    async def append(self, decisions: Sequence[Decision]) -> int:
        if isinstance(self.mood, Exception):
            raise self.mood
        if self.mood:
            await asyncio.sleep(self.mood)
        self.calls.append(len(decisions))
        self.kept += decisions
        return len(decisions)

    @property
    def subjects(self) -> list[str]:
        return [decision.subject for decision in self.kept]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.02)
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    monkeypatch.setattr(module, "LAST", 0.2)


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.005)


async def test_it_is_safe_when_write_returns(store: Store) -> None:
    writer = LedgerWriter(store)
    for number in range(3):
        await writer.write(a_decision(number))
        assert store.subjects == [f"alert{one}" for one in range(number + 1)]
    await writer.close()


async def test_what_comes_together_is_written_together_and_in_order(store: Store) -> None:
    store.mood = 0.01
    writer = LedgerWriter(store)
    await asyncio.gather(*(writer.write(a_decision(number)) for number in range(BATCH + 50)))
    assert store.subjects == [f"alert{number}" for number in range(BATCH + 50)]
    assert len(store.calls) <= 4
    assert max(store.calls) <= BATCH


async def test_away_nobody_waits_and_nothing_is_lost(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.mood = LedgerAway("Redis is away")
    writer = LedgerWriter(store)
    started = time.perf_counter()
    for number in range(50):
        await writer.write(a_decision(number))
    assert time.perf_counter() - started < 0.5
    assert store.kept == []
    assert caplog.text.count("Redis is away") == 1
    store.mood = None
    await until(lambda: len(store.kept) == 50)
    assert store.subjects == [f"alert{number}" for number in range(50)]
    assert "the ledger is written again" in caplog.text
    await writer.write(a_decision(99))
    assert store.subjects[-1] == "alert99"


async def test_one_that_hangs_holds_nobody_up_for_long(store: Store) -> None:
    store.mood = 30.0
    writer = LedgerWriter(store)
    started = time.perf_counter()
    for number in range(20):
        await writer.write(a_decision(number))
    assert 0.05 < time.perf_counter() - started < 0.3
    await writer.close()


async def test_a_fault_is_survived(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.mood = KeyError("a fault of ours")
    writer = LedgerWriter(store)
    await writer.write(a_decision(1))
    store.mood = None
    await until(lambda: store.subjects == ["alert1"])
    assert "the ledger cannot be written" in caplog.text


async def test_what_has_no_room_is_counted_and_told_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    lost: list[int] = []
    store.mood = LedgerAway("Redis is away")
    writer = LedgerWriter(store, lost.append)
    for number in range(15):
        await writer.write(a_decision(number))
    assert sum(lost) == 5
    store.mood = None
    await until(lambda: len(store.kept) == 11)
    assert store.subjects[:10] == [f"alert{number}" for number in range(10)]
    told = store.kept[10]
    assert (told.kind, told.subject, told.details["decisions"]) == ("ledger", "lost", "5")


async def test_the_end_tries_once_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 30.0)
    store.mood = LedgerAway("Redis is away")
    writer = LedgerWriter(store)
    for number in range(BATCH + 5):
        await writer.write(a_decision(number))
    store.mood = None
    started = time.perf_counter()
    await writer.close()
    assert store.subjects == [f"alert{number}" for number in range(BATCH + 5)]
    assert time.perf_counter() - started < 0.2


async def test_a_fault_at_the_end(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.mood = KeyError("a fault of ours")
    writer = LedgerWriter(store)
    await writer.write(a_decision(1))
    await writer.close()
    assert "1 decisions are in no ledger" in caplog.text


async def test_the_end_does_not_wait_for_ever(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.mood = 30.0
    writer = LedgerWriter(store)
    await writer.write(a_decision(1))
    started = time.perf_counter()
    await writer.close()
    assert time.perf_counter() - started < 0.5
    assert "1 decisions are in no ledger" in caplog.text


async def test_the_end_does_not_rest_on_one_cancellation(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that swallows the first goes on, as redis-py may on Python 3.11."""
    monkeypatch.setattr(module, "AGAIN", 0.02)
    store.mood = LedgerAway("Redis is away")
    swallowed: list[object] = []

    async def retry(seconds: float) -> None:
        try:
            await real(seconds)
        except asyncio.CancelledError:
            if swallowed:
                raise
            swallowed.append(seconds)

    real = asyncio.sleep
    writer = LedgerWriter(store)
    await writer.write(a_decision(1))
    monkeypatch.setattr(asyncio, "sleep", retry)
    await real(0.03)
    await asyncio.wait_for(writer.close(), 2)
    assert swallowed


async def test_the_end_says_what_is_in_no_ledger(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    lost: list[int] = []
    store.mood = LedgerAway("Redis is away")
    writer = LedgerWriter(store, lost.append)
    await writer.write(a_decision(1))
    with caplog.at_level(logging.ERROR):
        await writer.close()
    assert "1 decisions are in no ledger: sent alert1" in caplog.text
    assert lost == [1]
    await LedgerWriter(store).close()
