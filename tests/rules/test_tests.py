from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rules.compile import RuleSet
from rules.sigma import RuleErrors
from rules.tests import TestResult, far_misses, lacking, run_tests

RuleSetOf = Callable[..., RuleSet]

RULE = """title: Created
id: 33333333-3333-4333-8333-333333333333
name: created
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: CreateUser}, condition: s}
auditwatch:
  tests:
"""
RECORD = (
    "{eventName: %s, eventSource: iam.amazonaws.com, eventTime: 2026-03-02T09:14:07Z, eventID: '%s', "
    "sourceIPAddress: 198.51.100.7, userIdentity: {type: IAMUser, arn: 'arn:aws:iam::1:user/a', userName: a}}"
)


def case(name: str, match: str, action: str) -> str:
    return f"    - {{name: {name}, match: {match}, event: {RECORD % (action, name)}}}\n"


def test_a_rule_that_does_what_its_tests_want_passes(rule_set: RuleSetOf) -> None:
    results = run_tests(rule_set(RULE + case("a", "true", "CreateUser") + case("b", "false", "DeleteUser")))
    assert [(result.test, result.wanted, result.got, result.passed) for result in results] == [
        ("a", True, True, True),
        ("b", False, False, True),
    ]


def test_a_rule_that_does_not_fails_with_its_place(rule_set: RuleSetOf) -> None:
    (result,) = run_tests(rule_set(RULE + case("a", "true", "DeleteUser")))
    assert not result.passed
    assert str(result) == f"{result.path}:8: Created: a: failed: the rule must match"


def test_records_go_through_the_real_normaliser(rule_set: RuleSetOf) -> None:
    (result,) = run_tests(rule_set(RULE + "    - {name: a, match: false, event: {nothing: here}}\n"))
    assert not result.passed
    assert "the record cannot be read" in result.error


def test_an_unknown_source_is_an_error(rule_set: RuleSetOf) -> None:
    (result,) = run_tests(rule_set(RULE + "    - {name: a, match: false, source: nowhere, event: {a: b}}\n"))
    assert result.error.startswith("no source called 'nowhere': known are ")
    assert str(result).endswith(result.error)


def test_a_correlation_is_tested_with_several_events(rule_set: RuleSetOf) -> None:
    events = ", ".join(RECORD % ("CreateUser", number) for number in range(3))
    count = f"""title: Many
id: 22222222-2222-4222-8222-222222222222
correlation: {{type: event_count, rules: [created], group-by: [sourceIPAddress], timespan: 5m, condition: {{gte: 3}}}}
auditwatch:
  tests:
    - {{name: three, match: true, source: cloudtrail, events: [{events}]}}
    - {{name: one, match: false, source: cloudtrail, event: {RECORD % ("CreateUser", 0)}}}
"""
    assert [result.passed for result in run_tests(rule_set(RULE.partition("auditwatch")[0], count))] == [True, True]


def test_paths_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(RULE + case("a", "true", "CreateUser"))
    assert [result.passed for result in run_tests([tmp_path])] == [True]
    with pytest.raises(RuleErrors):
        run_tests([tmp_path / "none.yml"])


def test_a_result_without_error_says_passed() -> None:
    assert str(TestResult("r", "T", "t", Path("r.yml"), 1, True, True)) == "r.yml:1: T: t: passed"


def test_what_a_rule_lacks(rule_set: RuleSetOf) -> None:
    def kinds(*cases: str) -> list[str]:
        return lacking(rule_set(RULE + "".join(cases)).rules[0])

    yes, no = case("a", "true", "CreateUser"), case("b", "false", "x")
    near = case("c", "false", "y").replace("match: false", "match: false, near_miss: true")
    assert kinds(yes, no, near) == []
    assert kinds(yes, near) == ["that must not match"]
    assert kinds(yes, no) == ["that only just does not match (near_miss: true)"]
    assert kinds(no, near) == ["that must match"]


def test_a_near_miss_must_be_near(rule_set: RuleSetOf) -> None:
    def far(detection: str, action: str) -> list[str]:
        near = case("c", "false", action).replace("match: false", "match: false, near_miss: true")
        rules = rule_set(RULE.replace("{s: {eventName: CreateUser}, condition: s}", detection) + near)
        return [test.name for test in far_misses(rules.rules[0])]

    two = "{s: {eventName: CreateUser, eventSource: sts}, condition: s}"
    assert far(two, "Other") == ["c"]
    assert far(two, "CreateUser") == []
    assert far("{s: {eventName: CreateUser}, condition: s}", "Other") == []
    assert far("{s: {eventName: CreateUser}, t: {errorCode: x}, condition: s and not t}", "Other") == []
