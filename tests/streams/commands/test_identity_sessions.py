from __future__ import annotations

from pathlib import Path

import pytest

from streams.load import declared
from streams.packet import Packet, mark
from streams.replay import Source, events_of
from streams.trail import Shelf
from tests.streams.commands.conftest import Run, lines

EXPORT = "aws:arn:aws:sts::1:assumed-role/export"


@pytest.fixture
def words(assumed: Path) -> list[str]:
    return [f"cloudtrail={assumed / 'cloudtrail.jsonl'}", "--context", str(assumed / "context.yml")]


def test_each_session_is_a_line_with_its_chain_and_its_flags(run: Run, words: list[str]) -> None:
    done = run("identity", "sessions", *words)
    assert done.exit_code == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert heading == "3 sessions; 2 issued by a record in these logs, 1 with something odd about them"
    [row] = [row for row in rows if " ASIA3 " in row]
    assert row.startswith("2026-03-02 09:04-09:04  cloudtrail")
    assert EXPORT in row
    assert "issued by aws:arn:aws:sts::1:assumed-role/ci in ASIA2 (AssumeRole, 2026-03-02T09:02Z)" in row
    assert "<- ada (AssumeRole, 2026-03-02T09:01Z)" in row
    assert row.endswith("! issued in another country")


def test_of_a_user_those_they_used_and_those_they_opened(run: Run, words: list[str]) -> None:
    told = lines(run("identity", "sessions", "ada", *words, "--json").stdout)
    assert {each["id"]: each["opened_by"] for each in told} == {"ASIA2": "ada", "ASIA3": "ada"}
    assert [link["by"] for each in told if each["id"] == "ASIA3" for link in each["chain"]][-1] == "ada"
    assert lines(run("identity", "sessions", EXPORT, *words, "--json").stdout)[-1]["principals"] == [EXPORT]


def test_only_what_is_odd(run: Run, words: list[str]) -> None:
    told = lines(run("identity", "sessions", "--flagged", *words, "--json").stdout)
    assert [(each["id"], each["flags"]) for each in told] == [("ASIA3", ["issued in another country"])]
    shown = run("identity", "sessions", "--flagged", *words).stdout
    assert "ASIA9" not in shown
    assert shown.startswith("3 sessions;")


def test_from_the_trail(run: Run, words: list[str], assumed: Path, tmp_path: Path) -> None:
    context = declared(assumed / "context.yml")
    events = list(events_of([Source("cloudtrail", str(assumed / "cloudtrail.jsonl"))], context, 2 * 10**15, []))
    shelf = Shelf.take_over(tmp_path / "trail", "a/1", 0)
    shelf.add(0, Packet("raw", [mark(at, 0, 0) for at in range(len(events))], events))
    shelf.flush()
    where = ["--trail", tmp_path / "trail", "--context", assumed / "context.yml"]
    sessions = run("identity", "sessions", "--json", *where).stdout
    assert lines(sessions) == lines(run("identity", "sessions", "--json", *words).stdout)
    shown = lines(run("timeline", "ada", *where, "--json").stdout)
    assert shown == lines(run("timeline", "ada", *words, "--json").stdout)
    assert [each["id"] for each in shown] == ["AssumeRole-1", "AssumeRole-2", "GetObject-4"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["ada", "bob"], "one user at a time"),
        (["adda"], "no session of 'adda' in these logs"),
        (["bob"], "no session of 'bob' in these logs"),
    ],
)
def test_who_cannot_be_shown_is_told(run: Run, words: list[str], names: list[str], says: str) -> None:
    done = run("identity", "sessions", *names, *words)
    assert done.exit_code == 2
    assert says in done.stderr
