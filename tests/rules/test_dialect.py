from __future__ import annotations

import pytest

from rules.dialect import ConditionError, plain


def test_two_of_several_are_every_two_of_them() -> None:
    section = {"a1": {}, "a2": {}, "a3": {}, "b": {}, "condition": "b and 2 of a*"}
    assert plain(section, {})["condition"] == "b and ((a1 and a2) or (a1 and a3) or (a2 and a3))"
    assert plain(section | {"condition": "3 OF a*"}, {})["condition"] == "((a1 and a2 and a3))"


def test_them_are_all_that_do_not_begin_with_an_underscore() -> None:
    section = {"a": {}, "_b": {}, "c": {}, "condition": ["2 of them", "1 of a"]}
    assert plain(section, {})["condition"] == ["((a and c))", "1 of a"]


@pytest.mark.parametrize(
    ("condition", "error"),
    [("3 of a*", r"3 of a\*: there are 2 of them"), ("12 of them", "stands for more than 1,000 combinations")],
)
def test_more_than_there_are_or_too_many_are_errors(condition: str, error: str) -> None:
    names = ["a1", "a2"] if "a" in condition else [f"s{number}" for number in range(40)]
    section = {name: {} for name in names} | {"condition": condition}
    with pytest.raises(ConditionError, match=error):
        plain(section, {})


def test_names_that_only_contain_a_number_are_not_meant() -> None:
    section = {"s2 of x": {}, "condition": "1 of s2 and all of them and sel12"}
    assert plain(section, {})["condition"] == "1 of s2 and all of them and sel12"


def test_utf16le_is_wide_and_expand_is_done() -> None:
    section = {"s": [{"f|utf16le|base64offset|contains": "x", "g|expand|cased": "%l%"}], "condition": "s"}
    assert plain(section, {"l": ["1", "2"]})["s"] == [{"f|wide|base64offset|contains": "x", "g|cased": ["1", "2"]}]


def test_what_is_no_section_is_left_to_the_parser() -> None:
    assert plain(None, {}) is None
    assert plain({"condition": 5, "s": "x"}, {}) == {"condition": 5, "s": "x"}
