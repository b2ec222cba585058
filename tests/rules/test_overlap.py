from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.closure import compiled
from rules.compile import RuleSet
from rules.condition import And, Leaf, Node, Not, Op, Or
from rules.overlap import implies, normal, overlaps
from tests.rules.conftest import view

RuleSetOf = Callable[..., RuleSet]


def rule(number: int, detection: str, level: str = "medium", logsource: str = "aws") -> str:
    return f"""title: Rule {number}
id: 11111111-1111-4111-8111-{number:012d}
logsource: {{product: {logsource}}}
detection: {{{detection}}}
level: {level}
"""


def found(rules: RuleSet) -> list[tuple[str, str, bool]]:
    return [(one.extra.title, one.other.title, one.same) for one in overlaps(rules)]


def test_the_same_logic_under_two_ids(rule_set: RuleSetOf) -> None:
    first = rule(1, "s: {a: [X, y], b: z}, condition: s")
    second = rule(2, "t: {b: Z}, u: {a: [Y, x]}, condition: u and t")
    assert found(rule_set(first, second)) == [("Rule 2", "Rule 1", True)]


def test_the_same_in_another_source_is_another_rule(rule_set: RuleSetOf) -> None:
    assert (
        found(rule_set(rule(1, "s: {a: x}, condition: s"), rule(2, "s: {a: x}, condition: s", logsource="okta"))) == []
    )


def test_a_narrower_rule_adds_nothing_unless_it_is_graver(rule_set: RuleSetOf) -> None:
    wide = rule(1, "s: {a: [x, y]}, condition: s")
    narrow = "s: {a: x, b|contains: c}, condition: s"
    assert found(rule_set(wide, rule(2, narrow))) == [("Rule 2", "Rule 1", False)]
    assert found(rule_set(wide, rule(2, narrow, level="high"))) == []


def test_rules_that_are_off_or_counted_hide_none(rule_set: RuleSetOf) -> None:
    wide, narrow = rule(1, "s: {a: [x, y]}, condition: s"), rule(2, "s: {a: x, b: c}, condition: s")
    assert found(rule_set(wide + "auditwatch: {stage: 'off'}\n", narrow)) == []
    assert found(rule_set(wide + "auditwatch: {stage: shadow}\n", narrow)) == []


def test_the_same_correlation_twice(rule_set: RuleSetOf) -> None:
    count = """title: Many {0}
id: 22222222-2222-4222-8222-{0:012d}
correlation:
  type: event_count
  rules: [11111111-1111-4111-8111-000000000001]
  group-by: [x]
  timespan: 5m
  condition: {{gte: 3}}
"""
    rules = rule_set(rule(1, "s: {a: x}, condition: s"), count.format(1), count.format(2))
    assert found(rules) == [("Many 2", "Many 1", True)]


@pytest.mark.parametrize(
    ("narrow", "wide", "known"),
    [
        (Leaf("a", "equals", "Xyz"), Leaf("a", "startswith", "x"), True),
        (Leaf("a", "equals", "xyz"), Leaf("a", "contains", "y"), True),
        (Leaf("a", "endswith", "xyz"), Leaf("a", "endswith", "yz"), True),
        (Leaf("a", "equals", "x"), Leaf("a", "exists", True), True),
        (Leaf("a", "null", None), Leaf("a", "exists", True), False),
        (Leaf("a", "contains", "y"), Leaf("a", "equals", "y"), False),
        (Leaf("a", "equals", "x"), Leaf("b", "equals", "x"), False),
        (Leaf("a", "equals", "x"), Leaf("a", "equals", "x", cased=True), False),
        (Leaf("a", "equals", "x", cased=True), Leaf("a", "equals", "X"), True),
        (Not(Leaf("a", "startswith", "x")), Not(Leaf("a", "equals", "xy")), True),
        (And((Leaf("a", "equals", "x"), Leaf("b", "equals", "y"))), Leaf("b", "equals", "y"), True),
        (Or((Leaf("a", "equals", "x"), Leaf("b", "equals", "y"))), Leaf("b", "equals", "y"), False),
    ],
)
def test_what_follows_from_what(narrow: Node, wide: Node, known: bool) -> None:
    assert implies(narrow, wide) is known


_OPS: tuple[Op, ...] = ("equals", "contains", "startswith", "endswith")
_leaves = st.builds(
    Leaf, st.sampled_from(["a", "b"]), st.sampled_from(_OPS), st.sampled_from(["x", "xy", "y", "X"]), st.booleans()
)
_nodes = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
_records = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "X", "xy", "yx", "z", None]))


@given(_nodes, _nodes, st.lists(_records, min_size=1, max_size=12))
def test_what_is_said_to_follow_does_follow(narrow: Node, wide: Node, records: list[dict[str, str]]) -> None:
    first, second = compiled(narrow), compiled(wide)
    follows, same = implies(narrow, wide), normal(narrow) == normal(wide)
    for record in records:
        one, other = first(view(record)), second(view(record))
        assert not (follows and one and not other)
        assert not same or one == other


def test_the_index_misses_none(rule_set: RuleSetOf) -> None:
    """What looking at every pair finds is found."""
    asks = [
        "{a: x}",
        "{a: [x, y]}",
        "{a: x, b: z}",
        "{a|startswith: x}",
        "{a: xy, b: [z, w]}",
        "{b: z}",
        "{b|contains: z}",
    ]
    rules = rule_set(*[rule(n, f"s: {ask}, condition: s") for n, ask in enumerate(asks, 1)])
    pairs = {
        narrow.title
        for narrow in rules.rules
        for wide in rules.rules
        if narrow is not wide and implies(narrow.condition, wide.condition)
    }
    assert {one.extra.title for one in overlaps(rules)} == pairs
    assert pairs
