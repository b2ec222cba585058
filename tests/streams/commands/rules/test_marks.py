from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.context import EMPTY
from audit.event import to_line
from streams.commands.common import Unusable
from streams.commands.rules.marks import Marks, marks_of
from tests.rules.conftest import event
from tests.streams.commands.rules.conftest import cloudtrail

ARRIVAL = 1 << 60


def marks(path: Path, *rows: object) -> Marks:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return marks_of(path, ["okta", "cloudtrail"], EMPTY, ARRIVAL)


def test_ids_in_every_form(place: Path) -> None:
    rows = (
        "e1",
        '"e2"',
        {"event_id": "e3", "rule_id": "x"},
        {"id": "alert", "event_ids": ["e4", "e5"]},
        "12345",
        "",
        ["e6"],
    )
    assert marks(place / "m", *rows).ids == {"e1", "e2", "e3", "e4", "e5", "12345", "e6"}


def test_events_that_come_whole(place: Path) -> None:
    line = to_line(event(id="e7")).decode()
    found = marks(place / "m", line, cloudtrail(8))
    assert found.ids == {"e7", "e8"}
    assert [one.source for one in found.events] == ["cloudtrail", "cloudtrail"]


@pytest.mark.parametrize("row", ["null", {"nothing": "here"}])
def test_anything_else_is_named_with_its_line(place: Path, row: object) -> None:
    with pytest.raises(Unusable, match=r"m:2: (neither an event id nor an event|not a record of okta, cloudtrail)"):
        marks(place / "m", "e1", row)


def test_no_file_no_marks() -> None:
    assert marks_of(None, [], EMPTY, ARRIVAL) == Marks()


def test_a_file_that_cannot_be_read(place: Path) -> None:
    with pytest.raises(Unusable, match="missing"):
        marks_of(place / "missing", [], EMPTY, ARRIVAL)
