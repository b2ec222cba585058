from __future__ import annotations

from collections.abc import Callable

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


def test_a_rule_counted_by_two_is_silent_if_either_keeps_it_silent(rule_set: RuleSetOf) -> None:
    loud = COUNT.replace("22222222-2", "44444444-4").replace("  timespan", "  generate: true\n  timespan")
    rules = rule_set(NORMALISED, COUNT, loud)
    assert rules.rules[0].silent
    assert len(rules.feeds_of(rules.rules[0].id)) == 2
