"""From a payload (a message, a line, a document) to events: bounded, and without an exception for bad input."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import orjson

from audit.context import Context
from audit.event import MICROSECONDS, AuditEvent
from audit.identity import identify
from audit.sources import LINES, SOURCES, Opener
from audit.sources.fields import UNTIMED, Unreadable

LARGEST_DOCUMENT = 64 * 2**20
"""Bytes a compressed payload may unfold to."""
LARGEST_RECORD = 8 * 2**20
LARGEST_RAW = 256 * 2**10
"""Bytes of a record an event carries whole; a longer one is trimmed."""
DEEPEST = 100
FUTURE = 600 * MICROSECONDS
"""How far ahead of its arrival an event's time is believed: ten minutes."""

_TRIMS = ((4096, 256), (512, 64), (128, 16), (64, 4))
_GZIP = b"\x1f\x8b"


class Reject(msgspec.Struct, frozen=True):
    """A record that could not be read: its place in the payload, why, and its bytes as they came."""

    index: int
    error: str
    raw: bytes


def read(source: str, payload: bytes, arrival: int, context: Context) -> list[list[AuditEvent] | Reject]:
    """One entry for each record of a payload, in order: its events, or why there are none.

    `arrival` is in microseconds since the epoch. Bad input raises nothing.

    Raises:
        KeyError: when there is no such source.
    """
    if source not in SOURCES:
        raise KeyError(source)
    try:
        slices = _text(payload) if source in LINES else split(payload)
    except Unreadable as error:
        return [Reject(0, error.reason, payload)]
    return [_read_record(source, index, raw, arrival, context) for index, raw in enumerate(slices)]


def split(payload: bytes) -> list[bytes]:
    """The records of a payload, as the vendor wrote them.

    A payload is one object, a list, {"Records": []} (CloudTrail), {"items": []} (Kubernetes EventList, Google
    Reports), {"records": []} (Azure Event Hubs), {"entries": []} (Google Cloud Logging), a page of the Microsoft
    Graph API, an EventBridge envelope, or lines with an object each.

    Raises:
        Unreadable: when it is none of these, or unfolds to more than LARGEST_DOCUMENT.
    """
    if payload.startswith(_GZIP):
        payload = _unfold(payload)
    try:
        return _split(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        mended = _mended(payload)
        if mended != payload:
            return split(mended)
        slices = _told_apart(payload) if _LIST_OF_OBJECTS.match(payload) else []
        if len(slices) < 2:
            raise Unreadable(f"it is no JSON: {error}") from None
        return slices


_ABSENT = msgspec.Raw(b"")


class _Batch(msgspec.Struct, gc=False, rename={"detail_type": "detail-type", "odata": "@odata.context"}):
    Records: msgspec.Raw = _ABSENT
    items: msgspec.Raw = _ABSENT
    records: msgspec.Raw = _ABSENT
    entries: msgspec.Raw = _ABSENT
    value: msgspec.Raw = _ABSENT
    odata: msgspec.Raw = _ABSENT
    detail: msgspec.Raw = _ABSENT
    detail_type: msgspec.Raw = _ABSENT


_BATCH = msgspec.json.Decoder(_Batch)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def _split(payload: bytes) -> list[bytes]:
    head = payload[:64].lstrip()[:1]
    if head == b"[":
        return _slices(payload)
    if head != b"{":
        raise Unreadable("it is neither a JSON object nor a list of them")
    if b"\n" in payload and _is_lines(payload):
        return [line for line in payload.split(b"\n") if line.strip()]
    batch = _BATCH.decode(payload)
    page = batch.value if batch.odata is not _ABSENT else _ABSENT
    for many in (batch.Records, batch.items, batch.records, batch.entries, page):
        if many is not _ABSENT and bytes(many).startswith(b"["):
            return _slices(bytes(many))
    if batch.detail is not _ABSENT and batch.detail_type is not _ABSENT and bytes(batch.detail).startswith(b"{"):
        return [bytes(batch.detail)]
    return [payload]


def _slices(document: bytes) -> list[bytes]:
    return [bytes(item) for item in _LIST.decode(document)]


def _is_lines(payload: bytes) -> bool:
    """Whether the first line is a whole document: a pretty-printed one is not."""
    try:
        _BATCH.decode(payload[: payload.index(b"\n")])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


_LIST_OF_OBJECTS = re.compile(rb"\s*\[\s*\{")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def _told_apart(document: bytes) -> list[bytes]:
    """The elements of a list by its brackets alone: a broken one (too deep, cut short) leaves its neighbours."""
    depth, start, slices = 0, 0, []
    for token in _TOKEN.finditer(document):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            start = token.end() if depth == 1 else start
        elif mark in (b"]", b"}"):
            depth -= 1
        if depth == 0 or (depth == 1 and mark == b","):
            slices.append(document[start : token.start()])
            start = token.end()
        if depth == 0:
            break
    slices.append(document[start:])
    return [piece for piece in slices if piece.strip()]


# Half a surrogate pair, left behind where a vendor cut a text short, would make the record unreadable to every
# JSON parser: an actor could hide behind half an emoji in his user agent.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def _mended(payload: bytes) -> bytes:
    """The payload with half pairs replaced by U+FFFD."""
    return _ESCAPE.sub(_paired, payload)


def _paired(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape[1] else escape[0]


def _unfold(payload: bytes) -> bytes:
    """The bytes a gzip payload (one or more members) stands for."""
    parts, left = [], LARGEST_DOCUMENT
    while payload:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(payload, left + 1)
        except zlib.error as error:
            raise Unreadable(f"its gzip is broken: {error}") from None
        left -= len(part)
        if left < 0:
            raise Unreadable(f"it unfolds to more than {LARGEST_DOCUMENT} bytes")
        if not member.eof:
            raise Unreadable("its gzip is cut short")
        parts.append(part)
        payload = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _text(payload: bytes) -> list[bytes]:
    """The lines of a text payload; the records of a JSON one."""
    if payload.startswith(_GZIP):
        payload = _unfold(payload)
    if payload[:64].lstrip()[:1] in (b"{", b"["):
        with suppress(Unreadable):  # a line may begin with a bracket too: "[    0.000000] Linux version ..."
            return split(payload)
    return [line for line in payload.split(b"\n") if line.strip()] or [payload]


def _read_record(source: str, index: int, raw: bytes, arrival: int, context: Context) -> list[AuditEvent] | Reject:
    opened = LINES.get(source)
    try:
        if opened is None or raw[:64].lstrip().startswith(b"{"):
            record, line = _load(raw)
        else:
            record, line = _load_line(opened, raw, arrival)
        events = SOURCES[source](record, line)
    except Unreadable as error:
        return Reject(index, error.reason, raw)
    return [_finish(event, record, arrival, context) for event in events]


def _load_line(opened: Opener, raw: bytes, arrival: int) -> tuple[dict[str, Any], bytes]:
    if len(raw) > LARGEST_RECORD:
        raise Unreadable(f"it is longer than {LARGEST_RECORD} bytes: {len(raw)}")
    record = opened(raw.decode("utf-8", "replace").rstrip("\r\n"), arrival)
    return record, orjson.dumps(record)


def _load(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """The record and its JSON on one line, as an event carries it."""
    if len(raw) > LARGEST_RECORD:
        raise Unreadable(f"it is longer than {LARGEST_RECORD} bytes: {len(raw)}")
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        mended = _mended(raw)
        if mended != raw:
            return _load(mended)
        raise Unreadable(f"it is no JSON: {error}") from None
    if type(record) is not dict:
        raise Unreadable("it is no JSON object")
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _too_deep(record):
        raise Unreadable(f"it is nested deeper than {DEEPEST}")
    if b"\n" in raw or b"\r" in raw:
        return record, msgspec.json.format(raw, indent=-1)
    return record, raw


def _too_deep(record: dict[str, Any]) -> bool:
    level: list[Any] = [record]
    for _ in range(DEEPEST):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _finish(event: AuditEvent, record: Mapping[str, Any], arrival: int, context: Context) -> AuditEvent:
    if event.time == UNTIMED:
        event = msgspec.structs.replace(event, time=arrival, marks=(*event.marks, "time_missing"))
    elif event.time > arrival + FUTURE:
        event = msgspec.structs.replace(event, time=arrival, marks=(*event.marks, "time_replaced"))
    if len(event.raw) > LARGEST_RAW:
        event = msgspec.structs.replace(event, raw=_trimmed(record), marks=(*event.marks, "trimmed"))
    return identify(event, record, context)


def _trimmed(record: Mapping[str, Any]) -> bytes:
    """The record with long texts, lists and objects cut until it fits LARGEST_RAW."""
    for characters, entries in _TRIMS:
        shorter = orjson.dumps(_cut(record, characters, entries))
        if len(shorter) <= LARGEST_RAW:
            return shorter
    return orjson.dumps({key[:64]: _cut(value, 64, 0) for key, value in list(record.items())[:512]})


def _cut(value: Any, characters: int, entries: int) -> Any:
    if type(value) is str:
        return value[:characters]
    if type(value) is list:
        return [_cut(item, characters, entries) for item in value[:entries]]
    if type(value) is dict:
        kept = list(value.items())[: max(entries, 64)] if entries else []
        return {key[:characters]: _cut(item, characters, entries) for key, item in kept}
    return value
