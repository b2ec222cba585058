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


GONE = """title: Gone
id: 44444444-4444-4444-8444-444444444444
name: gone
logsource: {product: auditwatch}
detection: {s: {actor.employment: ended}, long: {actor.days_since_seen|gte: 45}, condition: s and long}
auditwatch:
  tests:
"""
USER = "users: [{id: ada, end_date: 2026-02-28, identities: {aws: ['arn:aws:iam::1:user/a']}}]"


@pytest.mark.parametrize(
    ("more", "got"),
    [
        (f"context: {{{USER}}}, last_seen_days: 45", True),
        (f"context: {{{USER}}}, last_seen_days: 44", False),
        (f"context: {{{USER}}}", False),
        ("last_seen_days: 45", False),
        (f"context: {{{USER.replace('02-28', '03-02')}}}, last_seen_days: 45", False),
    ],
)
def test_a_test_declares_its_people_and_how_long_they_were_silent(rule_set: RuleSetOf, more: str, got: bool) -> None:
    record = RECORD % ("CreateUser", "a")
    (result,) = run_tests(
        rule_set(f"{GONE}    - {{name: a, match: true, source: cloudtrail, {more}, event: {record}}}")
    )
    assert result.got is got


def test_the_first_event_of_somebody_without_history_follows_no_other(rule_set: RuleSetOf) -> None:
    user = USER.replace("end_date", "last_login: 2025-12-01, end_date")
    record = RECORD % ("CreateUser", "a")
    test = f"    - {{name: a, match: true, source: cloudtrail, context: {{{user}}}, history_days: 0, event: {record}}}"
    (result,) = run_tests(rule_set(GONE + test))
    assert result.passed, "ninety days since the last login that is declared"


def test_events_of_a_test_may_be_of_several_sources(rule_set: RuleSetOf) -> None:
    count = """title: Two
id: 55555555-5555-4555-8555-555555555555
correlation: {type: value_count, rules: [any], group-by: [outcome], timespan: 90d, condition: {field: source, gte: 2}}
auditwatch:
  tests:
"""
    every = """title: Any
id: 66666666-6666-4666-8666-666666666666
name: any
logsource: {product: auditwatch}
detection: {s: {outcome: [success, unknown]}, condition: s}
"""
    cloud = RECORD % ("CreateUser", "a")
    okta = "{eventType: user.session.start, uuid: b, published: '2026-03-02T09:14:07.123Z', outcome: {result: SUCCESS}}"
    test = f"    - {{name: a, match: true, source: [cloudtrail, okta], events: [{cloud}, {okta}]}}\n"
    again = f"    - {{name: b, match: false, source: cloudtrail, events: [{cloud}, {cloud}]}}\n"
    results = run_tests(rule_set(every, count + test + again))
    assert [(result.test, result.error, result.passed) for result in results] == [("a", "", True), ("b", "", True)]
