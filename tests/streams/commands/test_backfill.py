"""History through the command, into a real Redis beside a real broker."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from audit.context import EMPTY
from streams.packet import Packet, mark
from streams.replay import Source, events_of
from streams.settings import Settings
from streams.snapshots import KEY
from streams.store import connect, key_name
from streams.trail import Shelf
from tests.streams.commands.conftest import Run, lines, start

ARRIVAL = 2_000_000_000_000_000


def keys(url: str) -> dict[bytes, Any]:
    """What Redis holds of score, by key."""

    async def drive() -> dict[bytes, Any]:
        async with connect(Settings(redis=url)) as redis:
            return {key: await redis.get(key) async for key in redis.scan_iter(match=key_name("events", "*", "*"))}

    return asyncio.run(drive())


@pytest.fixture
def logs(organisation: Path) -> str:
    return f"github={organisation / 'github.jsonl.gz'}"


@pytest.fixture
def servers(own_broker: Settings, redis_url: str) -> str:
    return redis_url


def test_history_is_written_once(run: Run, servers: str, logs: str, organisation: Path) -> None:
    words = ("backfill", logs, "--context", organisation / "context.yml")
    dry = run(*words, "--dry-run")
    assert "principals would be written" in dry.stdout
    assert not keys(servers)
    first = run(*words)
    count = int(first.stdout.split()[0])
    assert count > 5
    assert "findings nobody is told of" in first.stderr
    written = keys(servers)
    assert sum(b":t:" in key for key in written) == count
    again = run(*words)
    assert "left alone: they have a baseline already" in again.stdout
    assert {key: value for key, value in keys(servers).items() if b":b:" in key} == {
        key: value for key, value in written.items() if b":b:" in key
    }
    assert "0 principals" not in run(*words, "--replace").stdout


def test_what_all_share_is_written_too(run: Run, servers: str, logs: str, organisation: Path) -> None:
    run("backfill", logs, "--context", organisation / "context.yml")

    async def stored() -> Any:
        async with connect(Settings(redis=servers)) as redis:
            return await redis.get(KEY)

    assert asyncio.run(stored())


def test_the_trail_between_two_times(run: Run, servers: str, logs: str, tmp_path: Path) -> None:
    source = Source(*logs.split("=", 1))
    from_file = list(events_of([source], EMPTY, ARRIVAL, []))
    shelf = Shelf.take_over(tmp_path / "trail", "log/1", 0)
    shelf.add(0, Packet("raw/0@a", [mark(at) for at in range(len(from_file))], from_file))
    shelf.flush()
    day = 86_400_000_000
    until = from_file[0].time // day * day + day
    wanted = sum(event.time < until for event in from_file)
    stamp = time.strftime("%Y-%m-%d", time.gmtime(until // 10**6))
    done = run("backfill", "--trail", tmp_path / "trail", "--until", stamp)
    assert done.stderr.startswith(f"{wanted} events in ")
    assert 0 < wanted < len(from_file)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "which logs?"),
        (["nothing=x"], "is not SOURCE=FILE"),
        (["okta=missing.jsonl"], "missing.jsonl"),
        (["okta=x", "--trail", "."], "not both"),
    ],
)
def test_what_cannot_be_used_is_said(run: Run, servers: str, words: list[str], complaint: str) -> None:
    done = run("backfill", *words)
    assert done.exit_code == 2
    assert complaint in done.stderr


def test_servers_are_asked_before_the_long_work(
    run: Run, logs: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("backfill", logs)
    assert (done.exit_code, "not configured" in done.stderr) == (2, True)
    monkeypatch.setenv("AUDITWATCH_BROKER", "kafka://127.0.0.1:1")
    monkeypatch.setenv("AUDITWATCH_REDIS", "redis://127.0.0.1:1/0")
    done = run("backfill", logs)
    assert done.exit_code == 2
    assert "check AUDITWATCH_REDIS" in done.stderr


def test_ctrl_c_leaves_nothing_behind(servers: str, organisation: Path, place: Path) -> None:
    """While it learns: nothing is written before the end."""
    fifo = place / "endless"
    os.mkfifo(fifo)
    process = start(place, "backfill", f"github={fifo}", stdout=-1, stderr=-1)
    with fifo.open("wb"):
        time.sleep(2.5)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(15) == 130
        finally:
            process.kill()
    assert not keys(servers)
    assert process.stdout is not None
    assert not lines(process.stdout.read())
