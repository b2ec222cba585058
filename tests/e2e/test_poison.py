"""Records nobody can read: each becomes a dead letter with its reason and its place, and harms no other."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.files import records
from streams.kafka import EVENTS, FINDINGS, MAX_MESSAGE_BYTES, RAW, client_options
from streams.packet import decode_events
from streams.settings import Settings
from tests.e2e.conftest import Logs
from tests.e2e.house import House
from tests.e2e.logbook import Logbook

TOPIC = RAW + "okta"


@pytest.fixture
def good(few_logs: Logs) -> list[bytes]:
    return [line for _, line in records(str(few_logs.files["okta"]))][:200]


def changed(line: bytes, **fields: Any) -> bytes:
    return orjson.dumps(orjson.loads(line) | fields)


async def test_bad_records_become_dead_letters(empty_house: House, few_logs: Logs, good: list[bytes]) -> None:
    bad = {
        "no JSON": good[0][:-20],
        "UTF-8": b'{"uuid": "\xff\xfe"}',
        "nested": b'{"uuid": "deep", "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        "longer": b'{"uuid": "long", "x": "' + b"a" * 5_000_000 + b'"',
        "object": b"42",
    }
    lines = list(good)
    for number, line in enumerate(bad.values()):
        lines.insert(40 * number, line)
    lines.insert(100, changed(good[0], uuid="large", debugContext={"debugData": {"x": "y" * 5_000_000}}))
    lines.insert(120, changed(good[0], uuid="future", published="2999-01-01T00:00:00.000Z"))
    file = empty_house.folder / "mixed.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        await empty_house.ingest("okta", file)
        wanted = {orjson.loads(line)["uuid"] for line in good} | {"large", "future"}
        await book.until("all good events", lambda: book.event_ids >= wanted)
        await book.until("the dead letters", lambda: len(book.letters) >= len(bad))
        assert book.event_ids == wanted
        events = {event.id: event for record in book.records[EVENTS] for event in decode_events(record.value).items}
        assert "trimmed" in events["large"].marks
        assert "time_replaced" in events["future"].marks
        letters = {bytes_of(letter): letter for letter in book.letters}
        assert len(letters) == len(book.letters) == len(bad)
        for raw, letter in letters.items():
            (line,) = [line for line in bad.values() if line.startswith(raw) and len(line) == letter["length"]]
            assert (letter["stage"], letter["topic"]) == ("normalise", TOPIC)
            assert line in await value_at(empty_house.settings, letter["partition"], letter["offset"])
            assert letter["error"]
        await book.caught_up()
    worker.end()


async def test_garbage_in_any_topic_stops_nobody(empty_house: House, few_logs: Logs, good: list[bytes]) -> None:
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        producer = AIOKafkaProducer(**client_options(empty_house.settings), max_request_size=MAX_MESSAGE_BYTES)
        await producer.start()
        for topic, value in (
            (TOPIC, None),
            (TOPIC, b""),
            (TOPIC, bytes(range(256))),
            (TOPIC, b'"' * 7_000_000),  # a dead letter needs an escape for each byte of it
            (EVENTS, b"\xc1 no packet"),
            (EVENTS, None),
            (FINDINGS, b"\x93\xa1o\x90"),
            (TOPIC, good[0]),
        ):
            await producer.send_and_wait(topic, value, key=b"\xff", partition=0)
        await producer.stop()
        await book.until("the event", lambda: book.event_ids == {orjson.loads(good[0])["uuid"]})
        await book.until("the letters", lambda: len(book.letters) >= 6)
        places = sorted((letter["stage"], letter["topic"], letter["offset"]) for letter in book.letters)
        assert [place for place in places if place[0] != "normalise"] == [
            ("correlate", FINDINGS, 0),
            ("score", EVENTS, 0),
            ("score", EVENTS, 1),
        ]
        assert {offset for stage, _, offset in places if stage == "normalise"} >= {2, 3}
        await book.caught_up()
    assert worker.alive
    worker.end()


def bytes_of(letter: dict[str, Any]) -> bytes:
    return base64.b64decode(letter["raw_base64"]) if letter["raw_base64"] else str(letter["raw"]).encode()


async def value_at(settings: Settings, partition: int, offset: int) -> bytes:
    consumer = AIOKafkaConsumer(**client_options(settings))
    await consumer.start()
    try:
        place = TopicPartition(TOPIC, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        return bytes((await consumer.getone(place)).value)
    finally:
        await consumer.stop()
