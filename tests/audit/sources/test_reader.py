from __future__ import annotations

import gzip
import zlib
from typing import Any

import msgspec
import orjson
import pytest

from audit.context import EMPTY
from audit.event import MICROSECONDS, AuditEvent, from_line, parse_rfc3339, rfc3339, to_line
from audit.sources import reader
from audit.sources.fields import Unreadable
from audit.sources.reader import LARGEST_RAW, Reject, read, split
from tests.audit.sources.golden import ARRIVAL
from tests.audit.sources.test_cloudtrail import record


def read_one(payload: bytes | dict[str, Any], arrival: int = ARRIVAL) -> AuditEvent:
    [entry] = read("cloudtrail", payload if isinstance(payload, bytes) else orjson.dumps(payload), arrival, EMPTY)
    assert isinstance(entry, list)
    [event] = entry
    assert from_line(to_line(event)) == event
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AuditEvent) == event
    assert b"\n" not in to_line(event)
    return event


def reject(payload: bytes) -> Reject:
    [entry] = read("cloudtrail", payload, ARRIVAL, EMPTY)
    assert isinstance(entry, Reject)
    return entry


ONE, TWO = b'{"eventName":"A"}', b'{"eventName": "B"}'


@pytest.mark.parametrize(
    ("payload", "slices"),
    [
        (ONE, [ONE]),
        (b" \n" + ONE, [b" \n" + ONE]),
        (b"[%s, %s]" % (ONE, TWO), [ONE, TWO]),
        (b'{"Records": [%s,%s]}' % (ONE, TWO), [ONE, TWO]),
        (b'{"kind":"EventList","metadata":{},"items":[%s]}' % TWO, [TWO]),
        (b"[]", []),
        (b'{"Records":[]}', []),
        (b"%s\n%s\n\n" % (ONE, TWO), [ONE, TWO]),
        (b'{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":%s}' % TWO, [TWO]),
        (b'{"records":[%s, %s]}' % (ONE, TWO), [ONE, TWO]),
        (b'{"entries": [%s], "nextPageToken": "x"}' % TWO, [TWO]),
        (b'{"@odata.context": "https://x", "value": [%s]}' % TWO, [TWO]),
        (b'{"value": [%s]}' % TWO, None),
        (b'{"records": "none"}', None),
        (b'{"eventName":"A","requestParameters":{"items":[1]}}', None),
        (b'{"eventName":"A","items":{"not":"a list"}}', None),
        (b'{"eventName":"A","detail":{"eventName":"forged"}}', None),
    ],
)
def test_split(payload: bytes, slices: list[bytes] | None) -> None:
    assert split(payload) == (slices if slices is not None else [payload])
    assert split(gzip.compress(payload)) == split(payload)


@pytest.mark.parametrize(
    "payload", [b"", b"   ", b"null", b"17", b'"text"', b"\x00\x01", b"{", b"[", b'{"a":', b"[1,", b"sshd[7]: x"]
)
def test_no_records_at_all(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        split(payload)
    assert reject(payload).raw == payload


def test_gzip_is_bounded_and_may_have_members(monkeypatch: pytest.MonkeyPatch) -> None:
    assert split(gzip.compress(b"[" + ONE) + gzip.compress(b"," + TWO + b"]")) == [ONE, TWO]
    packed = gzip.compress(ONE)
    assert "cut short" in reject(packed[:-9]).error
    assert "broken" in reject(packed[:-8] + b"\xff" * 8).error
    monkeypatch.setattr(reader, "LARGEST_DOCUMENT", 1000)
    bomb = gzip.compress(b"[" + b" " * 5000 + b"]")
    assert "unfolds to more than 1000" in reject(bomb).error
    assert reject(bomb).raw == bomb


def test_an_endless_run_of_members_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGEST_DOCUMENT", 1000)
    member = zlib.compressobj(wbits=31)
    packed = member.compress(b" " * 400) + member.flush()
    assert "more than 1000" in reject(packed * 5).error


def test_entries_come_in_order_and_a_bad_record_costs_only_itself() -> None:
    good = orjson.dumps(record("GetObject", "s3"))
    entries = read("cloudtrail", b"[" + b",".join([good, b'{"foreign":1}', b"17", good]) + b"]", ARRIVAL, EMPTY)
    assert [type(entry) for entry in entries] == [list, Reject, Reject, list]
    assert [entry.index for entry in entries if isinstance(entry, Reject)] == [1, 2]
    assert [entry.raw for entry in entries if isinstance(entry, Reject)] == [b'{"foreign":1}', b"17"]


@pytest.mark.parametrize("bad", [b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"eventName":"A"', b'{"eventName":"A" oops}'])
def test_a_record_that_breaks_the_list_leaves_its_neighbours(bad: bytes) -> None:
    good = orjson.dumps(record("GetObject", "s3", userAgent='brackets ] } , in a "text" \\'))
    entries = read("cloudtrail", b"[" + b",".join([good, good, bad]) + b"]", ARRIVAL, EMPTY)
    assert [type(entry) for entry in entries[:3]] == [list, list, Reject]


def test_unpaired_brackets_never_lose_bytes() -> None:
    payload = b'[{"a":1}]]] , {"eventName":"B"}'
    assert b"".join(split(payload)).count(b"eventName") == 1


@pytest.mark.parametrize("depth", [99, 100, 5000])
def test_nesting(depth: int) -> None:
    payload = b'{"eventName":"A","x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    if depth <= reader.DEEPEST:
        assert read_one(payload).action == "A"
    else:
        assert reject(payload).raw == payload


def test_many_brackets_are_not_deep() -> None:
    assert read_one(record("PutItem", "dynamodb", requestParameters={"items": [[{}]] * 500})).action == "PutItem"


def test_one_level_too_many() -> None:
    assert "nested deeper" in reject(b'{"eventName":"A","x":' + b"[" * 100 + b"]" * 100 + b"}").error


@pytest.mark.parametrize(
    "value",
    [b"NaN", b"Infinity", b"1e400", b'"\xff"', b'"\xed\xa0\x80"', b'"a\x00b"', b'"a\nb"', b"01", b"'x'"],
)
def test_json_that_is_none(value: bytes) -> None:
    payload = b'{"eventName":"A","x":%s}' % value
    assert reject(payload).raw == payload


@pytest.mark.parametrize(
    "value", [b"1" * 400, b"-" + b"9" * 30, b'"\\u0000"', b'"\\ud83d\\ude00"', b"1.0000000000000000001"]
)
def test_odd_json_that_is_some(value: bytes) -> None:
    if value == b"1" * 400:
        assert "infinity" in reject(b'{"eventName":"A","x":%s}' % value).error
    else:
        assert read_one(b'{"eventName":"A","userAgent":%s}' % value).raw.endswith(value + b"}")


def test_of_duplicate_keys_the_last_counts_as_for_every_rule_reading_raw() -> None:
    event = read_one(b'{"eventName":"GetUser","eventName":"DeleteUser"}')
    assert event.action == orjson.loads(event.raw)["eventName"] == "DeleteUser"


@pytest.mark.parametrize("half", [b"\\ud83d", b"\\uDE00", b"\\ud83d\\ud83d\\ude00", b"\\ude00\\ud83d"])
def test_half_a_surrogate_pair_hides_nobody(half: bytes) -> None:
    """Vendors cut texts in the middle of an emoji; no JSON parser takes that."""
    payload = b'{"eventName":"DeleteTrail","userAgent":"x%s"}' % half
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(payload)
    assert read_one(payload).action == "DeleteTrail"
    assert "�" in (read_one(payload).user_agent or "")
    for several in (b"[%s,%s]" % (ONE, payload), b"%s\n%s" % (ONE, payload), b'{"Records":[%s,%s]}' % (ONE, payload)):
        assert [type(entry) for entry in read("cloudtrail", several, ARRIVAL, EMPTY)] == [list, list]


def test_an_escaped_backslash_is_no_surrogate() -> None:
    payload = b'{"eventName":"A","userAgent":"\\\\ud800 \\ud800"}'
    assert read_one(payload).user_agent == "\\ud800 �"


def test_a_time_far_ahead_is_replaced() -> None:
    arrival = parse_rfc3339("2026-03-02T09:00:00Z")
    ahead = [rfc3339(arrival + seconds * MICROSECONDS) for seconds in (600, 601)]
    assert read_one(record("A", "s3", eventTime=ahead[0]), arrival).marks == ()
    late = read_one(record("A", "s3", eventTime=ahead[1]), arrival)
    assert (late.time, late.marks) == (arrival, ("time_replaced",))
    for absurd in ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"):
        [entry] = read("cloudtrail", orjson.dumps(record("A", "s3", eventTime=absurd)), arrival, EMPTY)
        assert isinstance(entry, Reject) or entry[0].time == arrival


def test_no_time_is_the_arrival_but_an_unreadable_one_is_a_reject() -> None:
    event = read_one({"eventName": "A"})
    assert (event.time, event.marks) == (ARRIVAL, ("time_missing",))
    assert "time" in reject(orjson.dumps(record("A", "s3", eventTime="yesterday"))).error


def test_a_pretty_record_becomes_one_line() -> None:
    pretty = orjson.dumps(record("GetObject", "s3"), option=orjson.OPT_INDENT_2)
    assert read_one(pretty).raw == orjson.dumps(record("GetObject", "s3"))
    assert read_one(pretty).id == read_one(record("GetObject", "s3")).id


def test_a_long_record_is_read_whole_and_carried_short() -> None:
    long = record("PutObject", "s3", requestParameters={"bucketName": "b", "body": "x" * 1_000_000})
    event = read_one(long)
    assert event.marks == ("trimmed",)
    assert event.resource is not None
    assert event.resource.name == "b"
    assert len(event.raw) <= LARGEST_RAW
    assert orjson.loads(event.raw)["requestParameters"]["bucketName"] == "b"
    assert orjson.loads(event.raw)["eventID"] == long["eventID"]


@pytest.mark.parametrize(
    "huge",
    [
        ["x" * 100] * 50_000,
        {f"key {number}": "v" * 50 for number in range(50_000)},
        [[[["x" * 300] * 20] * 20] * 20] * 2,
        {"k" * 3_000_000: 1},
        {"a": {"b": {"c": ["y" * 4_000_000]}}},
    ],
)
def test_every_shape_is_trimmed(huge: Any) -> None:
    event = read_one(record("PutObject", "s3", requestParameters=huge))
    assert len(event.raw) <= LARGEST_RAW
    assert orjson.loads(event.raw)["eventName"] == "PutObject"


def test_too_long_a_record_is_refused() -> None:
    payload = orjson.dumps(record("PutObject", "s3", requestParameters={"body": "x" * reader.LARGEST_RECORD}))
    assert "longer than" in reject(payload).error


def test_a_stage_that_is_no_deed_is_neither_event_nor_reject() -> None:
    payload = b'{"verb":"get","stage":"RequestReceived","requestReceivedTimestamp":"2026-03-02T08:15:30Z"}'
    assert read("kubernetes", payload, ARRIVAL, EMPTY) == [[]]


def test_an_unknown_source_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError, match="cloudtrial"):
        read("cloudtrial", b"{}", ARRIVAL, EMPTY)


LINE = b"Mar  2 08:15:30 web1 sshd[1]: Failed password for root from 198.51.100.7 port 5 ssh2"


@pytest.mark.parametrize(
    ("payload", "count"),
    [
        (LINE, 1),
        (LINE + b"\n" + LINE + b"\r\n\n", 2),
        (gzip.compress(LINE + b"\n" + LINE), 2),
        (orjson.dumps({"message": LINE.decode()}), 1),
        (orjson.dumps([{"message": LINE.decode()}, {"message": "x"}]), 2),
        (orjson.dumps({"message": LINE.decode()}) + b"\n" + LINE, 2),
    ],
)
def test_a_source_of_text_takes_lines_and_json(payload: bytes, count: int) -> None:
    entries = read("linux", payload, ARRIVAL, EMPTY)
    assert len(entries) == count
    assert all(isinstance(entry, list) for entry in entries)


def test_lines_have_bounds_and_a_broken_one_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = b"Feb 30 08:15:30 web1 sshd[1]: x"
    first, second, third = read("linux", LINE + b"\n" + broken + b"\n" + LINE, ARRIVAL, EMPTY)
    assert second == Reject(1, second.error, broken)  # type: ignore[union-attr]
    assert isinstance(first, list)
    assert isinstance(third, list)
    monkeypatch.setattr(reader, "LARGEST_RECORD", 50)
    assert "longer than 50 bytes" in read("linux", LINE, ARRIVAL, EMPTY)[0].error  # type: ignore[union-attr]
    [unfolded] = read("linux", gzip.compress(LINE)[:-9], ARRIVAL, EMPTY)
    assert isinstance(unfolded, Reject)


def test_a_line_ahead_of_its_arrival_gets_the_arrival() -> None:
    """A host's clock, or its zone, a few hours ahead: not the year before."""
    [[event]] = read("linux", LINE.replace(b"08:15", b"23:15"), ARRIVAL, EMPTY)  # type: ignore[misc]
    assert (event.time, event.marks) == (ARRIVAL, ("time_replaced",))
