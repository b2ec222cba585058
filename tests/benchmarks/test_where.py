from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.sampler import COLLECTOR, REST, SAMPLER
from benchmarks.where import ORDER, READ, RULES, STAGES, table

ROOT = Path(__file__).resolve().parents[2]
OURS = ("audit/", "rules/", "detectors/", "alerting/", "streams/")


def test_rows_are_microseconds_an_event_and_add_up() -> None:
    lines = table({RULES: 3_000_000, READ: 1_000_000, SAMPLER: 500_000}, events=1_000, yardstick=8.0)
    assert [line.split()[-4:] for line in lines] == [
        ["1.00", "us", "25.0%", "0.125"],
        ["3.00", "us", "75.0%", "0.375"],
        ["4.00", "us", "100.0%", "0.500"],
    ]


def test_a_stage_nobody_ordered_is_shown_all_the_same() -> None:
    assert any("a new one" in line for line in table({"a new one": 10, REST: 5}, 1, 1.0))


def test_every_stage_has_a_place_in_the_table() -> None:
    assert set(STAGES.values()) | {COLLECTOR, REST} <= set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("place", [place for place in STAGES if place.startswith(OURS)])
def test_each_place_exists(place: str) -> None:
    """A file or function that was renamed would be booked to whoever calls it."""
    path, _, name = place.partition(":")
    assert (ROOT / path).exists() or (".py" not in path and list(ROOT.glob(f"{path}*")))
    if name:
        text = (ROOT / path).read_text("utf-8")
        outer, _, inner = name.rpartition(".")
        assert f"def {inner or name}(" in text
        assert not outer or f"class {outer}" in text
