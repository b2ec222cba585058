"""auditwatch ledger, as a user and as an attacker with Redis but without the key."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from alerting import ledger_store
from alerting.alert import to_line
from alerting.ledger import Decision
from alerting.store_redis import RedisAlertStore
from streams import ledger as streams_ledger
from streams.ledger import ANCHORS, Kept, note
from streams.settings import Settings
from streams.store import connect
from tests.alerting.conftest import an_alert
from tests.streams.commands.conftest import Run, lines

SECRET = "0123456789abcdef0123456789abcdef"
CHAIN = "{auditwatch:ledger}:chain"


@pytest.fixture
def settings(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AUDITWATCH_LEDGER_KEY", SECRET)
    return Settings(redis=redis_url, ledger_key=SECRET)


@pytest.fixture
def five(settings: Settings) -> Settings:
    """A ledger of five records."""
    note(settings, *(Decision("sent", f"alert{number}", number, "dispatcher") for number in range(1, 6)))
    return settings


def redis(settings: Settings, *command: str | bytes) -> object:
    async def ask() -> object:
        async with connect(settings) as client:
            return await client.execute_command(*command)

    return asyncio.run(ask())


def anchored(settings: Settings) -> None:
    async def look() -> None:
        kept = Kept(settings, "dispatcher", lambda: 0)
        await kept.look()
        await kept.close()

    asyncio.run(look())


class TestVerify:
    def test_sound(self, run: Run, five: Settings) -> None:
        done = run("ledger", "verify")
        assert done.exit_code == 0
        assert done.stderr.splitlines() == [
            "5 records (1 to 5), 5 keyed, 0 anchors compared",
            "no anchors: a cut tail would not be seen",
            "sound",
        ]

    def test_the_dispatchers_anchors_are_read(self, run: Run, five: Settings, place: Path) -> None:
        anchored(five)
        assert (place / five.ledger / ANCHORS).exists()
        done = run("ledger", "verify")
        assert "5 keyed, 1 anchors compared\nsound\n" in done.stderr

    def test_a_changed_record(self, run: Run, five: Settings) -> None:
        line = redis(five, "LINDEX", f"{CHAIN}:0", "2")
        assert isinstance(line, bytes)
        redis(five, "LSET", f"{CHAIN}:0", "2", line.replace(b"alert3", b"alert4"))
        done = run("ledger", "verify")
        assert done.exit_code == 1
        assert done.stderr.splitlines()[0] == "record 3 is not as it was written, or follows another than it did"
        assert done.stderr.splitlines()[-1] == "NOT sound"

    def test_a_cut_tail_by_an_anchor_kept_elsewhere(self, run: Run, five: Settings, place: Path) -> None:
        log = place / "shipped.log"
        log.write_text('{"level": "info", "message": "' + run("ledger", "anchor").stdout.strip() + '"}\n')
        first = redis(five, "LINDEX", f"{CHAIN}:0", "1")
        assert isinstance(first, bytes)
        redis(five, "LTRIM", f"{CHAIN}:0", "0", "1")
        redis(five, "HSET", CHAIN, "seq", "2", "mac", json.loads(first)["mac"])
        assert run("ledger", "verify").exit_code == 0
        done = run("ledger", "verify", "--anchors", log)
        assert done.exit_code == 1
        assert "the tail is cut: the ledger ends with record 2, an anchor saw record 5" in done.stderr

    def test_another_key(self, run: Run, five: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_LEDGER_KEY", "f" * 32)
        done = run("ledger", "verify")
        assert done.exit_code == 1
        assert "AUDITWATCH_LEDGER_KEY does not hold" in done.stderr
        assert SECRET not in done.stderr
        monkeypatch.setenv("AUDITWATCH_LEDGER_KEY", f"{'f' * 32} {SECRET}")
        assert run("ledger", "verify").exit_code == 0

    def test_no_key_is_told_of(self, run: Run, redis_url: str) -> None:
        note(Settings(redis=redis_url), Decision("sent", "alert1", 1, "dispatcher"))
        done = run("ledger", "verify")
        assert done.exit_code == 0
        assert "no key: whoever can write to Redis can rewrite all of this: set AUDITWATCH_LEDGER_KEY" in done.stderr

    def test_an_export(self, run: Run, five: Settings, place: Path) -> None:
        assert run("ledger", "export", "out.jsonl").stderr == "5 records\n"
        assert run("ledger", "verify", "--input", "out.jsonl").exit_code == 0
        whole = (place / "out.jsonl").read_bytes().splitlines()
        (place / "out.jsonl").write_bytes(b"\n".join([*whole[:2], *whole[3:]]))
        done = run("ledger", "verify", "--input", "out.jsonl")
        assert done.exit_code == 1
        assert "records 3 to 3 are missing" in done.stderr

    def test_what_was_put_away_belongs_to_it(
        self, run: Run, settings: Settings, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module, name, value in (
            (ledger_store, "SEGMENT", 4),
            (streams_ledger, "SEGMENT", 4),
            (streams_ledger, "KEPT", 1),
        ):
            monkeypatch.setattr(module, name, value)
        note(settings, *(Decision("sent", f"alert{number}", number, "dispatcher") for number in range(1, 15)))
        anchored(settings)
        files = sorted((place / settings.ledger).glob("records-*"))
        assert len(files) == 3
        done = run("ledger", "verify")
        assert "(1 to 17)" in done.stderr
        assert done.exit_code == 0
        assert run("ledger", "export", "all.jsonl").stderr == "17 records\n"
        files[0].write_bytes(files[0].read_bytes()[:-9])
        done = run("ledger", "verify")
        assert done.exit_code == 2
        assert files[0].name in done.stderr
        files[1].unlink()
        files[0].unlink()
        done = run("ledger", "verify")
        assert done.exit_code == 0, "the chain says itself that they were put away"
        assert "(9 to 17)" in done.stderr

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--input", "none.jsonl"], "none.jsonl: No such file"),
            (["--anchors", "none.log"], "none.log: No such file"),
            (["--anchors", "empty.log"], "empty.log: holds no anchor"),
        ],
    )
    def test_unusable(self, run: Run, five: Settings, place: Path, words: list[str], text: str) -> None:
        (place / "empty.log").touch()
        done = run("ledger", "verify", *words)
        assert done.exit_code == 2
        assert text in done.stderr

    def test_a_short_key(self, run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_LEDGER_KEY", "short")
        done = run("ledger", "verify")
        assert done.exit_code == 2
        assert "needs 32 characters or more" in done.stderr


class TestList:
    def test_the_newest(self, run: Run, five: Settings) -> None:
        rows = [row.split() for row in run("ledger", "list", "--limit", 2).stdout.splitlines()]
        assert rows[0] == ["NUMBER", "TIME", "KIND", "SUBJECT", "BY", "DETAILS"]
        assert [(row[0], row[2], row[3]) for row in rows[1:]] == [("4", "sent", "alert4"), ("5", "sent", "alert5")]

    def test_some(self, run: Run, five: Settings) -> None:
        note(five, Decision("models", "promote", 9, "ada", {"to": "m2"}))
        assert [line["kind"] for line in lines(run("ledger", "list", "--kind", "models", "--json").stdout)] == [
            "models"
        ]
        assert [line["seq"] for line in lines(run("ledger", "list", "--subject", "alert2", "--json").stdout)] == [2]
        assert "to m2" in run("ledger", "list", "--kind", "models").stdout

    def test_what_cannot_be_read_is_counted(self, run: Run, five: Settings) -> None:
        redis(five, "LSET", f"{CHAIN}:0", "2", b"\x1b[2Jno record")
        done = run("ledger", "list")
        assert len(done.stdout.splitlines()) == 1 + 4
        assert "1 records cannot be read: see `auditwatch ledger verify`" in done.stderr
        assert "\x1b" not in run("ledger", "verify").stderr

    def test_none(self, run: Run, settings: Settings) -> None:
        assert run("ledger", "list").stderr == "no decisions\n"
        assert run("ledger", "anchor").stdout == f"ledger anchor 0 {'0' * 64}\n"

    def test_redis_is_away(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_REDIS", "redis://127.0.0.1:9/0")
        for words in (["list"], ["export", "-"], ["anchor"], ["verify"]):
            done = run("ledger", *words)
            assert done.exit_code == 2
            assert "check AUDITWATCH_REDIS and that Redis runs" in done.stderr


def test_an_alerts_life(run: Run, settings: Settings, place: Path) -> None:
    """Delivered by the dispatcher, acknowledged and resolved by a person: all of it, by whom."""
    alert = an_alert()
    (place / "alerts.jsonl").write_bytes(to_line(alert))
    assert run("dispatcher", "--input", "alerts.jsonl").exit_code == 0
    assert run("alerts", "ack", alert.id, "--by", "ada").exit_code == 0
    run("alerts", "resolve", alert.id, "--as", "benign", "--by", "ada", "--note", "CHG-1")
    told = lines(run("ledger", "list", "--subject", alert.id, "--json").stdout)
    kinds = [(line["kind"], line["by"].split()[0], line["details"].get("action")) for line in told]
    assert kinds == [
        ("raised", "dispatcher", None),
        ("sent", "dispatcher", None),
        ("case", "ada", "ack"),
        ("case", "ada", "benign"),
    ]
    assert told[-1]["details"]["note"] == "CHG-1"
    assert run("ledger", "verify").exit_code == 0


def test_without_the_key_people_still_work(
    run: Run, five: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def put() -> None:
        store = RedisAlertStore(connect(five))
        await store.put(an_alert())
        await store.close()

    asyncio.run(put())
    before = lines(run("ledger", "list", "--json").stdout)
    monkeypatch.delenv("AUDITWATCH_LEDGER_KEY")
    assert run("alerts", "ack", an_alert().id, "--by", "ada").exit_code == 0
    assert "set AUDITWATCH_LEDGER_KEY for this process, too" in caplog.text
    assert "1 decisions are in no ledger: case" in caplog.text
    assert lines(run("ledger", "list", "--json").stdout) == before
    assert "acknowledged by ada" in run("alerts", "show", an_alert().id).stdout


def test_models(run: Run, settings: Settings) -> None:
    name = run("models", "publish", "--shipped", "--registry", "models").stdout.strip()
    run("models", "shadow", name, "--registry", "models")
    run("models", "promote", name, "--registry", "models")
    told = lines(run("ledger", "list", "--kind", "models", "--json").stdout)
    assert [(line["subject"], line["details"]) for line in told] == [
        ("publish", {"model": name}),
        ("shadow", {"model": name}),
        ("promote", {"from": "", "to": name}),
    ]
