from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from audit.event import AuditEvent, Principal
from streams.kafka import EVENTS
from streams.packet import Packet, encode, mark
from streams.settings import Settings
from tests.streams.commands.conftest import Run, lines, send, start


def test_it_writes_until_told_to_stop_and_replay_reads_it(run: Run, own_broker: Settings, place: Path) -> None:
    alice = Principal("alice", "alice@example.com")
    events = [AuditEvent(f"e{number}", 1_772_442_847_000_000, "okta", "x", "success", alice) for number in range(3)]
    packet = Packet("audit.raw.okta/0@x", [mark(0, number) for number in range(3)], events)
    send(own_broker, EVENTS, [encode(packet)])
    process = start(place, "trail", "--every", "0.5", stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not list(place.rglob("*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in said) == (0, False), said
    run("replay", "events=.auditwatch/trail", "--events", "events.jsonl")
    assert [line["id"] for line in lines(place / "events.jsonl")] == ["e0", "e1", "e2"]


def test_without_a_broker_it_says_what_to_set(run: Run) -> None:
    done = run("trail")
    assert done.exit_code == 2
    assert "set AUDITWATCH_BROKER" in done.stderr


def test_never_is_no_interval(run: Run) -> None:
    assert run("trail", "--every", "0").exit_code == 2
