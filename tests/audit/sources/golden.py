"""What a golden record must become: only the named fields are compared."""

from __future__ import annotations

from typing import Any

import orjson

from audit.context import EMPTY
from audit.event import AuditEvent, from_line, parse_rfc3339, to_line
from audit.sources import SOURCES
from audit.sources.reader import read

ARRIVAL = parse_rfc3339("2026-03-02T09:00:00Z")

Golden = dict[str, tuple[dict[str, Any], dict[str, Any]]]


def normalised(source: str, record: dict[str, Any]) -> AuditEvent:
    [event] = SOURCES[source](record, orjson.dumps(record))
    return event


def assert_golden(source: str, record: dict[str, Any], expected: dict[str, Any]) -> None:
    """The record becomes the expected event, alone and through read(), and survives its line."""
    event = normalised(source, record)
    assert {field: plain(getattr(event, field)) for field in expected} == expected
    assert event.source == source
    assert event.raw == orjson.dumps(record)
    [through] = read(source, orjson.dumps(record), ARRIVAL, EMPTY)
    assert isinstance(through, list)
    assert [(e.id, e.time, e.action, e.outcome) for e in through] == [
        (event.id, event.time, event.action, event.outcome)
    ]
    assert from_line(to_line(event)) == event


def plain(value: Any) -> Any:
    """Principals and resources as tuples, so that expectations read like the record."""
    fields = getattr(value, "__struct_fields__", None)
    return tuple(getattr(value, name) for name in fields) if fields else value
