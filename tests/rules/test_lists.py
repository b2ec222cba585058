from __future__ import annotations

from collections.abc import Callable

import pytest

from rules.compile import RuleSet
from rules.lists import MOST_VALUES, filled
from tests.rules.conftest import HEAD, view
from tests.rules.test_sigma import errors_of

RuleSetOf = Callable[..., RuleSet]

LISTS = "lists:\n  admins: [alice, bo*]\n  hosts: [a, b, 7]\n  offices: [10.1.0.0/16, 192.0.2.0/24]\n"


def rule(item: str) -> str:
    return f"{HEAD}detection:\n  s: {{{item}}}\n  condition: s\n"


@pytest.mark.parametrize(
    ("item", "value", "wanted"),
    [
        ("f|expand: '%admins%'", "Alice", True),
        ("f|expand: '%admins%'", "bob", True),
        ("f|expand: '%admins%'", "%admins%", False),
        ("f|expand: ['%admins%', carol]", "carol", True),
        ("f|expand: '%admins%@%hosts%.example'", "alice@b.example", True),
        ("f|expand: '%admins%@%hosts%.example'", "alice@c.example", False),
        ("f|expand: '%hosts%'", 7, True),
        ("f|contains|expand: '%hosts%x'", "--bx--", True),
        ("f|expand|contains: '%hosts%x'", "--cx--", False),
        ("f|contains|all|expand: '%hosts%'", "a7b", True),
        ("f|contains|all|expand: '%hosts%'", "ab", False),
        ("f|re|expand: '^%hosts%+$'", "aaa", True),
        ("f|re|expand: '^%hosts%+$'", "aaac", False),
        ("f|cidr|expand: '%offices%'", "192.0.2.9", True),
        ("f|cidr|expand: '%offices%'", "10.2.0.1", False),
        ("f|base64|expand: '%hosts%'", "Yg==", True),
        ("f|cased|expand: '%hosts%'", "A", False),
        ("f|expand: '100%'", "100%", True),
        ("f: '%admins%'", "%admins%", True),
    ],
)
def test_a_placeholder_stands_for_the_values_of_its_list(
    rule_set: RuleSetOf, item: str, value: object, wanted: bool
) -> None:
    (made,) = rule_set(rule(item), LISTS).rules
    assert made.matches(view({"f": value})) is wanted


def test_lists_work_in_keywords_filters_and_nested_selections(rule_set: RuleSetOf) -> None:
    text = f"{HEAD}detection:\n  s:\n    '|expand': ['%admins%']\n  t: [{{f|expand: '%hosts%'}}]\n  condition: s or t\n"
    (made,) = rule_set(text, LISTS).rules
    assert made.matches(view({"x": "hello alice"}))
    assert made.matches(view({"f": "b"}))
    assert not made.matches(view({"x": "hello carol"}))


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        ((rule("f|expand: '%x%'"), LISTS), "5:7: no list called 'x': known are admins, hosts, offices"),
        ((rule("f|expand: '%admin%'"), LISTS), "5:7: no list called 'admin': did you mean 'admins'?"),
        ((rule("f|expand: '%x%'"),), "5:7: no list called 'x': write one beside the rules: lists: {x: [value, value]}"),
        ((LISTS, LISTS), "2:3: the list 'admins' is written twice: join the two"),
        ((LISTS.replace("[alice, bo*]", "alice"),), "2:3: the list 'admins' must hold values"),
        ((LISTS.replace("[alice, bo*]", "[]"),), "2:3: the list 'admins' must hold values"),
        ((LISTS.replace("[alice, bo*]", "[true]"),), "2:3: the list 'admins' must hold values"),
        (("lists: [a]\n",), "1:1: lists must be a mapping: NAME: [value, value]"),
        ((LISTS + "vips: [x]\n",), "5:1: unknown key 'vips'"),
        (
            (rule("f|expand: '%big%%big%%big%'"), f"lists:\n  big: {list(range(22))}\n"),
            f"5:7: the placeholders stand for more than {MOST_VALUES:,} values: use fewer",
        ),
        ((rule("f|cidr|expand: '%hosts%'"), LISTS), "5:7: Invalid CIDR expression"),
    ],
)
def test_what_is_wrong_has_a_place(rule_set: RuleSetOf, texts: tuple[str, ...], error: str) -> None:
    found = errors_of(rule_set, *texts)
    assert any(one.startswith(error) for one in found), found


def test_a_list_is_in_the_hash(rule_set: RuleSetOf) -> None:
    text = rule("f|expand: '%hosts%'")
    assert rule_set(text, LISTS).hash != rule_set(text, LISTS.replace("[a, b, 7]", "[a, b]")).hash


def test_what_is_no_text_is_left_alone() -> None:
    assert filled([1, None, "%a%-%b%"], {"a": ["x", "y"], "b": ["z"]}) == [1, None, "x-z", "y-z"]
