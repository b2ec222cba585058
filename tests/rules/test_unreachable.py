from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rules.compile import RuleSet
from rules.reach import seen_fields
from rules.unreachable import blocked, unreachable
from rules.view import View
from tests.rules.conftest import HEAD, view

RuleSetOf = Callable[..., RuleSet]
RECORDS = [
    {"eventName": "PutPolicy", "requestParameters": {"policyDocument": "x"}},
    {"eventName": "PutPolicy", "requestParameters": {"policyDocument": "y"}, "errorCode": "AccessDenied"},
    {"eventName": "Other"},
]


def seen(records: Sequence[dict[str, Any]]) -> tuple[dict[str, set[str]], list[View]]:
    fields: set[str] = set()
    for record in records:
        seen_fields(record, fields)
    return {"cloudtrail": fields}, [view(record) for record in records]


def said(rules: RuleSet, folder: Path) -> list[str]:
    fields, views = seen(RECORDS)
    return [str(error).removeprefix(f"{folder}/rule0.yml:") for error in unreachable(rules, [folder], fields, views)]


def rule(detection: str) -> str:
    return f"{HEAD}detection:\n{detection}"


def test_a_misspelt_field_is_named_with_its_place(rule_set: RuleSetOf, tmp_path: Path) -> None:
    rules = rule_set(
        rule("  s:\n    eventName: PutPolicy\n    requestParameters.policyDocumnt|contains: x\n  condition: s\n")
    )
    assert said(rules, tmp_path) == [
        "7:5: it can never fire on these logs: 2 events fit but for requestParameters.policyDocumnt, which no record "
        "of them has: did you mean 'requestParameters.policyDocument'?"
    ]


def test_what_has_not_happened_says_nothing(rule_set: RuleSetOf, tmp_path: Path) -> None:
    text = "  s:\n    eventName: NeverHere\n    requestParameters.foo: x\n  condition: s\n"
    assert said(rule_set(rule(text)), tmp_path) == []


def test_a_rule_that_can_fire_says_nothing(rule_set: RuleSetOf, tmp_path: Path) -> None:
    text = "  s: {eventName: PutPolicy}\n  t: {foo: x}\n  condition: s and not t\n"
    assert said(rule_set(rule(text)), tmp_path) == []


def test_a_field_wanted_by_not_null_counts_as_missing(rule_set: RuleSetOf, tmp_path: Path) -> None:
    text = "  s: {eventName: PutPolicy}\n  t: {foo: null}\n  condition: s and not t\n"
    assert "2 events fit but for foo" in said(rule_set(rule(text)), tmp_path)[0]


def test_without_a_like_field_it_says_what_to_do(rule_set: RuleSetOf, tmp_path: Path) -> None:
    (error,) = said(rule_set(rule("  s: {zzzz: x}\n  condition: s\n")), tmp_path)
    assert error.startswith("5:7: it can never fire on these logs: 3 events fit but for zzzz")
    assert error.endswith("mend its name or write a mapping, unless the source sends it only now and then")


def test_blocked_counts_what_fits(rule_set: RuleSetOf) -> None:
    fields, views = seen(RECORDS)
    (one,) = blocked(rule_set(rule("  s: {eventName: NeverHere, foo: x}\n  condition: s\n")), fields, views)
    assert (one.dead.fields, one.fit) == (("foo",), 0)
