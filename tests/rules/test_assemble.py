from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.event import MICROSECONDS
from rules.compile import RuleSet

RuleSetOf = Callable[..., RuleSet]

RULE = """title: Failed
id: 33333333-3333-4333-8333-333333333333
name: failed
logsource: {product: aws, service: cloudtrail}
detection: {s: {errorCode: AccessDenied}, condition: s}
"""
NORMALISED = RULE.replace("product: aws, service: cloudtrail", "product: auditwatch").replace("errorCode", "outcome")
COUNT = """title: Many
id: 22222222-2222-4222-8222-222222222222
name: many
level: high
tags: [attack.t1110]
correlation:
  type: value_count
  rules: failed
  group-by: source_ip
  timespan: 2h
  condition: {field: actor.id, gt: 4}
auditwatch: {runbook: [Look.], risk: 42}
"""


def test_a_correlation_has_what_its_file_says(rule_set: RuleSetOf) -> None:
    (found,) = rule_set(NORMALISED, COUNT).correlations
    assert (found.title, found.name, found.severity, found.risk) == ("Many", "many", "high", 42)
    assert found.rule_ids == ("33333333-3333-4333-8333-333333333333",)
    assert found.group_by == ("auditwatch.source_ip",)
    assert found.timespan == 7200 * MICROSECONDS
    assert (found.kind, found.field) == ("value_count", "auditwatch.actor.id")
    assert (found.op, found.threshold, found.entity_kind) == ("gt", 4, "ip")
    assert (found.attack, found.runbook) == (("T1110",), ("Look.",))


def test_over_raw_rules_fields_are_those_of_the_record(rule_set: RuleSetOf) -> None:
    (found,) = rule_set(RULE, COUNT).correlations
    assert (found.group_by, found.field) == (("source_ip",), "actor.id")
    assert found.entity_kind == "user"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ("source_ip", "ip"),
        ("session_id", "session"),
        ("resource.name", "resource"),
        ("actor.id", "user"),
        ("[account, source_ip]", "user"),
    ],
)
def test_the_first_group_by_field_says_whom_it_is_about(rule_set: RuleSetOf, fields: str, kind: str) -> None:
    text = COUNT.replace("group-by: source_ip", f"group-by: {fields}")
    assert rule_set(NORMALISED, text).correlations[0].entity_kind == kind


def test_without_a_group_all_matches_of_an_actor_are_one(rule_set: RuleSetOf) -> None:
    (found,) = rule_set(NORMALISED, COUNT.replace("  group-by: source_ip\n", "")).correlations
    assert (found.group_by, found.groups, found.entity_kind) == ((), (), "user")


def test_a_rule_counted_by_two_is_silent_if_either_keeps_it_silent(rule_set: RuleSetOf) -> None:
    loud = COUNT.replace("22222222-2", "44444444-4").replace("  timespan", "  generate: true\n  timespan")
    rules = rule_set(NORMALISED, COUNT, loud)
    assert rules.rules[0].silent
    assert len(rules.correlations_of(rules.rules[0].id)) == 2
