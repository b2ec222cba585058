from __future__ import annotations

from pathlib import Path

import pytest

from streams.deadletter import MOST_BYTES, DeadLetter, dead_letter, to_line
from streams.kafka import DEADLETTER, RAW
from streams.settings import Settings
from tests.streams.commands.conftest import Run, lines, received, send

OKTA = RAW + "okta"


def a_letter(offset: int, raw: bytes, stage: str = "normalise", error: str = "it is no JSON: at byte 7") -> DeadLetter:
    topic = OKTA if stage == "normalise" else "audit.events"
    return dead_letter(stage, (topic, 1, offset), error, raw, 1_800_000_000_000_000 + offset)


LETTERS = [
    a_letter(1, b"\xff\x00not text"),
    a_letter(2, '{"name": "zoë\x1b[31m"'.encode(), error="it is no JSON: at byte 42"),
    a_letter(3, b"{}", stage="score", error="rules failed: KeyError('x')"),
]


@pytest.fixture
def letters(own_broker: Settings) -> Settings:
    """A broker with three dead letters, the first of them twice, as after a crash of the worker."""
    send(own_broker, DEADLETTER, [to_line(letter) for letter in [*LETTERS, LETTERS[0]]])
    return own_broker


class TestList:
    def test_none(self, run: Run, own_broker: Settings) -> None:
        done = run("dlq", "list")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no dead letters\n")

    def test_reasons_are_counted_and_the_newest_shown(self, run: Run, letters: Settings) -> None:
        counted, newest = run("dlq", "list").stdout.split("\n\n")
        rows = [row.split(maxsplit=3) for row in counted.splitlines()]
        assert rows == [
            ["COUNT", "STAGE", "TOPIC", "REASON"],
            ["3", "normalise", OKTA, "it is no JSON: at byte #"],
            ["1", "score", "audit.events", "rules failed: KeyError('x')"],
        ]
        shown = [row.split()[0] for row in newest.splitlines()[1:]]
        assert shown == [LETTERS[0].id, LETTERS[2].id, LETTERS[1].id, LETTERS[0].id]

    def test_only_the_newest_twenty(self, run: Run, own_broker: Settings) -> None:
        many = [a_letter(number, b"x%d" % number) for number in range(50)]
        send(own_broker, DEADLETTER, [to_line(letter) for letter in many])
        counted, newest = run("dlq", "list").stdout.split("\n\n")
        assert counted.splitlines()[1].startswith("50 ")
        assert [row.split()[0] for row in newest.splitlines()[1:]] == [each.id for each in reversed(many[30:])]

    def test_json_is_the_raw_lines(self, run: Run, letters: Settings) -> None:
        send(letters, DEADLETTER, [b'{"not": "a letter"}'])
        printed = run("dlq", "list", "--json").stdout_bytes.splitlines()
        assert printed == [*(to_line(letter) for letter in [*LETTERS, LETTERS[0]]), b'{"not": "a letter"}']

    def test_what_is_no_letter_does_not_hide_the_others(self, run: Run, own_broker: Settings) -> None:
        send(own_broker, DEADLETTER, [b"garbage", to_line(LETTERS[0])])
        done = run("dlq", "list")
        assert LETTERS[0].id in done.stdout
        assert "is no dead letter" in done.stderr


class TestShow:
    def test_the_bytes_are_harmless_on_a_terminal(self, run: Run, letters: Settings) -> None:
        shown = run("dlq", "show", LETTERS[1].id).stdout
        assert '{"name": "zoë"' in shown
        assert "\x1b" not in shown
        assert f"{OKTA}/1@2" in shown

    @pytest.mark.parametrize("letter", LETTERS)
    def test_raw_is_every_byte(self, run: Run, letters: Settings, letter: DeadLetter) -> None:
        assert run("dlq", "show", letter.id, "--raw").stdout_bytes == letter.payload()

    def test_json(self, run: Run, letters: Settings) -> None:
        assert lines(run("dlq", "show", LETTERS[0].id, "--json").stdout)[0]["raw_base64"] == LETTERS[0].raw_base64

    def test_one_that_is_not_there(self, run: Run, letters: Settings) -> None:
        done = run("dlq", "show", "nothing")
        assert done.exit_code == 2
        assert "there is no dead letter nothing" in done.stderr


class TestReplay:
    def test_all_that_can_be_go_back_where_they_came_from(self, run: Run, letters: Settings) -> None:
        done = run("dlq", "replay", "--all")
        assert done.exit_code == 0
        assert done.stderr.startswith("2 records sent; 1 cannot be replayed")
        assert received(letters, OKTA, 2) == [(1, LETTERS[0].payload()), (1, LETTERS[1].payload())]

    def test_the_ones_that_are_named(self, run: Run, letters: Settings) -> None:
        assert run("dlq", "replay", LETTERS[1].id).stderr == "1 records sent\n"
        assert received(letters, OKTA, 1) == [(1, LETTERS[1].payload())]

    def test_an_unknown_id_sends_nothing(self, run: Run, letters: Settings) -> None:
        done = run("dlq", "replay", LETTERS[1].id, "nothing")
        assert done.exit_code == 2
        assert received(letters, OKTA, 0) == []

    def test_one_from_inside_the_pipeline_is_a_no(self, run: Run, letters: Settings) -> None:
        done = run("dlq", "replay", LETTERS[2].id)
        assert done.exit_code == 1
        assert "0 records sent; 1 cannot be replayed" in done.stderr

    def test_one_that_was_cut_is_a_no(self, run: Run, own_broker: Settings) -> None:
        cut = a_letter(9, b"\xff" * (MOST_BYTES + 1))
        send(own_broker, OKTA, [])
        send(own_broker, DEADLETTER, [to_line(cut)])
        done = run("dlq", "replay", cut.id)
        assert done.exit_code == 1
        assert received(own_broker, OKTA, 0) == []

    @pytest.mark.parametrize("words", [[], ["x", "--all"]])
    def test_which_ones_must_be_said(self, run: Run, words: list[str]) -> None:
        assert run("dlq", "replay", *words).exit_code == 2


def test_a_broker_that_is_away(run: Run, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("AUDITWATCH_BROKER", "kafka://127.0.0.1:1")
    done = run("dlq", "list")
    assert done.exit_code == 2
    assert "check AUDITWATCH_BROKER" in done.stderr
    assert list(place.iterdir()) == []
