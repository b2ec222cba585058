"""The demo as a user starts it: what it shows, what it ignores, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result

from alerting.alert import from_line
from streams.commands.demo import Show, report
from streams.demo_play import Watch
from streams.simulate.organisation import demo_events
from tests.alerting.slack_server import TOKEN, SlackServer

Run = Callable[..., Result]
PROGRAM = [sys.executable, "-P", "-c", "from streams.cli import main; main()", "demo"]
SETTINGS_OF_ANOTHER = {
    "AUDITWATCH_BROKER": "kafka://127.0.0.1:1",
    "AUDITWATCH_REDIS": "redis://127.0.0.1:1",
    "AUDITWATCH_RULES": "/no/such/rules",
    "SLACK_BOT_TOKEN": "xoxb-real",
    "AUDITWATCH_SLACK_CHANNEL": "#security",
    "AUDITWATCH_SLACK_BASE_URL": "http://127.0.0.1:1/",
}


@dataclass
class Performance:
    """A demo under way; `place` is its working folder, `temporary` where it may put files."""

    process: subprocess.Popen[str]
    place: Path
    temporary: Path

    def read_until(self, text: str, within: float = 60.0) -> str:
        deadline, seen = time.monotonic() + within, ""
        assert self.process.stdout
        while text not in seen:
            assert time.monotonic() < deadline, seen
            line = self.process.stdout.readline()
            assert line, f"ended without saying {text!r}:\n{seen}{self.process.stderr and self.process.stderr.read()}"
            seen += line
        return seen

    def end(self, number: signal.Signals, within: float = 20.0) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=within)
        return self.process.returncode, out, err


@pytest.fixture
def perform(tmp_path: Path) -> Iterator[Callable[..., Performance]]:
    """Starts demos; those still running at the end are killed."""
    started: list[Performance] = []

    def start(*words: str, **environ: str) -> Performance:
        place, temporary = tmp_path / f"place{len(started)}", tmp_path / f"tmp{len(started)}"
        place.mkdir()
        temporary.mkdir()
        process = subprocess.Popen(
            [*PROGRAM, *words], cwd=place, env={**os.environ, "TMPDIR": str(temporary), **environ}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(Performance(process, place, temporary))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def children(parent: int) -> dict[int, str]:
    """Process ids of its living children with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent and fields[0] != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
    return found


def wait_for_children(performance: Performance, count: int, within: float = 30.0) -> dict[int, str]:
    deadline = time.monotonic() + within
    while len(there := children(performance.process.pid)) < count:
        assert time.monotonic() < deadline, there
        time.sleep(0.05)
    return there


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def assert_all_gone(pids: dict[int, str], within: float = 5.0) -> None:
    deadline = time.monotonic() + within
    while left := {pid: name for pid, name in pids.items() if not gone(pid)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_alerts_appear_and_ctrl_c_leaves_nothing(perform: Callable[..., Performance]) -> None:
    demo = perform("--alerts", "alerts.jsonl", "--users", "20", **SETTINGS_OF_ANOTHER)
    begun = time.monotonic()
    opening = demo.read_until("ATT&CK")
    assert time.monotonic() - begun < 60
    assert "Ctrl-C ends it; no process and no file is left behind." in "".join(opening.splitlines(True)[:5])
    assert "what to do" in opening
    assert "\x1b" not in opening  # not a terminal: plain text
    running = children(demo.process.pid)
    assert sorted(name.split()[-1] for name in running.values() if "streams.cli" in name) == ["dispatcher", "worker"]
    assert len(running) == 4
    code, out, err = demo.end(signal.SIGINT)
    assert (code, err) == (0, "")
    assert "first alert " in out
    assert "attacks played: " in out
    assert_all_gone(running)
    assert list(demo.temporary.iterdir()) == []
    assert [each.name for each in demo.place.iterdir()] == ["alerts.jsonl"]
    alerts = [from_line(line) for line in (demo.place / "alerts.jsonl").read_bytes().splitlines()]
    assert alerts
    newest = {alert.id: alert.revision for alert in alerts}
    assert all(newest[alert.id] >= alert.revision for alert in alerts)


async def test_slack_gets_the_alerts_it_was_asked_for(perform: Callable[..., Performance]) -> None:
    async with SlackServer() as slack:
        demo = perform(
            "--slack", SLACK_BOT_TOKEN=TOKEN, AUDITWATCH_SLACK_CHANNEL="C1", AUDITWATCH_SLACK_BASE_URL=slack.url
        )
        out = await asyncio.to_thread(demo.read_until, "to Slack: ")
        assert "Alerts appear in Slack (C1)." in out
        for _ in range(200):
            if slack.posts:
                break
            await asyncio.sleep(0.1)
        running = children(demo.process.pid)
        code, out, _ = await asyncio.to_thread(demo.end, signal.SIGTERM)
    assert slack.posts[0]["metadata"]["event_type"] == "auditwatch_alert"
    assert code == 0
    assert TOKEN not in out
    assert_all_gone(running)
    assert list(demo.temporary.iterdir()) == []


def test_told_to_stop_while_it_starts_it_leaves_nothing(perform: Callable[..., Performance]) -> None:
    demo = perform()
    running = wait_for_children(demo, 1)
    code, _, err = demo.end(signal.SIGTERM)
    assert (code, err) == (0, "")
    assert_all_gone(running)
    assert list(demo.temporary.iterdir()) == []


def test_the_duration_ends_it(perform: Callable[..., Performance]) -> None:
    demo = perform("--duration", "4s")
    running = wait_for_children(demo, 4)
    out, err = demo.process.communicate(timeout=20)
    assert (demo.process.returncode, err) == (0, "")
    assert "After 4 s it ends by itself" in out
    assert_all_gone(running)
    assert list(demo.temporary.iterdir()) == []


def test_killed_without_warning_it_takes_its_children_along(perform: Callable[..., Performance]) -> None:
    demo = perform()
    running = wait_for_children(demo, 4)
    demo.end(signal.SIGKILL)
    assert_all_gone(running)


def test_a_worker_that_dies_is_an_error_with_its_log(perform: Callable[..., Performance]) -> None:
    demo = perform()
    running = wait_for_children(demo, 4)
    os.kill(next(pid for pid, name in running.items() if name.endswith(" worker ")), signal.SIGKILL)
    _, err = demo.process.communicate(timeout=20)
    assert demo.process.returncode == 2
    (folder,) = demo.temporary.iterdir()
    assert f"auditwatch worker ended; its log {folder}/worker.log" in err
    assert "Traceback" not in err
    assert (folder / "worker.log").exists()
    assert_all_gone(running)


@pytest.mark.parametrize("given", ["", "0", "90x", "-5s", "1.5m", "s"])
def test_a_duration_that_is_none_is_an_error_that_says_how(run: Run, given: str) -> None:
    result = run("demo", "--duration", given)
    assert result.exit_code == 2
    assert "write 90, 90s, 2m or 1h" in result.output


def test_slack_without_token_or_channel_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("demo", "--slack")
    assert result.exit_code == 2
    assert "--slack needs SLACK_BOT_TOKEN and AUDITWATCH_SLACK_CHANNEL in the environment" in result.output
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    assert "--slack needs AUDITWATCH_SLACK_CHANNEL in the environment" in run("demo", "--slack").output


def test_a_file_that_cannot_be_written_is_told_before_anything_starts(run: Run) -> None:
    result = run("demo", "--alerts", "no/such/folder/alerts.jsonl")
    assert result.exit_code == 2
    assert "no/such/folder/alerts.jsonl: No such file or directory; choose another file for --alerts" in result.output


def test_too_few_people_is_an_error(run: Run) -> None:
    assert run("demo", "--users", "3").exit_code == 2


def test_a_report_on_nothing_says_so_and_claims_nothing() -> None:
    demo = demo_events(5, 12)
    lines = list(report(Show(demo, Watch(demo))))
    assert lines[0] == ""
    assert lines[1].startswith("0 records sent, 0 read, 0 findings, 0 alerts")
    assert len(lines) == 2
