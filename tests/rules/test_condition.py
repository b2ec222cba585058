from __future__ import annotations

import pytest

from rules.condition import And, Leaf, Not, Or, called, conjuncts, fields, positive, split_glob, words

A, B, C = Leaf("a", "equals", "1"), Leaf("b", "contains", "2"), Leaf("c", "fieldref", "d", detail="equals")


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        (Leaf("eventName", "equals", "StopLogging"), "eventName is StopLogging"),
        (Leaf("auditwatch.actor.kind", "equals", "human"), "actor.kind is human"),
        (Leaf("a", "contains", "x"), "a contains x"),
        (Leaf("a", "startswith", "x"), "a begins with x"),
        (Leaf("a", "endswith", "x"), "a ends with x"),
        (Leaf("a", "glob", "x*y"), "a looks like x*y"),
        (Leaf("a", "regex", "x+"), "a matches x+"),
        (Leaf("a", "gte", 5), "a is at least 5"),
        (Leaf("a", "cidr", "10.0.0.0/8"), "a is in 10.0.0.0/8"),
        (Leaf("a", "exists", True), "a is present"),
        (Leaf("a", "exists", False), "a is absent"),
        (Leaf("a", "null", None), "a is empty"),
        (Leaf("a", "fieldref", "auditwatch.actor.id", detail="endswith"), "a ends with the value of actor.id"),
        (Leaf("a", "part", 3, detail="hour"), "the hour of a is 3"),
        (Leaf(None, "contains", "mimikatz"), "the event contains mimikatz"),
    ],
)
def test_words(leaf: Leaf, said: str) -> None:
    assert words(leaf) == said


def test_long_values_are_cut() -> None:
    assert len(words(Leaf("a", "regex", "x" * 1000))) < 140


def test_what_stands_under_a_not_does_not_speak_for_a_rule() -> None:
    assert list(positive(And((A, Or((B, C)), Not(Or((A, B))))))) == [A, B, C]


def test_fields_names_every_field_read() -> None:
    assert list(fields(And((A, Not(Or((B, C))), Leaf(None, "contains", "x"))))) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("glob", "pieces"),
    [
        ("a*b?", [(False, "a"), (True, "*"), (False, "b"), (True, "?")]),
        (r"a\*b", [(False, "a*b")]),
        (r"a\\*", [(False, "a\\"), (True, "*")]),
        (r"a\b", [(False, r"a\b")]),
        ("a\\", [(False, "a\\")]),
        ("", []),
    ],
)
def test_split_glob(glob: str, pieces: list[tuple[bool, str]]) -> None:
    assert split_glob(glob) == pieces


def test_what_must_hold_is_told_part_by_part_and_once() -> None:
    a, b, c = (Leaf(name, "equals", "x") for name in "abc")
    either = Or((a, b))
    assert conjuncts(And((a, And((b, a)), either, Not(And((b, c)))))) == (a, b, either, Not(And((b, c))))
    assert conjuncts(either) == (either,)
    assert conjuncts(And(())) == ()


def test_a_field_is_called_as_its_rule_calls_it() -> None:
    assert called("ResultType|resultType|auditwatch.outcome") == "ResultType"
    assert called("auditwatch.actor.id") == "actor.id"
    assert words(Leaf("A|b", "fieldref", "C|d", detail="equals")) == "A is the value of C"
