from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rules.explain import LONGEST_VALUE, MOST_VALUES, Group, Part, Test, explain, part_of
from rules.rule import Rule
from tests.rules.conftest import view

RuleOf = Callable[[str], Rule]


def leaves_of(part: Part) -> list[Test]:
    if isinstance(part, Test):
        return [part]
    return [test for inner in part.parts for test in leaves_of(inner)]


def only(rule: Rule, record: dict[str, Any], **fields: Any) -> Test:
    (test,) = leaves_of(explain(rule, view(record, **fields)).tree)
    return test


def test_each_test_says_what_it_wants_where_it_looked_and_what_it_found(rule: RuleOf) -> None:
    test = only(rule("s: {eventName: CreateUser}\ncondition: s"), {"eventName": "createuser"})
    assert (test.held, test.wants, test.field, test.why) == (True, "eventName is CreateUser", "eventName", "")
    assert [(place.path, place.found, place.values) for place in test.places] == [
        ("eventName", True, ('"createuser"',))
    ]
    test = only(rule("s: {eventName: CreateUser}\ncondition: s"), {})
    assert (test.held, test.present, test.why) == (False, False, "missing")


def test_the_tree_has_the_conditions_form(rule: RuleOf) -> None:
    made = rule("a: {x: 1, y: 2}\nb: {z: [3, 4]}\nc: {w|contains: '5', v: 6}\ncondition: (a or b) and not c")
    answer = explain(made, view({"x": 1, "y": 0, "z": 4, "w": "15"}))
    tree = answer.tree
    assert isinstance(tree, Group)
    assert answer.matches
    assert (tree.kind, tree.held, [part.held for part in tree.parts]) == ("all of", True, [True, True])
    either, unless = tree.parts
    assert isinstance(either, Group)
    assert isinstance(unless, Group)
    assert (either.kind, [part.held for part in either.parts]) == ("one of", [False, True])
    assert (unless.kind, len(unless.parts), unless.parts[0].held) == ("not", 1, False)


def test_values_wanted_of_one_field_are_one_test(rule: RuleOf) -> None:
    names = ", ".join(f"n{number}" for number in range(40))
    test = only(rule(f"s: {{a: [{names}]}}\ncondition: s"), {"a": "n7"})
    assert test.held
    assert test.wants == "a is n0, n1, n2, n3, n4, n5 or 34 more"
    assert "case and all" in only(rule("s: {a|cased: X}\ncondition: s"), {"a": "X"}).wants


def test_tree_and_rule_agree(rule: RuleOf) -> None:
    made = rule("a: {x|re: '^a+$'}\nb: {y|gt: 5}\nc: [keyword]\ncondition: a and (b or c) and not (b and c)")
    for x in ("aa", "b"):
        for y in (3, 9):
            for z in ("keyword", ""):
                seen = view({"x": x, "y": y, "z": z})
                assert explain(made, seen).tree.held == made.matches(seen)


def test_secrets_are_not_shown(rule: RuleOf) -> None:
    record = {"requestParameters": {"masterUserPassword": "hunter2hunter2"}, "x": "Bearer abcdef0123456789abcdef"}
    test = only(rule("s: {requestParameters.masterUserPassword: hunter2}\ncondition: s"), record)
    assert "hunter2h" not in str(test)
    assert test.why == "its value, which is secret, is another"
    assert "abcdef0123456789" not in str(only(rule("s: {x: y}\ncondition: s"), record))


def test_long_values_and_long_lists_are_cut(rule: RuleOf) -> None:
    made = rule("s: {a: x}\ncondition: s")
    (place,) = only(made, {"a": ["b" * 1000] * 30}).places
    assert len(place.values) == MOST_VALUES + 1
    assert len(place.values[0]) == LONGEST_VALUE
    assert place.values[-1] == "..."


def test_a_mapped_field_says_every_place(rule_set: Callable[..., Any]) -> None:
    text = """title: A
id: 11111111-1111-4111-8111-111111111111
logsource: {product: azure, service: signinlogs}
detection: {s: {ResultType: '50057'}, condition: s}
"""
    (made,) = rule_set(text).rules
    test = only(made, {"properties": {"status": {"errorCode": 50057}}, "resultType": "x"}, source="entra")
    assert test.field == "ResultType"
    assert len(test.places) > 1
    assert any(place.found for place in test.places)


def test_normalised_fields(rule: RuleOf) -> None:
    test = only(rule("s: {auditwatch.actor.kind: service}\ncondition: s"), {})
    (place,) = test.places
    assert (test.field, place.path, place.values) == ("actor.kind", "auditwatch.actor.kind", ('"human"',))


def test_a_keyword_has_no_place(rule: RuleOf) -> None:
    test = only(rule("s: [mimikatz]\ncondition: s"), {"a": "b"})
    assert (test.held, test.places, test.why) == (False, (), "nowhere in the record")


def test_a_rule_of_another_source_or_that_is_off_is_not_asked(rule_set: Callable[..., Any], rule: RuleOf) -> None:
    made = rule("s: {a: x}\ncondition: s")
    answer = explain(made, view({"a": "x"}, source="okta"))
    assert (answer.asked, answer.tree.held, answer.matches) == (False, True, False)


@pytest.mark.parametrize("value", ["\ud800", {"a": "\ud800"}])
def test_what_no_json_can_carry_is_still_shown(rule: RuleOf, value: Any) -> None:
    assert only(rule("s: {a: x}\ncondition: s"), {"a": value}).places[0].found


def test_a_node_alone(rule: RuleOf) -> None:
    made = rule("s: {a: x}\ncondition: s")
    assert part_of(made.condition, view({"a": "x"})).held
