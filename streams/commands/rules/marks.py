"""Files in which somebody marks events: ids, alerts or findings with event ids, AuditEvents, or raw records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from audit.context import Context
from audit.event import AuditEvent, from_line
from audit.sources.reader import Reject, read
from streams.commands.common import Unusable
from streams.files import FileError, records

_EVENT = {"id", "time", "source", "action", "outcome", "actor", "raw"}


@dataclass(slots=True)
class Marks:
    """Events somebody marked: their ids, and those of them that came whole."""

    ids: set[str] = field(default_factory=set)
    events: list[AuditEvent] = field(default_factory=list)

    def add(self, event: AuditEvent) -> None:
        """One that came whole."""
        self.ids.add(event.id)
        self.events.append(event)


def marks_of(path: Path | None, sources: Sequence[str], context: Context, arrival: int) -> Marks:
    """The events a file marks; nothing without a file. Raw records are read as those of the `sources`, in turn.

    Raises:
        Unusable: a line is neither an id nor an event; it is named.
    """
    marks = Marks()
    if path is None:
        return marks
    try:
        for number, payload in records(str(path)):
            if payload.strip():
                _take(marks, payload.strip(), f"{path}:{number}", sources, context, arrival)
    except FileError as error:
        raise Unusable(str(error)) from error
    return marks


def _take(marks: Marks, line: bytes, place: str, sources: Sequence[str], context: Context, arrival: int) -> None:
    found = _decoded(line)
    match found:
        case str():
            marks.ids.add(found)
        case {"event_ids": list(ids)}:
            marks.ids.update(map(str, ids))
        case {"event_id": str(name)}:
            marks.ids.add(name)
        case dict() if found.keys() >= _EVENT:
            try:
                marks.add(from_line(line))
            except (ValueError, KeyError) as error:
                raise Unusable(f"{place}: not an AuditEvent: {error}") from error
        case dict():
            _take_raw(marks, line, place, sources, context, arrival)
        case _:
            raise Unusable(f"{place}: neither an event id nor an event: {line[:60]!r}")


def _decoded(line: bytes) -> Any:
    """JSON, or the text itself where it is none or a bare number."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = line.decode("utf-8", "replace")
    return str(found) if isinstance(found, int) else found


def _take_raw(marks: Marks, line: bytes, place: str, sources: Sequence[str], context: Context, arrival: int) -> None:
    error = "no source to read it as"
    for source in sources:
        for answer in read(source, line, arrival, context):
            if isinstance(answer, Reject):
                error = answer.error
                continue
            for event in answer:
                marks.add(event)
            return
    raise Unusable(f"{place}: not a record of {', '.join(sources) or 'any source'}: {error}")
