from __future__ import annotations

from tests.rules.test_correlation_rule import COUNT, NORMALISED, RuleSetOf


def test_a_rule_counted_by_two_is_silent_if_either_keeps_it_silent(rule_set: RuleSetOf) -> None:
    loud = COUNT.replace("22222222-2", "44444444-4").replace("  timespan", "  generate: true\n  timespan")
    rules = rule_set(NORMALISED, COUNT, loud)
    assert rules.rules[0].silent
    assert len(rules.feeds_of(rules.rules[0].id)) == 2
