from __future__ import annotations

import msgspec
import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.deadletter import MOST_BYTES, MOST_TEXT, dead_letter, from_line, to_line
from streams.kafka import MAX_MESSAGE_BYTES

PLACE = ("audit.raw.okta", 3, 41)
NOW = 1_768_000_000_000_000


@given(st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_every_byte_comes_back_from_a_line(raw: bytes, error: str) -> None:
    letter = dead_letter("normalise", PLACE, error, raw, NOW)
    line = to_line(letter)
    assert b"\n" not in line
    assert from_line(line) == letter
    assert letter.payload() == raw
    assert (letter.raw is None) != (letter.raw_base64 is None)
    assert letter.length == len(raw)


def test_it_names_place_reason_and_time() -> None:
    line = orjson.loads(to_line(dead_letter("score", PLACE, "no JSON", b'{"a', NOW)))
    assert line["time"].startswith("2026-01-0")
    assert {name: line[name] for name in ("stage", "topic", "partition", "offset", "error", "raw", "raw_base64")} == {
        "stage": "score", "topic": "audit.raw.okta", "partition": 3, "offset": 41, "error": "no JSON", "raw": '{"a',
        "raw_base64": None,
    }  # fmt: skip


def test_the_same_bytes_at_the_same_place_are_the_same_letter() -> None:
    ids = {dead_letter("score", PLACE, error, b"x", now).id for error, now in (("a", NOW), ("b", NOW + 1))}
    assert len(ids) == 1
    others = [
        dead_letter("score", (PLACE[0], PLACE[1], 42), "a", b"x", NOW),
        dead_letter("score", PLACE, "a", b"y", NOW),
    ]
    long = [dead_letter("score", PLACE, "a", byte * 5000, NOW) for byte in (b"x", b"y")]
    assert len(ids | {letter.id for letter in others + long}) == 5


def test_a_huge_one_still_fits_a_message_and_says_how_long_it_was() -> None:
    for raw in (
        b"\x00" * (20 * 2**20),
        b"\x01" * MOST_TEXT,
        b"\xff" * MOST_BYTES,
        "\u2028".encode() * (MOST_TEXT // 3),
    ):
        letter = dead_letter("normalise", PLACE, "too long", raw, NOW)
        assert len(to_line(letter)) < MAX_MESSAGE_BYTES
        assert letter.length == len(raw)
        assert raw.startswith(letter.payload())
        assert len(letter.payload()) == min(len(raw), MOST_BYTES)


def test_a_line_of_an_older_version_can_be_read() -> None:
    line = msgspec.structs.asdict(dead_letter("score", PLACE, "a", b"x", NOW))
    del line["length"]
    assert from_line(orjson.dumps(line)).payload() == b"x"
