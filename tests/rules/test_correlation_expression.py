from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.correlations import SigmaExtendedCorrelationCondition

from rules.correlation_expression import Clause, clauses

NAMES = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("condition", "ways"),
    [
        ("a", [({"a"}, set())]),
        ("a and b", [({"a", "b"}, set())]),
        ("a or b and not c", [({"a"}, set()), ({"b"}, {"c"})]),
        ("a and not (b or c)", [({"a"}, {"b", "c"})]),
        ("a and not (b and c)", [({"a"}, {"b"}), ({"a"}, {"c"})]),
        ("a and not not b", [({"a", "b"}, set())]),
        ("a and (b or not a)", [({"a", "b"}, set())]),
        ("  first-rule  and(second.rule)", [({"first-rule", "second.rule"}, set())]),
    ],
)
def test_conditions_become_the_ways_to_meet_them(condition: str, ways: list[tuple[set[str], set[str]]]) -> None:
    assert [(set(one.positive), set(one.negative)) for one in clauses(condition)] == ways


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ("", "the condition cannot be read: a name is missing at its end"),
        ("a and", "a name is missing at its end"),
        ("and a", "a name is missing before 'and'"),
        ("a b", "cannot be read from 'b' on"),
        ("(a", "[)] is missing at its end"),
        ("a)", "cannot be read from '[)]' on"),
        ("a & b", "'&' in a condition cannot be read"),
        ("not a", "met by nothing happening"),
        ("a or not b", "met by nothing happening"),
        ("a and not a", "can never be met"),
        ("(" * 60 + "a", "nested too deep"),
        (" and ".join(f"(a{n} or b{n})" for n in range(9)), "more than 64 ways"),
    ],
)
def test_what_cannot_be_a_condition(condition: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        clauses(condition)


def test_clauses_are_placed_among_the_rules() -> None:
    (one,) = clauses("c and a and not b")
    assert one.placed(("a", "b", "c")) == Clause(("c", "a"), ("b",), (0, 2), (1,))


expressions = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda one: f"not {one}"),
    ),
    max_leaves=6,
)


@given(expressions)
def test_clauses_mean_what_pysigma_reads(condition: str) -> None:
    theirs = SigmaExtendedCorrelationCondition(condition).parsed
    try:
        ways = clauses(condition)
    except ValueError as error:
        worlds = [set()] if "nothing happening" in str(error) else []
        assert all(_holds(theirs, world) for world in worlds)
        return
    for bits in product((False, True), repeat=len(NAMES)):
        world = {name for name, there in zip(NAMES, bits, strict=True) if there}
        mine = any(world.issuperset(one.positive) and world.isdisjoint(one.negative) for one in ways)
        assert mine == _holds(theirs, world), world


def _holds(node: object, world: set[str]) -> bool:
    kind = type(node).__name__
    if kind == "SigmaRuleReference":
        return node.reference in world  # type: ignore[attr-defined]
    parts = [_holds(one, world) for one in node.args]  # type: ignore[attr-defined]
    return not parts[0] if kind.endswith("NOT") else all(parts) if kind.endswith("AND") else any(parts)
