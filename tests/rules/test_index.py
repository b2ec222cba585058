from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.compile import compiled
from rules.condition import And, Leaf, Node, Not, Or
from rules.fields import getter, texts
from rules.index import Index, Witness, witness
from rules.rule import Rule
from tests.rules.conftest import view
from tests.rules.test_leaf import NODES, TEXTS


def rule(number: int, condition: Node) -> Rule:
    given: dict[str, Any] = dict.fromkeys(Rule.__slots__, "")
    return Rule(**{**given, "id": str(number), "condition": condition, "matches": compiled(condition)})


def equals(field: str, value: str) -> Leaf:
    return Leaf(field, "equals", value)


SPREAD = Counter({"name": 50, "source": 5, "other": 1})


def test_of_an_and_the_field_that_tells_rules_apart_is_the_witness() -> None:
    node = And((equals("source", "iam"), equals("name", "CreateUser"), equals("other", "x")))
    assert witness(node, SPREAD) == Witness(frozenset({("name", "createuser")}), frozenset())


def test_exact_is_better_than_literal() -> None:
    node = And((Leaf("name", "contains", "create"), equals("other", "x")))
    assert witness(node, SPREAD) == Witness(frozenset({("other", "x")}), frozenset())


def test_of_an_or_every_child_must_have_one() -> None:
    assert witness(Or((equals("name", "a"), equals("source", "b"))), SPREAD) == Witness(
        frozenset({("name", "a"), ("source", "b")}), frozenset()
    )
    assert witness(Or((equals("name", "a"), Leaf("name", "null", None))), SPREAD) is None


def test_the_longest_part_of_a_glob_is_a_literal() -> None:
    assert witness(Leaf("name", "glob", "Ab*Long?x"), SPREAD) == Witness(frozenset(), frozenset({("name", "long")}))


def test_what_holds_for_events_of_any_value_has_none() -> None:
    for node in (Not(equals("name", "a")), Leaf("name", "exists", True), Leaf(None, "contains", "word"), Or(())):
        found = witness(node, SPREAD)
        assert found is None or found == Witness(frozenset(), frozenset())


def test_a_too_short_literal_is_none() -> None:
    assert witness(Leaf("name", "contains", "ab"), SPREAD) is None


def test_rules_come_in_the_order_given_and_once() -> None:
    either = rule(0, Or((equals("a", "x"), equals("b", "y"))))
    never = rule(1, equals("a", "z"))
    always = rule(2, Not(equals("a", "z")))
    index = Index([either, never, always], compiled)
    assert index.match(view({"a": "X", "b": "Y"})) == [either, always]
    assert index.match(view({"a": "z"})) == [never]
    assert index.match(view({"a": ["x", "x", {"c": 1}]})) == [either, always]


@given(st.lists(NODES, max_size=5), st.fixed_dictionaries({}, optional={"f": TEXTS, "g": st.lists(TEXTS, max_size=2)}))
def test_the_index_never_loses_a_match(nodes: list[Any], record: dict[str, Any]) -> None:
    rules = [rule(number, node) for number, node in enumerate(nodes)]
    assert Index(rules, compiled).match(view(record)) == [one for one in rules if one.matches(view(record))]


@given(NODES, st.fixed_dictionaries({}, optional={"f": TEXTS, "g": TEXTS}))
def test_no_match_without_its_witness(node: Any, record: dict[str, Any]) -> None:
    found = witness(node, Counter())
    one = view(record)
    if found is not None and compiled(node)(one):
        there = {(field, text.lower()) for field in ("f", "g") for text in texts(getter(field)(one))}
        assert found.exact & there or any(
            literal in text for field, literal in found.literal for name, text in there if name == field
        )
