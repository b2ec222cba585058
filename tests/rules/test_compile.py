from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit.finding import Version
from rules.compile import RuleSet, content_hash, match_lines
from rules.sigma import load
from tests.rules.conftest import event, raw_records

RuleSetOf = Callable[..., RuleSet]


def text(number: int, product: str, detection: str, service: str = "") -> str:
    logsource = f"{{product: {product}, service: {service}}}" if service else f"{{product: {product}}}"
    return f"""title: Rule {number}
id: 11111111-1111-4111-8111-{number:012d}
logsource: {logsource}
detection: {{s: {{{detection}}}, condition: s}}
"""


def titles(rules: RuleSet, record: dict[str, Any], source: str) -> list[str]:
    return [rule.title for rule in rules.match(event(source=source), record)]


def test_rules_meet_the_events_of_their_log_source(rule_set: RuleSetOf) -> None:
    rules = rule_set(
        text(1, "aws", "a: x", "cloudtrail"),
        text(2, "okta", "a: x", "okta"),
        text(3, "github", "a: x", "audit"),
        text(4, "auditwatch", "outcome: success"),
        text(5, "auditwatch", "outcome: success", "okta"),
        text(6, "bitbucket", "a: x", "audit"),
    )
    record = {"a": "x"}
    assert titles(rules, record, "cloudtrail") == ["Rule 1", "Rule 4"]
    assert titles(rules, record, "okta") == ["Rule 2", "Rule 4", "Rule 5"]
    assert titles(rules, record, "bitbucket") == ["Rule 4", "Rule 6"]
    assert titles(rules, record, "somewhere") == ["Rule 4"]


def test_an_empty_set_matches_nothing() -> None:
    rules = RuleSet()
    assert rules.match(event(), {"a": "x"}) == []
    assert rules.correlations_of("x") == ()
    assert len(rules.hash) == 16


def test_match_lines_gives_every_pair(rule_set: RuleSetOf) -> None:
    rules = rule_set(text(1, "aws", "a: x"), text(2, "aws", "b: y"))
    events = [(event(id="e1"), {"a": "x", "b": "y"}), (event(id="e2"), {"b": "y"}), (event(id="e3"), {})]
    first, second = (rule.id for rule in rules.rules)
    assert list(match_lines(rules, events)) == [("e1", first), ("e1", second), ("e2", second)]


def test_the_hash_ignores_order_and_sees_content() -> None:
    assert content_hash([{"a": 1, "b": 2}, {"c": 3}]) == content_hash([{"c": 3}, {"b": 2, "a": 1}])
    assert content_hash([{"a": 1}]) != content_hash([{"a": 2}])
    assert RuleSet().hash == content_hash([])
    assert Version(rules=RuleSet().hash).rules


def test_matching_real_events_is_fast(data: Path) -> None:
    """57 rules on real CloudTrail: the goal is 10 µs an event; a shared machine gets three times that."""
    rules = load([data / "sigma" / "rules" / "cloud" / "aws"])
    records = list(raw_records(data / "cloudtrail"))
    one = event()
    took = []
    for _ in range(4):
        start = time.perf_counter()
        for record in records:
            rules.match(one, record)
        took.append((time.perf_counter() - start) / len(records))
    assert min(took) < 30e-6
