from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.closure import compiled
from rules.condition import And, Leaf, Node, Not, Or
from rules.index import FEW, Index
from rules.rule import Rule
from tests.rules.conftest import view
from tests.rules.test_leaf import NODES, TEXTS


def rule(number: int, condition: Node) -> Rule:
    given: dict[str, Any] = dict.fromkeys(Rule.__slots__, "")
    return Rule(**{**given, "id": str(number), "condition": condition, "matches": compiled(condition)})


def equals(field: str, value: str) -> Leaf:
    return Leaf(field, "equals", value)


def test_rules_come_in_the_order_given_and_once() -> None:
    either = rule(0, Or((equals("a", "x"), equals("b", "y"))))
    never = rule(1, equals("a", "z"))
    always = rule(2, Not(equals("a", "z")))
    index = Index([either, never, always], compiled)
    assert index.match(view({"a": "X", "b": "Y"})) == [either, always]
    assert index.match(view({"a": "z"})) == [never]
    assert index.match(view({"a": ["x", "x", {"c": 1}]})) == [either, always]


def test_rules_that_share_what_they_ask_are_told_apart_by_the_rest() -> None:
    shared = (equals("name", "create"), equals("source", "iam"))
    rules = [rule(n, And((*shared, Not(equals("user", f"bot{n}"))))) for n in range(5)]
    rules += [rule(5, And(shared)), rule(6, And((equals("name", "create"), equals("source", "s3"))))]
    index = Index(rules, compiled)
    found = index.match(view({"name": "Create", "source": "IAM", "user": "bot3"}))
    assert found == [one for one in rules[:6] if one.id != "3"]
    assert index.match(view({"name": "create", "source": "s3"})) == [rules[6]]
    assert index.match(view({"name": "delete", "source": "iam"})) == []


def test_what_they_share_is_asked_once() -> None:
    asked: list[Node] = []

    def counting(node: Node) -> Any:
        holds = compiled(node)

        def check(one: Any) -> bool:
            asked.append(node)
            return holds(one)

        return check

    shared = Leaf("agent", "startswith", "x")
    rules = [rule(n, And((equals("name", "a"), shared, Leaf("size", "gt", n)))) for n in range(50)]
    assert len(Index(rules, counting).match(view({"name": "a", "agent": "yx", "size": 99}))) == 0
    assert asked == [shared]


def test_many_literals_and_patterns_are_found_like_few() -> None:
    for many in (FEW - 1, FEW * 4):
        literals = [rule(n, Leaf("a", "contains", f"Word{n}x")) for n in range(many)]
        patterns = [rule(many + n, Leaf("a", "regex", rf"(?i)^\d+Item{n}$")) for n in range(many)]
        index = Index(literals + patterns, compiled)
        assert index.match(view({"a": "xx WORD3X yy"})) == [literals[3]]
        assert index.match(view({"a": ["77item2", "word1x"]})) == [literals[1], patterns[2]]
        assert index.match(view({"a": "nothing (.*"})) == []


def test_keywords_are_found_anywhere() -> None:
    index = Index([rule(0, Leaf(None, "contains", "Needle")), rule(1, Leaf(None, "contains", "thread"))], compiled)
    assert [one.id for one in index.match(view({"a": {"b": ["hay", "a nEEdle"]}}))] == ["0"]
    assert index.match(view({"needle": "hay"})) == []


@given(st.lists(NODES, max_size=5), st.fixed_dictionaries({}, optional={"f": TEXTS, "g": st.lists(TEXTS, max_size=2)}))
def test_the_index_never_loses_a_match(nodes: list[Any], record: dict[str, Any]) -> None:
    rules = [rule(number, node) for number, node in enumerate(nodes * 2)]
    assert Index(rules, compiled).match(view(record)) == [one for one in rules if one.matches(view(record))]


def test_no_event_costs_more_than_fifty_milliseconds() -> None:
    """A text made of everything the rules look for, as long as a record may be."""
    literals = [
        rule(n, And((Leaf("a", "contains", f"needle{n}"), Not(Leaf("a", "contains", "n"))))) for n in range(500)
    ]
    patterns = [rule(n, And((Leaf("a", "regex", f"a+b*{n}c$"), equals("b", "x")))) for n in range(200)]
    index = Index(literals + patterns, compiled)
    hostile = view({"a": " ".join(f"needle{n} aaaabbb{n}" for n in range(500))[:20_000]})
    index.match(hostile)
    started = time.process_time()
    index.match(hostile)
    assert time.process_time() - started < 0.05
