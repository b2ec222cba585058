from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.closure import compiled
from rules.condition import And, Leaf, Not, Or
from rules.fields import getter
from rules.view import texts
from rules.witness import Clue, Witness, best, spread_of, witness
from tests.rules.conftest import view
from tests.rules.test_leaf import NODES, TEXTS

SPREAD = Counter[str | None]({"name": 50, "source": 5, "other": 1})


def equals(field: str, value: str) -> Leaf:
    return Leaf(field, "equals", value)


def exact(*pairs: tuple[str, str], proof: bool = True) -> Witness:
    return Witness(frozenset(Clue("exact", field, text) for field, text in pairs), proof)


def test_of_an_and_the_field_that_tells_rules_apart_is_the_witness() -> None:
    node = And((equals("source", "iam"), equals("name", "CreateUser"), equals("other", "x")))
    assert witness(node, SPREAD) == exact(("name", "createuser"), proof=False)


def test_exact_is_better_than_a_literal_and_that_than_a_pattern() -> None:
    literal, pattern = Leaf("name", "contains", "create"), Leaf("name", "regex", "Crea.*")
    assert witness(And((literal, equals("other", "x"), pattern)), SPREAD) == exact(("other", "x"), proof=False)
    assert witness(And((pattern, literal)), SPREAD) == Witness(frozenset({Clue("literal", "name", "create")}))
    assert witness(pattern, SPREAD) == Witness(frozenset({Clue("pattern", "name", "Crea.*")}), proof=True)


def test_of_an_or_every_child_must_have_one() -> None:
    assert witness(Or((equals("name", "a"), equals("source", "b"))), SPREAD) == exact(("name", "a"), ("source", "b"))
    assert witness(Or((equals("name", "a"), Leaf("name", "null", None))), SPREAD) is None


def test_the_longest_part_of_a_glob_is_a_literal() -> None:
    found = witness(Leaf("name", "glob", "Ab*Long?x"), SPREAD)
    assert found == Witness(frozenset({Clue("literal", "name", "long")}))


def test_a_keyword_is_a_literal_of_the_whole_event() -> None:
    found = witness(Leaf(None, "contains", "Word"), SPREAD)
    assert found == Witness(frozenset({Clue("literal", None, "word")}), proof=True)


def test_what_holds_for_events_of_any_value_has_none() -> None:
    for node in (Not(equals("name", "a")), Leaf("name", "exists", True), Leaf("name", "gt", 5), And(())):
        assert witness(node, SPREAD) is None
    assert witness(Or(()), SPREAD) == Witness(frozenset(), proof=True)


def test_a_too_short_literal_is_none() -> None:
    assert witness(Leaf("name", "contains", "ab"), SPREAD) is None


def test_what_the_witness_proves_is_not_asked_again() -> None:
    name, rest = equals("name", "a"), Not(equals("other", "x"))
    found, asks = best((rest, name), SPREAD)
    assert (found, asks) == (exact(("name", "a")), (rest,))
    cased = Leaf("name", "equals", "A", cased=True)
    assert best((cased,), SPREAD)[1] == (cased,)


def test_the_spread_counts_the_values_asked_of_a_field() -> None:
    nodes = [And((equals("a", "x"), equals("b", "y"))), Or((equals("a", "X"), equals("a", "z"))), Not(equals("c", "x"))]
    assert spread_of(nodes) == {"a": 2, "b": 1}


@given(NODES, st.fixed_dictionaries({}, optional={"f": TEXTS, "g": TEXTS}))
def test_no_match_without_its_witness(node: Any, record: dict[str, Any]) -> None:
    found = witness(node, Counter())
    one = view(record)
    if found is not None and compiled(node)(one):
        there = {(field, text) for field in ("f", "g") for text in texts(getter(field)(one))}
        assert any(
            clue.kind == "pattern" or (text.lower() == clue.text if clue.kind == "exact" else clue.text in text.lower())
            for clue in found.clues
            for field, text in there
            if clue.field in (field, None)
        )
