from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.closure import compiled, evidence
from rules.condition import And, Leaf, Node, Not, Or
from rules.leaf import check
from tests.rules.conftest import view
from tests.rules.test_leaf import NODES, TEXTS


def holds(node: Node, record: dict[str, Any]) -> bool:
    """The condition by its definition, one test after another."""
    match node:
        case Leaf():
            return check([node])(view(record))
        case Not(child):
            return not holds(child, record)
        case And(children):
            return all(holds(child, record) for child in children)
        case Or(children):
            return any(holds(child, record) for child in children)


@given(NODES, st.fixed_dictionaries({}, optional={"f": TEXTS, "g": st.lists(TEXTS, max_size=2)}))
def test_a_closure_is_its_condition(node: Any, record: dict[str, Any]) -> None:
    assert compiled(node)(view(record)) is holds(node, record)


def test_nothing_asked_holds_and_nothing_offered_does_not() -> None:
    assert compiled(And(()))(view({}))
    assert not compiled(Or(()))(view({}))


def test_the_evidence_is_what_speaks_for_the_rule() -> None:
    said = evidence(And((Leaf("a", "equals", "x"), Not(Leaf("b", "equals", "y")), Leaf("a", "equals", "x"))))
    assert [(words, test(view({"a": "X"}))) for words, test in said] == [("a is x", True)]
