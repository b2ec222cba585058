"""An event as rules see it, and its values as texts."""

from __future__ import annotations

from typing import Any

import pytest

from rules.view import MISSING, everything, lowered, members, texts
from tests.rules.conftest import event, view


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("x", ["x"]),
        (None, []),
        (MISSING, []),
        (True, ["true"]),
        (False, ["false"]),
        (200, ["200"]),
        (2.0, ["2"]),
        (2.5, ["2.5"]),
        (["a", None, [1, [True]]], ["a", "1", "true"]),
        ({"a": [1, "x"]}, ['{"a":[1,"x"]}']),
        ([{"a": 1}], ['{"a":1}']),
        ([], []),
    ],
)
def test_texts(value: Any, found: list[str]) -> None:
    assert texts(value) == found


def test_deep_lists_open_without_recursion() -> None:
    deep: list[Any] = ["x"]
    for _ in range(100_000):
        deep = [deep]
    assert members(deep) == ["x"]


def test_keywords_search_values_in_their_order_once() -> None:
    one = view({"a": "x", "b": {"c": [1, True], "d": None}, "e": "y"})
    assert everything(one) == "x\n1\ntrue\ny"
    one.record = {}
    assert everything(one) == "x\n1\ntrue\ny"


def test_event_is_the_one_given() -> None:
    assert view({}, id="e7").event == event(id="e7")


def test_the_whole_event_is_lowered_once() -> None:
    one = view({"a": "One", "b": ["TWO"]})
    assert lowered(one) == "one\ntwo"
    assert lowered(one) is lowered(one)
