from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rules.compile import RuleSet
from rules.correlation import Correlation
from rules.explain_correlation import CorrelationExplanation, explain_correlation, span_text
from rules.view import View
from tests.rules.conftest import event

RuleSetOf = Callable[..., RuleSet]
SECOND = 1_000_000
START = event().time

RULE = """title: {0}
id: 11111111-1111-4111-8111-11111111111{1}
name: {0}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {0}}}, condition: s}}
"""
COUNT = """title: Many
id: 22222222-2222-4222-8222-222222222222
correlation:
  type: {}
  rules: [{}]
  group-by: [sourceIPAddress]
  timespan: 5m
  condition: {}
"""


def views(*deeds: tuple[str, int, str], **more: Any) -> Iterator[View]:
    """(event name, seconds after the start, address) as events."""
    for number, (name, seconds, address) in enumerate(deeds):
        record = {"eventName": name, "sourceIPAddress": address, **more, "userName": f"u{number}"}
        if not address:
            del record["sourceIPAddress"]
        yield View(event(id=f"e{number}", time=START + seconds * SECOND), record)


def explained(rules: RuleSet, seen: Iterator[View]) -> CorrelationExplanation:
    one: Correlation = rules.correlations[0]
    return explain_correlation(rules, one, seen)


@pytest.fixture
def counting(rule_set: RuleSetOf) -> RuleSet:
    return rule_set(RULE.format("Login", 1), COUNT.format("event_count", "Login", "{gte: 3}"))


def test_each_event_says_what_it_counts_for(counting: RuleSet) -> None:
    told = explained(counting, views(("Login", 0, "a"), ("Other", 1, "a"), ("Login", 2, ""), ("Login", 3, "a")))
    assert [(step.event_id, step.rule, step.group, step.why) for step in told.steps] == [
        ("e0", "Login", (("sourceIPAddress", "a"),), ""),
        ("e1", "", (), "none of the rules it counts matches"),
        ("e2", "Login", (), "the event lacks a field it is grouped or counted by: sourceIPAddress"),
        ("e3", "Login", (("sourceIPAddress", "a"),), ""),
    ]
    assert told.needs == "matches gte 3 within 5m for the same sourceIPAddress"
    assert not told.fires


def test_each_window_says_how_far_it_came(counting: RuleSet) -> None:
    deeds = [("Login", 0, "a"), ("Login", 10, "a"), ("Login", 400, "a"), *[("Login", 20 + n, "b") for n in range(4)]]
    told = explained(counting, views(*deeds))
    first, second = told.groups
    assert (first.matches, first.reached, first.fired) == (3, "2 matches", False)
    assert (first.first, first.last) == (START, START + 10 * SECOND)
    assert (second.group, second.reached, second.fired) == ((("sourceIPAddress", "b"),), "4 matches", True)
    assert told.fires


def test_distinct_values(rule_set: RuleSetOf) -> None:
    condition = "{field: userName, gte: 2}"
    rules = rule_set(RULE.format("Login", 1), COUNT.format("value_count", "Login", condition))
    told = explained(rules, views(("Login", 0, "a"), ("Login", 1, "a")))
    assert [step.value for step in told.steps] == ["u0", "u1"]
    assert told.groups[0].reached == "2 distinct values of userName"
    assert told.needs.startswith("distinct values of userName gte 2")
    assert told.fires


def test_a_sequence_says_what_is_missing(rule_set: RuleSetOf) -> None:
    text = COUNT.format("temporal", "Login, Delete", "X").replace("  condition: X\n", "")
    rules = rule_set(RULE.format("Login", 1), RULE.format("Delete", 2), text)
    told = explained(rules, views(("Login", 0, "a"), ("Login", 1, "a")))
    assert (told.groups[0].reached, told.groups[0].missing) == ("1 of 2 rules", ("Delete",))
    assert not told.fires
    assert explained(rules, views(("Login", 0, "a"), ("Delete", 1, "a"))).fires


def test_sums(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE.format("Login", 1), COUNT.format("value_sum", "Login", "{field: bytes, gte: 100}"))
    told = explained(rules, views(("Login", 0, "a"), ("Login", 1, "a"), bytes=60))
    assert told.groups[0].reached == "2 values, sum 120, mean 60"
    assert [step.value for step in told.steps] == ["60", "60"]
    assert told.fires


def test_who_is_excused_from_it_is_not_counted(rule_set: RuleSetOf) -> None:
    excuse = """exceptions:
  - rules: [Many]
    selection: {userName: u1}
    owner: alice
    reason: a test
    created: 2026-03-01
    expires: 2026-04-01
"""
    count = COUNT.format("event_count", "Login", "{gte: 3}").replace("title: Many", "title: Many\nname: Many")
    rules = rule_set(RULE.format("Login", 1), count, excuse)
    told = explained(rules, views(*[("Login", n, "a") for n in range(3)]))
    assert [step.why for step in told.steps] == ["", "excused by alice: a test", ""]
    assert not told.fires


def test_secrets_are_not_shown(counting: RuleSet) -> None:
    token = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    assert token not in str(explained(counting, views(("Login", 0, token))))


@pytest.mark.parametrize(("seconds", "text"), [(5400, "1h30m"), (86_400, "1d"), (61, "1m1s"), (0, "0s")])
def test_spans(seconds: int, text: str) -> None:
    assert span_text(seconds * SECOND) == text
