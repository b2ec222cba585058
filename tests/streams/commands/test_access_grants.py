from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from audit.event import AuditEvent, rfc3339, to_line
from streams.commands import access_grants
from tests.rules.accessing import COMPANY, DAY, NOON, call
from tests.streams.commands.conftest import Run, lines

HOUR = DAY // 24


def grant(start: int, end: int, **more: str) -> dict[str, str]:
    fields = {"user": "ada", "system": "aws", "role": "aws-admin", "granted_by": "bob", "ticket": "A-1"}
    return {**fields, "start": rfc3339(start), "expires": rfc3339(end), **more}


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """Logs and a context, at noon: one grant that was used and has ended, one that is open, one that is to begin."""
    monkeypatch.setattr(access_grants, "now", lambda: NOON)
    granted = [grant(NOON - 5 * HOUR, NOON - HOUR), grant(NOON - HOUR // 2, NOON + 2 * HOUR, user="eve")]
    granted.append(grant(NOON + DAY, NOON + 2 * DAY))
    (tmp_path / "context.json").write_bytes(orjson.dumps({**COMPANY, "temporary_grants": granted}))
    deeds = [
        call(action="sqs:GetQueue", on="q", id="1", time=NOON - 3 * HOUR),
        call(action="sqs:GetQueue", on="q", id="2", time=NOON - 2 * HOUR),
        call(action="sqs:GetQueue", on="q", id="3", time=NOON - 2 * HOUR, outcome="failure"),
        call(action="sqs:GetQueue", on="q", id="4", time=NOON - HOUR // 2),
        call("eve", on="acorn-web-x", id="5", time=NOON - HOUR // 4),
    ]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(to_line(with_record(*deed)) for deed in deeds))
    return f"events={file}", "--context", str(tmp_path / "context.json")


def with_record(event: AuditEvent, record: dict[str, Any]) -> AuditEvent:
    return msgspec.structs.replace(event, raw=orjson.dumps(record))


def test_each_grant_stands_there_with_what_was_done_in_it(run: Run, words: Sequence[str]) -> None:
    done = run("access", "grants", *words)
    assert done.exit_code == 0, done.stderr
    head, ended, opened, later = done.stdout.splitlines()
    assert head.split() == ["WHO", "SYSTEM", "ROLE", "GRANTED", "BY", "TICKET", "STATE", "USED", "FOR", "WHAT"]
    assert "ended 2026-03-04 11:00" in ended
    assert "2 times, last 2026-03-04 10:00, 1 did not work, 1 after its end" in ended
    assert ended.endswith("sqs:GetQueue on q (2)")
    assert "open, ends in 2 h 0 min" in opened
    assert "begins 2026-03-05 12:00" in later
    assert "never" in later


def test_only_what_is_open_or_has_ended(run: Run, words: Sequence[str]) -> None:
    assert [line["user"] for line in lines(run("access", "grants", *words, "--open", "--json").stdout)] == ["eve"]
    (ended,) = lines(run("access", "grants", *words, "--ended", "--json").stdout)
    assert (ended["uses"], ended["failed"], ended["after_end"]) == (2, 1, 1)
    assert (ended["first"][11:16], ended["last"][11:16]) == ("09:00", "10:00")


def test_none_of_a_kind_and_none_declared(run: Run, words: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "context.json").write_bytes(orjson.dumps({**COMPANY, "temporary_grants": [grant(NOON, NOON + HOUR)]}))
    assert run("access", "grants", *words, "--ended").stdout == "none\n"
    (tmp_path / "context.json").write_bytes(orjson.dumps(COMPANY))
    done = run("access", "grants", *words)
    assert done.exit_code == 2
    assert "temporary_grants" in done.stderr


def test_replay_tells_the_summary_and_the_alerts_are_as_many_as_before(
    run: Run, words: Sequence[str], tmp_path: Path
) -> None:
    out = tmp_path / "alerts.jsonl"
    done = run("replay", *words, "--alerts", out)
    assert done.exit_code == 0, done.stderr
    assert "1 summary of temporary access" in done.stderr
    (said,) = [line for line in lines(out) if line["key"].startswith("grant:")]
    assert "ada's aws role aws-admin (A-1, granted by bob) ended 2026-03-04 11:00: used" in said["summary"]
    assert said["resolution"] == "ended"
