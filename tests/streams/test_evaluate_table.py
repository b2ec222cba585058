from __future__ import annotations

import pytest

from streams.evaluate_figures import Figure
from streams.evaluate_table import duration, number, page, percent
from tests.streams.test_evaluate_figures import measured


def test_the_page_has_every_budget_kind_and_cause() -> None:
    text = "\n".join(page([measured(5), measured(10), measured(5, system="naive forest", alerts=())]))
    assert "1 organisation of 50 people, 10 days, the first attack on day 5: 100 events, 3 campaigns" in text
    own, floor = [line for line in text.splitlines() if line.startswith("campaigns found")]
    assert (own.count("66.7%"), floor.count("66.7%")) == (2, 1)
    assert text.count("50.0%") == 3
    assert "raw fields" in text
    assert "creep (hard)" in text
    assert "false alerts at 10 a day rest on" in text
    assert "2  Unusual" in text
    assert "ordinary life 2, trip 1" in text


def test_without_a_floor_there_is_none() -> None:
    assert not any("raw fields" in line for line in page([measured()]))


def test_several_organisations_are_counted_together() -> None:
    assert next(page([measured(), measured()])).startswith("2 organisations of 50 people")


def test_nothing_false_is_said() -> None:
    assert "     0" in list(page([measured(alerts=())]))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0, "0 s"), (99.0, "99 s"), (720.0, "12 min"), (7_200.0, "2.0 h"), (259_200.0, "3.0 d")],
)
def test_times_are_in_the_unit_that_suits(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_figures_bear_their_interval() -> None:
    assert percent(Figure(0.875, 0.8, 0.95)) == "87.5% [80, 95]"
    assert percent(Figure(0.875)) == "87.5%"
    assert number(Figure(3.25, 2.0, 4.55)) == "3.2 [2.0, 4.5]"
    assert percent(None) == number(None) == "-"
