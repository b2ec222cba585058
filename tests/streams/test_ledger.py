"""The ledger's upkeep: anchors where Redis' owner is not, old records in files, and what a process runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from alerting import ledger_store
from alerting.ledger import Decision, Key, keys_of, read_record
from alerting.ledger_store import LedgerAway, RedisLedger
from alerting.ledger_verify import read_anchors, verify
from audit.finding import Version
from streams import ledger as module
from streams.embedded import RedisServer
from streams.ledger import (
    ANCHORS,
    Kept,
    Running,
    Withheld,
    by_process,
    changes,
    ledger_of,
    login,
    note,
    put_away_lines,
    writing,
)
from streams.metrics import count
from streams.settings import Settings

SECRET = "0123456789abcdef0123456789abcdef"
MINUTE = 60_000_000


@pytest.fixture
async def settings(redis_server: RedisServer, tmp_path: Path) -> Settings:
    settings = Settings(redis=redis_server.url, ledger=tmp_path / "ledger", ledger_key=SECRET)
    store = ledger_of(settings)
    await store._client.flushdb()
    await store.close()
    return settings


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[RedisLedger]:
    store = ledger_of(settings)
    yield store
    await store.close()


def some(first: int, last: int) -> list[Decision]:
    return [Decision("sent", f"alert{number}", number, "dispatcher") for number in range(first, last + 1)]


class Time:
    now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def kept(settings: Settings, time: Time) -> AsyncIterator[Kept]:
    kept = Kept(settings, "dispatcher", time)
    yield kept
    await kept.close()


async def everything(settings: Settings, store: RedisLedger) -> list[bytes]:
    first = (await store.span()).first
    return [*put_away_lines(settings.ledger, 1, first), *[line async for line in store.lines()]]


class TestAnchors:
    def anchors(self, settings: Settings) -> list[int]:
        file = settings.ledger / ANCHORS
        return [head.seq for head in read_anchors(file.read_text().splitlines())] if file.exists() else []

    async def test_at_once_then_every_ten_minutes_if_anything_was_written(
        self, settings: Settings, store: RedisLedger, kept: Kept, time: Time
    ) -> None:
        await kept.look()
        assert self.anchors(settings) == []
        await store.append(some(1, 3))
        for minute, expected in ((0, [3]), (9, [3]), (11, [3, 5]), (25, [3, 5])):
            time.now = minute * MINUTE
            await kept.look()
            assert self.anchors(settings) == expected
            if minute == 0:
                await store.append(some(4, 5))

    async def test_many_records_do_not_wait(
        self, settings: Settings, store: RedisLedger, kept: Kept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "ANCHOR_RECORDS", 4)
        await store.append(some(1, 1))
        await kept.look()
        await store.append(some(2, 5))
        await kept.look()
        assert self.anchors(settings) == [1, 5]

    async def test_the_log_has_them_too(
        self, settings: Settings, store: RedisLedger, kept: Kept, caplog: pytest.LogCaptureFixture
    ) -> None:
        await store.append(some(1, 3))
        with caplog.at_level(logging.INFO, logger="auditwatch.ledger"):
            await kept.look()
        lines = [line async for line in store.lines()]
        assert read_anchors(caplog.messages) == [verify(lines, keys_of(SECRET)).last]

    async def test_a_folder_that_cannot_be_written(self, settings: Settings, store: RedisLedger, time: Time) -> None:
        settings.ledger.write_text("a file")
        await store.append(some(1, 1))
        kept = Kept(settings, "dispatcher", time)
        with pytest.raises(OSError, match="exists"):
            await kept.look()
        await kept.close()

    async def test_a_ledger_behind_what_was_written_is_told_of(
        self, store: RedisLedger, kept: Kept, caplog: pytest.LogCaptureFixture
    ) -> None:
        for decision in some(1, 3):
            await kept.ledger.write(decision)
        await store._client.flushdb()
        await kept.ledger.write(some(4, 4)[0])
        await kept.look()
        assert "does not hold record 3, which this process wrote" in caplog.text
        last = read_record((await store.newest(1))[0])
        assert (last.kind, last.subject, last.details["written"]) == ("ledger", "behind", "3")
        await kept.look()
        assert len(await store.newest(10)) == 2


class TestPuttingAway:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger_store, "SEGMENT", 4)
        monkeypatch.setattr(module, "SEGMENT", 4)
        monkeypatch.setattr(module, "KEPT", 2)

    async def test_redis_keeps_few_and_nothing_is_lost(
        self, settings: Settings, store: RedisLedger, kept: Kept
    ) -> None:
        for first in range(1, 41, 5):
            await store.append(some(first, first + 4))
            await kept.look()
        span = await store.span()
        assert span.head.seq - span.first < (2 + 1) * 4
        lines = await everything(settings, store)
        report = verify(lines, keys_of(SECRET))
        assert (report.problems, report.first) == ([], 1)
        told = [read_record(line) for line in lines]
        assert [one.subject for one in told if one.kind == "sent"] == [f"alert{number}" for number in range(1, 41)]
        files = sorted(file.name for file in settings.ledger.glob("records-*"))
        assert files[0] == "records-000000000001-000000000004.jsonl.gz"
        assert len(files) == (span.first - 1) // 4

    async def test_what_is_left_is_sound_without_the_files(
        self, settings: Settings, store: RedisLedger, kept: Kept
    ) -> None:
        await store.append(some(1, 20))
        await kept.look()
        lines = [line async for line in store.lines()]
        assert (await store.span()).first > 1
        assert verify(lines, keys_of(SECRET)).sound
        next(settings.ledger.glob("records-*")).unlink()
        assert not verify(await everything(settings, store), keys_of(SECRET)).sound

    async def test_broken_off_between_record_and_removal(
        self, settings: Settings, store: RedisLedger, kept: Kept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(self: RedisLedger, through: int) -> None:
            raise LedgerAway("Redis is away")

        await store.append(some(1, 14))
        with monkeypatch.context() as patch:
            patch.setattr(RedisLedger, "drop", broken)
            with pytest.raises(LedgerAway):
                await kept.look()
        assert (await store.span()).first == 1
        await kept.look()
        lines = await everything(settings, store)
        assert verify(lines, keys_of(SECRET)).sound
        assert sum(read_record(line).subject == "trimmed" for line in lines) == 1

    async def test_a_segment_somebody_removed_stops_nothing_and_is_found(
        self, settings: Settings, store: RedisLedger, kept: Kept, caplog: pytest.LogCaptureFixture
    ) -> None:
        await store.append(some(1, 20))
        await store._client.delete(store._segment(0))
        await kept.look()
        assert (await store.span()).first > 4
        assert "removed or changed in Redis" in caplog.text
        assert not verify(await everything(settings, store), keys_of(SECRET)).sound

    async def test_a_part_of_them(self, settings: Settings, store: RedisLedger, kept: Kept) -> None:
        await store.append(some(1, 24))
        await kept.look()
        numbers = [read_record(line).seq for line in put_away_lines(settings.ledger, 5, 12)]
        assert numbers == list(range(5, 13))

    async def test_a_broken_file_is_named(self, settings: Settings, store: RedisLedger, kept: Kept) -> None:
        await store.append(some(1, 20))
        await kept.look()
        file = next(settings.ledger.glob("records-*"))
        for broken in (file.read_bytes()[:-20], b"no gzip", file.read_bytes()[:30] + b"x" * 30):
            file.write_bytes(broken)
            with pytest.raises(OSError, match=file.name):
                list(put_away_lines(settings.ledger, 1, 100))

    def test_no_folder(self, tmp_path: Path) -> None:
        assert list(put_away_lines(tmp_path / "none", 1, 100)) == []


class TestWhatRuns:
    def test_only_what_changed(self) -> None:
        before, after = Version("r1", "m1", "c1"), Version("r2", "m1", "c2")
        told = changes(before, after, 5, "worker on host")
        assert [(one.kind, one.details) for one in told] == [
            ("rules", {"from": "r1", "to": "r2"}),
            ("context", {"from": "c1", "to": "c2"}),
        ]
        assert changes(after, after, 5, "worker") == []

    async def test_a_process_tells_what_it_runs_and_what_it_takes(self, settings: Settings, store: RedisLedger) -> None:
        async with writing(settings) as ledger:
            running = Running(ledger, "worker on host", lambda: 7, Version("r1", "m1", "c1"))
            await running.began()
            await running.took(Version("r1", "m2", "c1"))
            await running.took(Version("r1", "m1", "c1"))
        records = [read_record(line) for line in await store.newest(10)]
        assert [(one.kind, one.subject, one.details) for one in records] == [
            ("started", "worker", {"rules": "r1", "models": "m1", "context": "c1"}),
            ("models", "taken", {"from": "m1", "to": "m2"}),
            ("models", "taken", {"from": "m2", "to": "m1"}),
        ]
        assert {one.by for one in records} == {"worker on host"}

    def test_who(self) -> None:
        assert by_process("worker").startswith("worker on ")
        assert login()


class TestWithheld:
    async def test_sums_since_the_last_time(self, settings: Settings, store: RedisLedger) -> None:
        count("excused", "before", 7)
        async with writing(settings) as ledger:
            withheld = Withheld(ledger, "worker on host", lambda: 7)
            await withheld.tell()
            count("excused", "root_login", 3)
            count("explained", "root_login")
            await withheld.tell()
            await withheld.tell()
            count("excused", "root_login", 2)
            await withheld.tell()
        told = [read_record(line) for line in await store.newest(1_000)]
        assert {one.kind for one in told} == {"withheld"}
        assert [one.details for one in told if one.subject == "root_login"] == [
            {"excused": "3"}, {"explained": "1"}, {"excused": "2"}
        ]  # fmt: skip


class TestACommandsNote:
    def test_without_redis_nobody_keeps_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.chdir(tmp_path)
        caplog.set_level(logging.INFO, "auditwatch.ledger")
        note(Settings(), Decision("models", "promote", 1, "ada"))
        assert "does not hear of this" in caplog.text

    def test_with_one_it_is_kept(self, settings: Settings) -> None:
        note(settings, Decision("models", "promote", 1, "ada", {"to": "m2"}))
        (line,) = asyncio.run(self.newest(settings))
        record = read_record(line)
        assert (record.kind, record.subject, record.by, record.details) == ("models", "promote", "ada", {"to": "m2"})

    async def newest(self, settings: Settings) -> list[bytes]:
        store = ledger_of(settings)
        try:
            return await store.newest(9)
        finally:
            await store.close()

    def test_away_it_is_said(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("alerting.ledger_writer.LAST", 0.1)
        note(replace(settings, redis="redis://127.0.0.1:9/0"), Decision("models", "promote", 1, "ada"))
        assert "1 decisions are in no ledger: models promote" in caplog.text


def test_the_first_key_writes(redis_server: RedisServer) -> None:
    keys: tuple[Key, ...] = keys_of(f"{SECRET} {'f' * 32}")
    assert ledger_of(Settings(redis=redis_server.url, ledger_key=f"{SECRET} {'f' * 32}"))._key == keys[0]
    assert ledger_of(Settings(redis=redis_server.url))._key == Key()
