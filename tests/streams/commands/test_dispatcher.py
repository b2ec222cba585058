from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alerting.alert import to_line
from alerting.store_redis import RedisAlertStore
from streams.kafka import EVENTS
from streams.packet import decode_events
from streams.settings import Settings
from tests.alerting.clicking import CAROL, payload
from tests.alerting.conftest import an_alert
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.socket_server import APP_TOKEN, SocketServer
from tests.streams.commands.conftest import Run, received, start

LINES = b"".join(to_line(an_alert(number)) + b"\n" for number in range(3))


@pytest.fixture
def alerts(place: Path) -> Path:
    """Three alerts in a file."""
    (place / "alerts.jsonl").write_bytes(LINES)
    return place / "alerts.jsonl"


def test_lines_of_a_file_are_shown_here(run: Run, redis_url: str, alerts: Path) -> None:
    done = run("dispatcher", "--input", alerts)
    assert done.exit_code == 0
    assert done.stdout.count("Root login") >= 3
    assert done.stderr.endswith("3 new alerts, 3 deliveries, 0 refused\n")


def test_the_outbox_shows_nothing_twice(run: Run, redis_url: str, alerts: Path) -> None:
    run("dispatcher", "--input", alerts)
    again = run("dispatcher", "--input", alerts)
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr.endswith("0 new alerts, 0 deliveries, 0 refused\n")
    assert sorted(line.split()[0] for line in run("alerts", "list").stdout.splitlines()[1:]) == sorted(
        an_alert(number).id for number in range(3)
    )


def test_standard_input_and_no_redis(run: Run, place: Path) -> None:
    done = run("dispatcher", "--input", "-", input=LINES)
    assert done.exit_code == 0
    assert "the outbox is in memory" in done.stderr
    assert "3 new alerts, 3 deliveries" in done.stderr
    assert list(place.iterdir()) == []


def test_a_bad_line_is_named_and_nothing_is_sent(run: Run, redis_url: str, alerts: Path) -> None:
    alerts.write_bytes(LINES + b'{"id": "x"}\nno json\n')
    done = run("dispatcher", "--input", alerts)
    assert done.exit_code == 2
    assert "line 4: " in done.stderr
    assert "line 5: " in done.stderr
    assert done.stdout == ""
    assert "no alerts" in run("alerts", "list").stderr


def test_a_missing_file(run: Run, redis_url: str) -> None:
    done = run("dispatcher", "--input", "missing.jsonl")
    assert done.exit_code == 2
    assert "missing.jsonl: No such file" in done.stderr


def test_without_a_broker_it_says_what_to_set(run: Run) -> None:
    done = run("dispatcher")
    assert done.exit_code == 2
    assert "set AUDITWATCH_BROKER and AUDITWATCH_REDIS" in done.stderr


@pytest.mark.parametrize(("channel", "code", "sent"), [("C1", 0, 3), ("C9", 1, 0)])
def test_slack_gets_them_where_it_is_set(
    run: Run, redis_url: str, alerts: Path, monkeypatch: pytest.MonkeyPatch, channel: str, code: int, sent: int
) -> None:
    async def drive() -> tuple[int, str, int]:
        async with SlackServer() as slack:
            monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
            monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", channel)
            monkeypatch.setenv("AUDITWATCH_SLACK_BASE_URL", slack.url)
            done = await asyncio.to_thread(deliver, alerts)
            return *done, len(slack.posts)

    left, said, posts = asyncio.run(drive())
    assert (left, posts) == (code, sent)
    assert TOKEN not in said
    assert "Unclosed" not in said
    assert f"{sent} deliveries, {3 - sent} refused" in said


def deliver(alerts: Path) -> tuple[int, str]:
    """The dispatcher as a process of its own: its exit code and what it said."""
    with start(alerts.parent, "dispatcher", "--input", str(alerts), stdout=-1, stderr=-1) as process:
        _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_a_redis_that_is_away_is_unusable(run: Run, alerts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITWATCH_REDIS", "redis://127.0.0.1:1/0")
    done = run("dispatcher", "--input", alerts)
    assert done.exit_code == 2
    assert "check AUDITWATCH_REDIS" in done.stderr


def test_what_is_delivered_has_its_receipt(run: Run, redis_url: str, alerts: Path) -> None:
    run("dispatcher", "--input", alerts)

    async def receipts() -> list[bool]:
        store = RedisAlertStore.connect(redis_url)
        entries = await store.list(10)
        await store.close()
        return [entry.receipt is not None for entry in entries]

    assert asyncio.run(receipts()) == [True] * 3


async def reached(wanted: Callable[[], object], process: subprocess.Popen[str], seconds: float = 20.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if wanted():
            return
        assert process.poll() is None, process.communicate()
        await asyncio.sleep(0.05)
    process.kill()
    raise AssertionError(f"not reached: {process.communicate()}")


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_click_reaches_the_running_dispatcher_and_it_ends_when_told(
    redis_url: str, own_broker: Settings, place: Path, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    (place / "people.yml").write_text(
        f"users: [{{id: alice}}, {{id: carol, identities: {{slack: [{CAROL}]}}}}]", encoding="utf-8"
    )

    async def drive() -> tuple[int, str, list[str]]:
        sockets, store = SocketServer(), RedisAlertStore.connect(redis_url)
        async with SlackServer(sockets=sockets, now=time.time) as slack:
            monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
            monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
            monkeypatch.setenv("AUDITWATCH_CONTEXT", str(place / "people.yml"))
            monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "C1")
            monkeypatch.setenv("AUDITWATCH_SLACK_BASE_URL", slack.url)
            await store.put(an_alert(1))
            process = start(place, "dispatcher", stdout=-1, stderr=-1)
            try:
                await reached(lambda: slack.posts and sockets.open, process)
                await sockets.send("e1", payload("case.false_positive", CAROL))
                await reached(lambda: slack.thread(slack.posts[0]["ts"]), process)
                [(_, control)] = await asyncio.to_thread(received, own_broker, EVENTS, 1)
                assert [one.kind for one in decode_events(control).controls] == ["learn"]
                process.send_signal(told)
                _, said = await asyncio.to_thread(process.communicate, timeout=30)
            finally:
                process.kill()
            assert sockets.open == []
            await store.close()
            return process.returncode, said, slack.thread(slack.posts[0]["ts"])

    code, said, thread = asyncio.run(drive())
    assert code == 0
    assert thread[0].startswith("carol resolved it as false_positive at ")
    assert not [word for word in ("Unclosed", "Traceback", "never awaited", TOKEN, APP_TOKEN) if word in said]
