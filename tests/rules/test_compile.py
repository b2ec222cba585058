from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

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
        text(6, "opencanary", "a: x"),
    )
    record = {"a": "x"}
    assert titles(rules, record, "cloudtrail") == ["Rule 1", "Rule 4"]
    assert titles(rules, record, "okta") == ["Rule 2", "Rule 4", "Rule 5"]
    assert titles(rules, record, "opencanary") == ["Rule 4", "Rule 6"]
    assert titles(rules, record, "somewhere") == ["Rule 4"]


def test_a_rule_that_is_off_is_not_asked_and_one_in_shadow_is(rule_set: RuleSetOf) -> None:
    rules = rule_set(
        text(1, "aws", "a: x") + "auditwatch: {stage: off}\n",
        text(2, "aws", "a: x") + "auditwatch: {stage: shadow}\n",
        text(3, "aws", "a: x") + "status: deprecated\n",
    )
    assert [rule.stage for rule in rules.rules] == ["off", "shadow", "off"]
    assert titles(rules, {"a": "x"}, "cloudtrail") == ["Rule 2"]
    assert [rule.title for rule in rules.of("cloudtrail")] == ["Rule 2"]
    assert rules.of("okta") == []


COUNT = """title: Many
id: 22222222-2222-4222-8222-222222222222
correlation: {type: event_count, rules: [RULES], timespan: 10m, condition: {gte: 2}}
"""


def test_a_live_correlation_does_not_count_a_rule_in_shadow(rule_set: RuleSetOf) -> None:
    live, shadow = text(1, "aws", "a: x"), text(2, "aws", "a: x") + "auditwatch: {stage: shadow}\n"
    ids = [f"11111111-1111-4111-8111-{number:012d}" for number in (1, 2)]
    count = COUNT.replace("RULES", ", ".join(ids))
    rules = rule_set(live, shadow, count)
    assert [len(rules.feeds_of(rule_id)) for rule_id in ids] == [1, 0]
    rules = rule_set(live, shadow, count + "auditwatch: {stage: shadow}\n")
    assert [len(rules.feeds_of(rule_id)) for rule_id in ids] == [1, 1]


def test_an_empty_set_matches_nothing() -> None:
    rules = RuleSet()
    assert rules.match(event(), {"a": "x"}) == []
    assert rules.feeds_of("x") == ()
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
    """57 rules on real CloudTrail: the goal is 10 µs an event; a shared machine gets twice that."""
    rules = load([data / "sigma" / "rules" / "cloud" / "aws"])
    records = list(raw_records(data / "cloudtrail"))
    one = event()
    took = []
    for _ in range(4):
        start = time.process_time()
        for record in records:
            rules.match(one, record)
        took.append((time.process_time() - start) / len(records))
    assert min(took) < 20e-6


def test_two_thousand_rules_cost_little_more_than_fifty(data: Path, tmp_path: Path) -> None:
    """Clones of the 57, each with a filter of its own: the goal is 67 µs an event."""
    originals = [yaml.safe_load(file.read_text()) for file in sorted((data / "sigma/rules/cloud/aws").rglob("*.yml"))]
    clones = []
    for number in range(2000):
        clone = copy.deepcopy(originals[number % len(originals)])
        clone["id"] = f"11111111-1111-4111-8111-{number:012d}"
        clone["detection"]["mine"] = {"userIdentity.userName": f"robot{number}"}
        clone["detection"]["condition"] = f"({clone['detection']['condition']}) and not mine"
        clones.append(clone)
    (tmp_path / "clones.yml").write_text(yaml.safe_dump_all(clones, sort_keys=False))
    rules = load([tmp_path])
    records = list(raw_records(data / "cloudtrail"))[::5]
    one = event()
    took = []
    for _ in range(3):
        start = time.process_time()
        for record in records:
            rules.match(one, record)
        took.append((time.process_time() - start) / len(records))
    assert len(rules.rules) == 2000
    assert min(took) < 67e-6
