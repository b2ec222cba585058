from __future__ import annotations

import gzip
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.sources.reader import split
from streams.commands.ingest import LARGEST, packed
from streams.kafka import RAW
from streams.settings import Settings
from tests.streams.commands.conftest import Run, received, start

RECORDS = [json.dumps({"eventID": str(number), "eventName": "CreateUser"}).encode() for number in range(120)]
JSONL = b"\n".join(RECORDS) + b"\n"
TOPIC = RAW + "cloudtrail"


def shipped(settings: Settings, messages: int) -> list[bytes]:
    """The records of the first messages of the topic, which all lie on one partition."""
    got = received(settings, TOPIC, messages)
    assert len(got) == messages
    assert len({partition for partition, _ in got}) == 1
    return [orjson.dumps(orjson.loads(record)) for _, payload in got for record in split(payload)]


PLAIN = [orjson.dumps(orjson.loads(record)) for record in RECORDS]


@pytest.mark.parametrize(
    "content",
    [
        JSONL,
        gzip.compress(JSONL),
        b'{"Records": [' + b",".join(RECORDS) + b"]}",
        json.dumps({"Records": [json.loads(record) for record in RECORDS]}, indent=1).encode(),
        b"[" + b",".join(RECORDS) + b"]",
        b'{"kind": "EventList", "items": [' + b",".join(RECORDS) + b"]}",
    ],
    ids=["lines", "gzip", "Records", "pretty", "list", "EventList"],
)
def test_every_form_is_packed_in_the_files_order(run: Run, own_broker: Settings, place: Path, content: bytes) -> None:
    (place / "log").write_bytes(content)
    done = run("ingest", "cloudtrail=log")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"120 records sent to {TOPIC}\n")
    assert shipped(own_broker, 3) == PLAIN


def test_standard_input(run: Run, own_broker: Settings) -> None:
    assert run("ingest", "cloudtrail=-", input=JSONL).exit_code == 0
    assert shipped(own_broker, 3) == PLAIN


def test_one_record_a_message(run: Run, own_broker: Settings) -> None:
    run("ingest", "cloudtrail=-", "--pack", 1, input=JSONL)
    assert shipped(own_broker, 120) == PLAIN


def test_a_bad_line_travels_alone_and_its_neighbours_stay(run: Run, own_broker: Settings) -> None:
    bad = b'\xff{"broken'
    run("ingest", "cloudtrail=-", input=b"\n".join([*RECORDS[:2], bad, *RECORDS[2:4]]))
    payloads = [payload for _, payload in received(own_broker, TOPIC, 3)]
    assert payloads == [b"[" + b",".join(RECORDS[:2]) + b"]", bad, b"[" + b",".join(RECORDS[2:4]) + b"]"]


def test_a_record_too_large_is_told_and_not_sent(run: Run, own_broker: Settings) -> None:
    large = b'{"x": "' + b"y" * LARGEST + b'"}'
    done = run("ingest", "cloudtrail=-", input=b"\n".join([RECORDS[0], large, RECORDS[1]]))
    assert done.exit_code == 1
    assert f"-:2: {len(large)} bytes are more than a message holds: not sent" in done.stderr
    assert done.stderr.endswith(f"2 records sent to {TOPIC}, 1 too large\n")
    assert shipped(own_broker, 1) == PLAIN[:2]


def test_the_largest_that_fits_is_sent(run: Run, own_broker: Settings) -> None:
    large = b'{"x":"' + b"y" * (LARGEST - 8) + b'"}'
    assert len(large) == LARGEST
    assert run("ingest", "cloudtrail=-", input=large).exit_code == 0
    assert shipped(own_broker, 1) == [large]


def test_text_lines_share_a_message_too(run: Run, own_broker: Settings) -> None:
    texts = [b"Mar  2 09:14:07 web sshd[%d]: Accepted publickey for alice" % number for number in range(3)]
    run("ingest", "linux=-", input=b"\n".join([*texts, b"[ 0.0] a kernel", *texts[:2], RECORDS[0]]))
    payloads = [payload for _, payload in received(own_broker, RAW + "linux", 4)]
    assert payloads == [b"\n".join(texts), b"[ 0.0] a kernel", b"\n".join(texts[:2]), b"[" + RECORDS[0] + b"]"]


class TestFollow:
    @pytest.fixture
    def following(self, own_broker: Settings, place: Path) -> Iterator[subprocess.Popen[str]]:
        (place / "log").write_bytes(RECORDS[0] + b"\n")
        process = start(place, "ingest", "cloudtrail=log", "--follow", stderr=subprocess.PIPE)
        yield process
        process.kill()
        process.wait()

    @pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
    def test_what_is_written_is_sent_until_told_to_stop(
        self, following: subprocess.Popen[str], own_broker: Settings, place: Path, told: signal.Signals
    ) -> None:
        assert shipped(own_broker, 1) == PLAIN[:1]
        with (place / "log").open("ab") as log:
            log.write(b"\n".join(RECORDS[1:100]) + b"\n")
        assert shipped(own_broker, 100) == PLAIN[:100]
        following.send_signal(told)
        _, said = following.communicate(timeout=20)
        assert said.endswith(f"100 records sent to {TOPIC}\n")
        assert "Traceback" not in said
        assert following.returncode == 0

    def test_a_large_backlog_does_not_take_a_round_trip_a_record(self, own_broker: Settings, place: Path) -> None:
        begun = time.monotonic()
        with start(
            place, "ingest", "cloudtrail=-", "--follow", stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            _, said = process.communicate((JSONL * 50).decode(), timeout=60)
        assert said.endswith(f"6000 records sent to {TOPIC}\n")
        assert time.monotonic() - begun < 15

    def test_gzip_does_not_grow(self, run: Run, own_broker: Settings, place: Path) -> None:
        (place / "log.gz").write_bytes(gzip.compress(JSONL))
        done = run("ingest", "cloudtrail=log.gz", "--follow")
        assert done.exit_code == 2
        assert "a gzip file does not grow" in done.stderr


class TestUnusable:
    def test_a_missing_file(self, run: Run, own_broker: Settings) -> None:
        done = run("ingest", "cloudtrail=missing")
        assert done.exit_code == 2
        assert "missing: No such file" in done.stderr

    def test_a_file_cut_short_is_sent_as_far_as_it_goes(self, run: Run, own_broker: Settings, place: Path) -> None:
        (place / "log.gz").write_bytes(gzip.compress(JSONL * 100)[:-20])
        done = run("ingest", "cloudtrail=log.gz")
        assert done.exit_code == 2
        assert "its gzip is cut short" in done.stderr
        assert received(own_broker, TOPIC, 1)

    def test_no_broker(self, run: Run) -> None:
        done = run("ingest", "cloudtrail=-", input="")
        assert done.exit_code == 2
        assert "set AUDITWATCH_BROKER" in done.stderr
        assert "AUDITWATCH_REDIS" not in done.stderr

    def test_an_unknown_source(self, run: Run) -> None:
        assert run("ingest", "aws=-").exit_code == 2


objects = st.dictionaries(st.text(max_size=3), st.booleans(), max_size=3).map(orjson.dumps)
others = st.sampled_from([b"x", b"[1,2]", b"3", b'"text"', b"\xff", b'{"a":'])


@given(st.lists(objects | others, max_size=30), st.integers(1, 7), st.booleans())
def test_packing_keeps_every_record_in_order(records: list[bytes], pack: int, texts: bool) -> None:
    unpacked = []
    for count, payload in packed(records, pack, texts):
        inside = split(payload) if payload.startswith(b"[{") else payload.split(b"\n") if count > 1 else [payload]
        assert len(inside) == count <= pack
        unpacked += inside
    assert unpacked == records
