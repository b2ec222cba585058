from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.closure import compiled
from rules.condition import And, Leaf, Not, Or
from rules.leaf import check
from rules.rule import Rule
from tests.rules.conftest import view
from tests.rules.vectors import VECTORS

RuleOf = Callable[[str], Rule]


@pytest.mark.parametrize(("detection", "record", "wanted"), VECTORS)
def test_vector(rule: RuleOf, detection: str, record: dict[str, Any], wanted: bool) -> None:
    assert rule(detection).matches(view(record)) is wanted


def test_exists_tells_null_from_missing(rule: RuleOf) -> None:
    there, absent = rule("s: {f|exists: true}\ncondition: s"), rule("s: {f|exists: false}\ncondition: s")
    assert there.matches(view({"f": None}))
    assert not absent.matches(view({"f": None}))
    assert absent.matches(view({}))


def test_an_empty_list_is_there_and_not_null(rule: RuleOf) -> None:
    null = rule("s: {f: null}\ncondition: s")
    assert not null.matches(view({"f": []}))
    assert null.matches(view({"f": ["x", None]}))


def test_not_equal_is_so_of_every_member(rule: RuleOf) -> None:
    other = rule("s: {f|contains|neq: x}\ncondition: s")
    assert not other.matches(view({"f": ["ab", "axb"]}))
    assert other.matches(view({"f": ["ab", "cd"]}))


def test_each_value_of_all_may_be_in_another_member(rule: RuleOf) -> None:
    both = rule("s: {f|contains|all: [a1, b2]}\ncondition: s")
    assert both.matches(view({"f": ["a1", "b2"]}))
    assert not both.matches(view({"f": ["a1", "c3"]}))


def test_an_ipv4_address_in_ipv6_dress_is_in_its_network(rule: RuleOf) -> None:
    assert rule("s: {f|cidr: 10.0.0.0/8}\ncondition: s").matches(view({"f": "::ffff:10.1.2.3"}))


@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "1_000", "9" * 80, True, None, {}, "x", ""])
def test_what_is_no_number_is_neither_above_nor_below(rule: RuleOf, value: Any) -> None:
    record = view({"f": value})
    assert not rule("s: {f|gte: 0}\ncondition: s").matches(record)
    assert not rule("s: {f|lt: 0}\ncondition: s").matches(record)


@pytest.mark.parametrize(("value", "hour"), [(1_772_442_847, 9), (1_772_442_847_123, 9), (1_772_442_847_123_456, 9)])
def test_times_may_be_seconds_milliseconds_or_microseconds(value: int, hour: int) -> None:
    assert check([Leaf("f", "part", hour, detail="hour")])(view({"f": value}))


@pytest.mark.parametrize("value", [10**30, -(10**30), float("1e308"), "9" * 50, [], {}])
def test_a_time_out_of_this_world_matches_nothing(value: Any) -> None:
    assert not check([Leaf("f", "part", 9, detail="hour")])(view({"f": value}))


@pytest.mark.parametrize("op", ["contains", "glob", "regex"])
def test_a_lone_surrogate_breaks_nothing(op: Any) -> None:
    test = check([Leaf("f", op, "x")])
    assert test(view({"f": "\ud800x"})) is (op != "glob")
    assert not test(view({"f": {"a": "\ud800"}}))


@pytest.mark.parametrize(
    ("op", "value"), [("regex", "("), ("regex", r"(?=x)"), ("cidr", "10.0.0.0/99"), ("nonsense", "")]
)
def test_a_value_that_cannot_be_compiled_is_an_error(op: Any, value: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check([Leaf("f", op, value)])


HOSTILE = [
    Leaf("f", "glob", "*foo*bar*baz*"),
    Leaf("f", "glob", "a?" * 40 + "*"),
    Leaf("f", "glob", "*" + "a*" * 40 + "b"),
    Leaf("f", "regex", ".*foo"),
    Leaf("f", "regex", "(a+)+$"),
    Leaf("f", "regex", "(.*a){20}z"),
    Leaf("f", "regex", "(a|aa)+b"),
    Leaf("f", "contains", "a" * 5_000 + "b"),
    Leaf(None, "glob", "*foo*bar*"),
    Leaf("f", "cidr", "10.0.0.0/8"),
    Leaf("f", "lt", 5),
    Leaf("f", "part", 5, detail="hour"),
]


@pytest.mark.parametrize("leaf", HOSTILE, ids=lambda leaf: f"{leaf.op} {str(leaf.value)[:12]}")
@pytest.mark.parametrize("value", ["a" * 20_000, "foo" * 7_000, "1" * 20_000, "a" * 19_999 + "!"])
def test_no_text_costs_more_than_50_ms(leaf: Leaf, value: str) -> None:
    test = check([leaf])
    took = []
    for _ in range(3):
        start = time.perf_counter()
        test(view({"f": value}))
        took.append(time.perf_counter() - start)
    assert min(took) < 0.05


TEXTS = st.text("aB*?\\", max_size=6)
LEAVES = st.builds(
    Leaf, st.sampled_from(["f", "g"]), st.sampled_from(["equals", "contains", "startswith", "endswith"]), TEXTS
)
NODES = st.recursive(
    LEAVES,
    lambda node: st.one_of(
        st.builds(Not, node),
        st.builds(lambda some: And(tuple(some)), st.lists(node, min_size=1, max_size=4)),
        st.builds(lambda some: Or(tuple(some)), st.lists(node, min_size=1, max_size=4)),
    ),
    max_leaves=12,
)


@given(NODES, st.fixed_dictionaries({}, optional={"f": TEXTS, "g": st.lists(TEXTS, max_size=2)}))
def test_a_compiled_tree_means_what_the_tree_says(node: Any, record: dict[str, Any]) -> None:
    """Grouping and reordering for speed change nothing."""

    def plainly(node: Any) -> bool:
        match node:
            case Leaf(field, op, value):
                held = record.get(field, [])
                return any(
                    _OPS[op](text.lower(), value.lower()) for text in ([held] if isinstance(held, str) else held)
                )
            case Not(child):
                return not plainly(child)
            case And(children):
                return all(map(plainly, children))
            case _:
                return any(map(plainly, node.children))

    assert compiled(node)(view(record)) is plainly(node)


_OPS: dict[str, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "contains": str.__contains__,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


@pytest.mark.parametrize("how", ["equals", "contains", "startswith", "endswith"])
def test_two_long_lists_do_not_multiply(how: str) -> None:
    test = check([Leaf("a", "fieldref", "b", detail=how)])
    record = view({"a": [f"a{number}" for number in range(10_000)], "b": [f"b{number}" for number in range(10_000)]})
    took = []
    for _ in range(3):
        start = time.perf_counter()
        assert not test(record)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.05
