"""The worker as a user starts it: in an empty folder, without any setting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from streams.child import free_port
from streams.cli import INTERRUPTED
from tests.streams.commands.conftest import DATA, Run, lines, start

NOTE = Path(".auditwatch/embedded.json")


def until(holds: Callable[[], object], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children(pid: int) -> list[int]:
    """The processes a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def started(place: Path, temporary: Path) -> subprocess.Popen[str]:
    """A worker with embedded servers that is ready; its temporary files go to a folder."""
    port = free_port()
    env = {"AUDITWATCH_LISTEN": f"127.0.0.1:{port}", "TMPDIR": str(temporary)}
    process = start(place, "worker", env=env, stderr=subprocess.PIPE)
    until(lambda: ready(port) or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    return process


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def worker(place: Path, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker without any setting, in this folder."""
    process = started(place, temporary)
    yield process
    process.kill()
    process.communicate()


def ended(process: subprocess.Popen[str], told: signal.Signals) -> None:
    """Tells a worker to end, which it does in order."""
    process.send_signal(told)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert all(json.loads(line)["message"] for line in said.splitlines())  # a bare traceback is no log line


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_and_leaves_an_empty_folder(
    worker: subprocess.Popen[str], place: Path, temporary: Path, told: signal.Signals
) -> None:
    servers = children(worker.pid)
    assert len(servers) == 2
    assert NOTE.exists()
    ended(worker, told)
    assert list(place.iterdir()) == []
    assert list(temporary.iterdir()) == []
    assert not any(alive(server) for server in servers)


def test_told_to_end_while_it_starts(place: Path, temporary: Path) -> None:
    process = start(place, "worker", env={"TMPDIR": str(temporary)}, stderr=subprocess.PIPE)
    until(lambda: list(temporary.glob("auditwatch-*/*.log")))
    servers = children(process.pid)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED, said
    assert "Traceback" not in said
    assert not NOTE.exists()
    assert list(temporary.iterdir()) == []
    until(lambda: not any(alive(server) for server in servers), 5)  # the tether ends one that had just begun


def test_a_second_one_in_the_folder_shares_the_first_ones_servers(
    worker: subprocess.Popen[str], place: Path, temporary: Path
) -> None:
    note = NOTE.read_text()
    second = started(place, temporary)
    assert children(second.pid) == []
    ended(second, signal.SIGTERM)
    assert NOTE.read_text() == note
    ended(worker, signal.SIGTERM)
    assert not NOTE.exists()


def test_logs_in_and_alerts_out(worker: subprocess.Popen[str], run: Run, organisation: Path) -> None:
    """Raw logs through ingest and a live worker give the alerts of replay; bad records become dead letters."""
    source = f"cloudtrail={organisation / 'cloudtrail.jsonl.gz'}"
    wanted = {line["id"]: line["revision"] for line in lines(run("replay", source, "--alerts", "-").stdout)}
    assert wanted
    assert run("ingest", source).exit_code == 0
    assert run("ingest", "okta=-", input='{"broken": \n{"eventType": "x"}\n').exit_code == 0
    until(lambda: run("dlq", "list", "--json").stdout)
    dispatcher = start(Path.cwd(), "dispatcher", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        until(lambda: told(run) == wanted)
        until(lambda: all("waiting" not in run("alerts", "show", name).stdout for name in wanted))
    finally:
        dispatcher.send_signal(signal.SIGTERM)
        shown, said = dispatcher.communicate(timeout=30)
    assert dispatcher.returncode == 0, said
    assert "what to do" in shown


def told(run: Run) -> dict[str, int]:
    """Revisions of the alerts in the outbox."""
    return {line["id"]: line["revision"] for line in lines(run("alerts", "list", "--json").stdout)}


def test_a_replayed_letter_counts_once(worker: subprocess.Popen[str], run: Run) -> None:
    run("ingest", "okta=-", input='{"broken": \n')
    until(lambda: run("dlq", "list", "--json").stdout)
    assert run("dlq", "replay", "--all").stderr == "1 records sent\n"
    until(lambda: len(lines(run("dlq", "list", "--json").stdout)) == 2)
    first, second = lines(run("dlq", "list", "--json").stdout)
    assert (first["raw"], first["error"]) == (second["raw"], second["error"])
    assert first["id"] != second["id"]


def test_real_cloudtrail_gives_the_alerts_of_replay(worker: subprocess.Popen[str], run: Run) -> None:
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data beside the checkout")
    source = f"cloudtrail={DATA / 'cloudtrail' / 'invictus.raw.jsonl.gz'}"
    wanted = {line["id"]: line["revision"] for line in lines(run("replay", source, "--alerts", "-").stdout)}
    run("ingest", source)
    dispatcher = start(Path.cwd(), "dispatcher", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: told(run) == wanted, 60)
    finally:
        dispatcher.kill()
        dispatcher.wait()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"AUDITWATCH_RULES": "missing"}, "missing"),
        (
            {"AUDITWATCH_BROKER": "kafka://127.0.0.1:1", "AUDITWATCH_REDIS": "redis://127.0.0.1:1/0"},
            "check AUDITWATCH_BROKER",
        ),
        ({"AUDITWATCH_PARTITIONS": "many"}, "AUDITWATCH_PARTITIONS in the environment: expected a whole number"),
    ],
)
def test_unusable_settings(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], said: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = run("worker")
    assert done.exit_code == 2
    assert said in done.stderr
    assert list(place.iterdir()) == []


def test_an_unknown_log_level(run: Run) -> None:
    assert run("worker", "--log-level", "loud").exit_code == 2
