"""Records made by somebody who wants the reader to fall over."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.context import EMPTY
from audit.event import MICROSECONDS, AuditEvent, from_line, to_line
from audit.sources import SOURCES, linux
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.reader import LARGEST_RAW, Reject, read
from tests.audit.sources import (
    test_azure,
    test_cloudtrail,
    test_entra,
    test_gcp,
    test_github,
    test_google_workspace,
    test_kubernetes,
    test_linux,
    test_maps,
    test_o365,
    test_okta,
)
from tests.audit.sources.golden import ARRIVAL

RECORDS = {
    "cloudtrail": [record for record, _ in test_cloudtrail.GOLDEN.values()],
    "okta": [record for record, _ in test_okta.GOLDEN.values()],
    "github": [record for record, _ in test_github.GOLDEN.values()],
    "kubernetes": [record for record, _ in test_kubernetes.GOLDEN.values()],
    "entra": [record for module in (test_entra, test_azure) for record, _ in module.GOLDEN.values()],
    "o365": [record for record, _ in test_o365.GOLDEN.values()],
    "gcp": [record for record, _ in test_gcp.GOLDEN.values()],
    "google_workspace": [record for record, _ in test_google_workspace.GOLDEN.values()]
    + [test_google_workspace.activity(*map(test_google_workspace.event, "abc"))],
    "linux": [
        linux.opened(test_linux.FAILED, ARRIVAL),
        linux.opened(test_linux.AUDIT, ARRIVAL),
        {"MESSAGE": "x", "__REALTIME_TIMESTAMP": "1772439330123456", "_HOSTNAME": "h", "SYSLOG_IDENTIFIER": "sshd"},
        {"message": test_linux.FAILED, "@timestamp": "2026-03-02T08:15:30Z", "agent": {"type": "filebeat"}},
    ],
}
for _source, _record, _ in test_maps.GOLDEN.values():
    RECORDS.setdefault(_source, []).append(_record)
LINES = [
    test_linux.FAILED,
    test_linux.AUDIT,
    f'<34>1 2026-03-02T08:15:30Z h sshd 1 i [a b="c"] {test_linux.FAILED[40:]}',
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["", "\x00", "null", "x" * 5000, "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z", "fe80::1%a"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside, at every depth."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


def mutate(record: Any, draw: Any) -> None:
    container, key = draw(st.sampled_from(places(record)))
    deed = draw(st.sampled_from(["replace", "drop", "wrap", "name"]))
    if deed == "replace":
        container[key] = draw(values)
    elif deed == "wrap":
        container[key] = [container[key]]
    elif deed == "name":
        container[key] = str(container[key])
    elif isinstance(container, dict):
        del container[key]


@st.composite
def mutants(draw: Any) -> tuple[str, dict[str, Any]]:
    source = draw(st.sampled_from(sorted(RECORDS)))
    record = copy.deepcopy(draw(st.sampled_from(RECORDS[source])))
    for _ in range(draw(st.integers(1, 6))):
        if places(record):
            mutate(record, draw)
    return source, record


def assert_sound(source: str, payload: bytes) -> None:
    for entry in read(source, payload, ARRIVAL, EMPTY):
        if isinstance(entry, Reject):
            assert entry.error
            assert entry.raw or not payload
            continue
        for event in entry:
            assert from_line(to_line(event)) == event
            assert b"\n" not in to_line(event)
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AuditEvent) == event
            assert 0 <= event.time <= ARRIVAL + 600 * MICROSECONDS
            assert event.id
            assert event.actor.id
            assert len(event.raw) <= LARGEST_RAW
            assert isinstance(orjson.loads(event.raw), dict)


@settings(max_examples=400, deadline=None)
@given(mutants())
def test_mutated_records_become_events_or_rejects(mutant: tuple[str, dict[str, Any]]) -> None:
    source, record = mutant
    assert_sound(source, orjson.dumps(record))
    with suppress(Unreadable):  # and nothing else is raised
        assert all(event.time >= UNTIMED for event in SOURCES[source](record, orjson.dumps(record)))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(RECORDS)), values)
def test_anything_at_all(source: str, value: Any) -> None:
    assert_sound(source, orjson.dumps(value))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_broken_bytes(data: Any) -> None:
    source = data.draw(st.sampled_from(sorted(RECORDS)))
    payload = bytearray(orjson.dumps(data.draw(st.sampled_from(RECORDS[source]))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        junk = data.draw(st.sampled_from([b"", b"\x00", b"\xff", b"\\ud800", b'"', b"{", b"]", b"\n", b"1e999", b"\\"]))
        payload[at : at + data.draw(st.integers(0, 3))] = junk
    assert_sound(source, bytes(payload))
    assert_sound(source, b"[" + bytes(payload) + b"," + bytes(payload) + b"]")


@pytest.mark.parametrize("source", sorted(RECORDS))
def test_every_field_of_every_wrong_type(source: str) -> None:
    for record in RECORDS[source]:
        for index in range(len(places(record))):
            for wrong in (None, [], {}, [[]], 7, 1.5, "x", True, {"a": {"b": []}}):
                changed = copy.deepcopy(record)
                container, key = places(changed)[index]
                container[key] = wrong
                assert_sound(source, orjson.dumps(changed))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_broken_lines(data: Any) -> None:
    line = bytearray(data.draw(st.sampled_from(LINES)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(line) - 1))
        junk = data.draw(
            st.sampled_from([b"", b"\x00", b"\xff", b'"', b"'", b"=", b"]", b"[", b": ", b"\n", b" from ", b"{", b"%"])
        )
        line[at : at + data.draw(st.integers(0, 3))] = junk
    assert_sound("linux", bytes(line))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_as_lines(payload: bytes) -> None:
    assert_sound("linux", payload)


def test_every_source_is_here() -> None:
    assert set(RECORDS) == set(SOURCES)
