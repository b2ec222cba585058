from __future__ import annotations

from typing import Any

import orjson
import pytest

from audit.context import EMPTY
from audit.event import AuditEvent, parse_rfc3339
from audit.sources import linux
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.reader import LARGEST_RAW, Reject, read
from tests.audit.sources.golden import ARRIVAL, plain

FAILED = "Mar  2 08:15:30 web1 sshd[1317]: Failed password for root from 198.51.100.7 port 5 ssh2"
AUDIT = (
    "node=web1 type=USER_CMD msg=audit(1772439330.123:557): pid=9 uid=1000 auid=1000 ses=3 "
    "msg='cwd=\"/\" cmd=6C73 terminal=pts/0 res=success' user=root action=fine source_ip=203.0.113.9"
)


def events(payload: str | bytes) -> list[AuditEvent]:
    found = []
    for entry in read("linux", payload.encode() if isinstance(payload, str) else payload, ARRIVAL, EMPTY):
        assert isinstance(entry, list)
        found += entry
    return found


def assert_fields(event: AuditEvent, **expected: Any) -> None:
    assert {name: plain(getattr(event, name)) for name in expected} == expected


def test_a_line() -> None:
    [event] = events(FAILED)
    assert_fields(
        event,
        time=parse_rfc3339("2026-03-02T08:15:30Z"),
        source="linux",
        action="sshd.login",
        outcome="failure",
        actor=("anonymous:linux:198.51.100.7", "root", "unknown", "anonymous"),
        target=None,
        resource=("host", "web1"),
        source_ip="198.51.100.7",
        account="web1",
        marks=(),
    )
    assert event.id.startswith("sha256:")


def test_its_raw_holds_the_line_and_what_was_read() -> None:
    [event] = events(FAILED)
    assert orjson.loads(event.raw) == {
        "message": FAILED,
        "timestamp": "2026-03-02T08:15:30.000Z",
        "host": "web1",
        "program": "sshd",
        "pid": "1317",
        "action": "sshd.login",
        "outcome": "failure",
        "user": "root",
        "source_ip": "198.51.100.7",
        "authenticated": False,
    }


def test_its_raw_is_a_record_that_becomes_the_same_event() -> None:
    for line in (FAILED, AUDIT):
        [event] = events(line)
        assert events(event.raw) == [event]


def test_a_line_of_the_audit_daemon_keeps_its_fields_but_says_nothing_in_our_name() -> None:
    [event] = events(AUDIT)
    raw = orjson.loads(event.raw)
    assert {key: raw[key] for key in ("type", "auid", "cmd", "terminal")} == {
        "type": "USER_CMD",
        "auid": "1000",
        "cmd": "ls",
        "terminal": "pts/0",
    }
    assert_fields(
        event,
        time=parse_rfc3339("2026-03-02T08:15:30.123Z"),
        action="auditd.user_cmd",
        actor=("linux:1000", "1000", "unknown", "asserted"),
        resource=("command", "ls"),
        source_ip=None,
        session_id="web1:3",
        account="web1",
    )


def test_one_becomes_another() -> None:
    [event] = events("Mar  2 08:15:30 web1 sudo: ada : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh")
    assert_fields(
        event,
        action="sudo.command",
        outcome="success",
        actor=("linux:ada", "ada", "unknown", "asserted"),
        target=("linux:root", "root", "unknown", "asserted"),
        resource=("command", "/bin/sh"),
    )


def test_a_repeated_line_becomes_as_many_events() -> None:
    line = FAILED.replace("Failed", "message repeated 3 times: [ Failed") + "]"
    found = events(line)
    assert [event.id.rpartition("#")[2] for event in found] == ["0", "1", "2"]
    assert len({event.id for event in found}) == 3
    assert {(event.action, event.source_ip) for event in found} == {("sshd.login", "198.51.100.7")}


def test_many_lines_at_once() -> None:
    assert len(events(f"{FAILED}\r\n\n{AUDIT}\n")) == 2
    assert [event.raw for event in events(FAILED + "\r\n")] == [event.raw for event in events(FAILED)]


def test_lines_of_brackets() -> None:
    assert [event.action for event in events("[    0.000000] Linux version 6.1\n[ 1.0] x")] == ["linux.message"] * 2


def test_the_journal() -> None:
    record = {
        "MESSAGE": "Accepted password for ada from 192.0.2.1 port 5 ssh2",
        "SYSLOG_IDENTIFIER": "sshd",
        "_HOSTNAME": "web1",
        "_PID": "9",
        "__REALTIME_TIMESTAMP": "1772439330123456",
    }
    [event] = events(orjson.dumps(record))
    assert_fields(
        event,
        time=1772439330123456,
        action="sshd.login",
        source_ip="192.0.2.1",
        account="web1",
        resource=("host", "web1"),
    )
    assert orjson.loads(event.raw)["_HOSTNAME"] == "web1"


@pytest.mark.parametrize("stamp", [None, "", "x", "9" * 5000, "²", 7, "12 3"])
def test_a_journal_without_a_time_has_none(stamp: Any) -> None:
    record = {"MESSAGE": "x", "__REALTIME_TIMESTAMP": stamp}
    [event] = linux.normalise(record, orjson.dumps(record))
    assert event.time == UNTIMED


def test_a_shippers_json() -> None:
    """Its time lends the year, and stands in where the line has none; its own fields stay."""
    shipped = {
        "@timestamp": "2024-03-05T00:00:00Z",
        "message": FAILED,
        "log": {"file": "auth.log"},
        "host": {"name": "x"},
    }
    [event] = events(orjson.dumps(shipped))
    assert_fields(event, time=parse_rfc3339("2024-03-02T08:15:30Z"), account="web1")
    assert orjson.loads(event.raw)["log"] == {"file": "auth.log"}
    [event] = events(orjson.dumps(shipped | {"message": "Corrupted MAC on input."}))
    assert_fields(event, time=parse_rfc3339("2024-03-05T00:00:00Z"), account=None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"  \n ",
        b"{}",
        b'{"message": ""}',
        b'{"message": 7}',
        b'{"agent": {"type": "auditbeat"}, "message": "x"}',
        b'{"message": "x", "@timestamp": "never"}',
        b"Feb 30 08:15:30 web1 sshd: x",
        b'{"MESSAGE": "x", "__REALTIME_TIMESTAMP": "99999999999999999"}{',
    ],
)
def test_what_is_no_line_is_rejected_with_its_bytes(payload: bytes) -> None:
    [entry] = read("linux", payload, ARRIVAL, EMPTY)
    assert isinstance(entry, Reject)
    assert entry.error


def test_hostile_lines() -> None:
    [event] = events(
        b"Mar  2 08:15:30 web1 sshd[1]: Failed password for \xff\x00\xe2\x80\xa8 from 192.0.2.1 port 5 ssh2"
    )
    assert (event.source_ip, event.actor.name) == ("192.0.2.1", "\ufffd\x00\u2028")
    [event] = events("Mar  2 08:15:30 web1 sshd[1]: " + "x" * 2 * LARGEST_RAW)
    assert len(event.raw) <= LARGEST_RAW
    assert event.marks == ("trimmed",)


def test_a_blank_line_is_refused() -> None:
    with pytest.raises(Unreadable, match="blank"):
        linux.opened(" ", ARRIVAL)
