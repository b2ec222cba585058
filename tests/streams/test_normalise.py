from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from audit.context import EMPTY
from streams import normalise as module
from streams.normalise import RawMessage, normalise
from streams.packet import mark

ARRIVAL = 1_800_000_000_000_000


def record(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "eventID": f"e{number}",
        "eventTime": "2026-01-05T09:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::1:user/u{number}", "userName": f"u{number}"},
    } | changes


def message(payload: bytes, lane: int = 0, offset: int = 0) -> RawMessage:
    return RawMessage("cloudtrail", lane, offset, ARRIVAL, payload)


def test_each_event_bears_its_place_and_goes_by_its_principal() -> None:
    batch = orjson.dumps({"Records": [record(1), record(2)]})
    outputs, faults = normalise([message(batch, 3, 7), message(orjson.dumps(record(3)), 4, 8)], EMPTY)
    assert [(output.partition, output.mark, output.item.id) for output in outputs] == [
        (3, mark(7), "e1"),
        (3, mark(7) + 1, "e2"),
        (4, mark(8), "e3"),
    ]
    assert [output.key for output in outputs] == [output.item.actor.id for output in outputs]
    assert not faults


def test_the_same_payload_gives_the_same_marks_whatever_else_is_in_the_batch() -> None:
    payload = orjson.dumps([record(1), {"no": "record"}, record(2)])
    (alone, _), (among, _) = (
        normalise([message(payload, 1, 5)], EMPTY),
        normalise([message(b"x"), message(payload, 1, 5)], EMPTY),
    )
    assert alone == among


def test_many_events_of_one_message_stay_within_their_offset() -> None:
    payload = gzip.compress(orjson.dumps({"Records": [record(1)] * 3000}))
    outputs, _ = normalise([message(payload, 0, 1), message(payload, 0, 2)], EMPTY)
    marks = [output.mark for output in outputs]
    assert marks == sorted(set(marks))
    assert len(marks) == 6000


def test_what_nobody_can_read_is_a_fault_with_its_bytes_and_the_rest_goes_on() -> None:
    bad = orjson.dumps({"eventID": "x"})
    payload = b"[" + bad + b"," + orjson.dumps(record(1)) + b"]"
    outputs, faults = normalise([message(b"\xff\x00 junk", 2, 9), message(payload, 2, 10)], EMPTY)
    assert [output.item.id for output in outputs] == ["e1"]
    assert [(fault.partition, fault.offset, fault.raw) for fault in faults] == [(2, 9, b"\xff\x00 junk"), (2, 10, bad)]
    assert all(fault.error for fault in faults)


def test_a_bug_in_a_source_costs_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    read = module.read

    def buggy(source: str, payload: bytes, *more: Any) -> Any:
        if b"e2" in payload:
            raise TypeError("a bug")
        return read(source, payload, *more)

    monkeypatch.setattr(module, "read", buggy)
    outputs, faults = normalise([message(orjson.dumps(record(n)), 0, n) for n in (1, 2, 3)], EMPTY)
    assert [output.item.id for output in outputs] == ["e1", "e3"]
    (fault,) = faults
    assert (fault.offset, fault.error) == (2, "reading failed: TypeError('a bug')")
    assert fault.raw == orjson.dumps(record(2))


def test_half_a_surrogate_pair_does_not_make_a_record_unreadable() -> None:
    text = (
        orjson.dumps(record(1, eventName="X")).replace(b'"X"', b'"Get\\ud83dObject"').replace(b'"e1"', b'"e\\udc001"')
    )
    (output,), faults = normalise([message(text)], EMPTY)
    assert not faults
    assert (output.item.action, output.item.id) == ("Get\ufffdObject", "e\ufffd1")


def test_an_empty_message_is_a_fault() -> None:
    outputs, faults = normalise([message(b"")], EMPTY)
    assert not outputs
    assert len(faults) == 1
