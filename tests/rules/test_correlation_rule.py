from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit.event import MICROSECONDS, AuditEvent, Principal
from rules.compile import RuleSet
from rules.correlation import Correlation, match_of
from rules.correlation_section import LATENESS
from rules.document import RuleErrors
from tests.rules.conftest import event

RuleSetOf = Callable[..., RuleSet]
MINUTE = 60 * MICROSECONDS

FAILED = """title: Failed
id: 33333333-3333-4333-8333-333333333333
name: failed
logsource: {product: aws, service: cloudtrail}
detection: {s: {errorCode: AccessDenied}, condition: s}
"""
NORMALISED = FAILED.replace("product: aws, service: cloudtrail", "product: auditwatch").replace("errorCode", "outcome")
DONE = """title: Done
id: 44444444-4444-4444-8444-444444444444
name: done
logsource: {product: okta, service: okta}
detection: {s: {eventType: done}, condition: s}
"""
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
SEQUENCE = """title: Failed, then done
id: 55555555-5555-4555-8555-555555555555
correlation:
  type: temporal_ordered
  rules: [failed, done]
  group-by: [ip]
  timespan: 15m
  aliases:
    ip: {failed: sourceIPAddress, done: client.ipAddress}
"""
OUTER = """title: Many, then done
id: 66666666-6666-4666-8666-666666666666
correlation:
  type: temporal_ordered
  rules: [many, done]
  group-by: [ip]
  timespan: 1h
  aliases: {ip: {many: sourceIPAddress, done: client.ipAddress}}
"""
MANY = (
    COUNT.replace("value_count", "event_count")
    .replace("field: actor.id, gt: 4", "gte: 3")
    .replace("source_ip", "[userAgent, sourceIPAddress]")
)


def one(rules: RuleSet, title: str) -> Correlation:
    return next(found for found in rules.correlations if found.title == title)


def errors_of(rule_set: RuleSetOf, *texts: str) -> list[str]:
    with pytest.raises(RuleErrors) as caught:
        rule_set(*texts)
    return [
        f"{error.path.name}:{error.line}:{error.column}: {error.message}: {error.hint}" for error in caught.value.errors
    ]


def test_a_correlation_has_what_its_file_says(rule_set: RuleSetOf) -> None:
    found = one(rule_set(NORMALISED, COUNT), "Many")
    assert (found.title, found.name, found.severity, found.risk) == ("Many", "many", "high", 42)
    assert found.rule_ids == ("33333333-3333-4333-8333-333333333333",)
    assert found.group_by == ("auditwatch.source_ip",)
    assert found.timespan == 7200 * MICROSECONDS
    assert (found.kind, found.field, found.timing) == ("value_count", "auditwatch.actor.id", "prompt")
    assert (found.bounds, found.need, found.threshold) == ((("gt", 4),), 5, 4)
    assert (found.attack, found.runbook, found.lateness) == (("T1110",), ("Look.",), LATENESS)


def test_over_raw_rules_fields_are_those_of_the_record(rule_set: RuleSetOf) -> None:
    found = one(rule_set(FAILED, COUNT), "Many")
    assert (found.group_by, found.field) == (("source_ip",), "actor.id")
    assert found.sources == {"cloudtrail"}


def test_rules_of_any_source_have_any_source(rule_set: RuleSetOf) -> None:
    assert one(rule_set(NORMALISED, COUNT), "Many").sources == frozenset()


@pytest.mark.parametrize(
    ("condition", "timing", "need"),
    [
        ("{gte: 3}", "prompt", 3),
        ("{gt: 3}", "prompt", 4),
        ("{gt: 3, gte: 2}", "prompt", 4),
        ("{lt: 3}", "complete", 1),
        ("{gte: 3, lte: 5}", "complete", 3),
        ("{eq: 3}", "complete", 1),
        ("{neq: 3}", "complete", 1),
    ],
)
def test_when_a_count_is_judged(rule_set: RuleSetOf, condition: str, timing: str, need: int) -> None:
    text = COUNT.replace("value_count", "event_count").replace("{field: actor.id, gt: 4}", condition)
    found = one(rule_set(NORMALISED, text), "Many")
    assert (found.timing, found.need) == (timing, need)


@pytest.mark.parametrize(
    ("kind", "condition", "timing", "bounds"),
    [
        ("value_sum", "{field: raw.n, gte: 1.5}", "prompt", (("gte", 1_500_000),)),
        ("value_sum", "{field: raw.n, lt: 2}", "complete", (("lt", 2_000_000),)),
        ("value_avg", "{field: raw.n, gte: 2}", "settled", (("gte", 2_000_000),)),
        ("value_percentile", "{field: raw.n, percentile: 95, lt: 2}", "settled", (("lt", 2_000_000),)),
        ("value_median", "{field: raw.n, eq: 2}", "settled", (("eq", 2_000_000),)),
    ],
)
def test_measures(rule_set: RuleSetOf, kind: str, condition: str, timing: str, bounds: Any) -> None:
    text = COUNT.replace("value_count", kind).replace("{field: actor.id, gt: 4}", condition)
    found = one(rule_set(NORMALISED, text), "Many")
    assert (found.kind, found.timing, found.bounds) == (kind, timing, bounds)
    assert found.feeds[0].numeric


def okta(ip: str, **fields: Any) -> tuple[AuditEvent, dict[str, Any]]:
    return event(source="okta", **fields), {"client": {"ipAddress": ip}, "eventType": "done"}


def test_aliases_join_fields_of_different_sources(rule_set: RuleSetOf) -> None:
    rules = rule_set(FAILED, DONE, SEQUENCE)
    found = one(rules, "Failed, then done")
    assert found.group_by == ("ip",)
    assert found.sources == {"cloudtrail", "okta"}
    first = match_of(rules.feeds_of(found.rule_ids[0])[0], event(), {"sourceIPAddress": "1.2.3.4"})
    second = match_of(rules.feeds_of(found.rule_ids[1])[0], *okta("1.2.3.4"))
    assert first is not None
    assert second is not None
    assert (first.group, first.entity) == (second.group, second.entity) == ("1.2.3.4", "ip:1.2.3.4")
    assert (first.entry.rule, second.entry.rule) == (0, 1)


def test_aliases_may_name_a_rule_by_its_id(rule_set: RuleSetOf) -> None:
    text = SEQUENCE.replace("{failed: sou", "{33333333-3333-4333-8333-333333333333: sou").replace(
        "[failed", "[33333333-3333-4333-8333-333333333333"
    )
    assert len(rule_set(FAILED, DONE, text).correlations) == 1


def test_rules_are_silent_unless_the_correlation_lets_them_speak(rule_set: RuleSetOf) -> None:
    assert [rule.silent for rule in rule_set(FAILED, DONE, SEQUENCE).rules] == [True, True]
    loud = SEQUENCE.replace("  timespan", "  generate: true\n  timespan")
    assert [rule.silent for rule in rule_set(FAILED, DONE, loud).rules] == [False, False]


def test_without_a_group_everybody_is_counted_together(rule_set: RuleSetOf) -> None:
    rules = rule_set(NORMALISED, COUNT.replace("  group-by: source_ip\n", ""))
    feed = rules.feeds_of(one(rules, "Many").rule_ids[0])[0]
    found = {match_of(feed, event(actor=Principal(name, name)), {}).entity for name in "ab"}  # type: ignore[union-attr]
    assert found == {"group:all"}


def test_what_must_not_follow_has_a_place_of_its_own(rule_set: RuleSetOf) -> None:
    text = SEQUENCE.replace("[failed, done]", "[failed]") + "auditwatch: {absent: done, within: 5m}\n"
    rules = rule_set(FAILED, DONE, text)
    found = one(rules, "Failed, then done")
    assert (found.absent, found.absent_name, found.within, found.patience) == (
        1,
        "done",
        5 * MINUTE,
        5 * MINUTE + LATENESS,
    )
    assert [feed.rule for feed in found.feeds] == [0, 1]
    assert rules.patience == 10 * MINUTE
    assert all(rule.silent for rule in rules.rules)


def test_a_correlation_may_count_another(rule_set: RuleSetOf) -> None:
    rules = rule_set(FAILED, DONE, MANY, OUTER)
    outer, many = one(rules, "Many, then done"), one(rules, "Many")
    (inner,) = outer.nested
    assert many.silent
    assert inner.id == f"{outer.id}/{many.id}"
    assert inner.parent is not None
    assert (inner.parent.correlation, inner.parent.rule, inner.parent.picks) == (outer.id, 0, (1,))
    assert rules.correlation(inner.id) is inner
    assert [set(feed.concerns) for feed in inner.feeds] == [{outer.id, many.id}]
    (feed,) = rules.feeds_of(many.rule_ids[0])
    found = match_of(feed, event(), {"userAgent": "curl", "sourceIPAddress": "1.2.3.4"})
    assert found is not None
    assert (found.correlation, found.group, found.entity) == (inner.id, "curl\x1f1.2.3.4", "ip:1.2.3.4")


def test_a_counted_correlation_speaks_itself_where_it_may(rule_set: RuleSetOf) -> None:
    rules = rule_set(FAILED, DONE, MANY, OUTER.replace("  timespan", "  generate: true\n  timespan"))
    assert not one(rules, "Many").silent
    assert len(rules.feeds_of(one(rules, "Many").rule_ids[0])) == 2


def test_a_rule_that_is_off_is_not_fed(rule_set: RuleSetOf) -> None:
    rules = rule_set(NORMALISED, COUNT.replace("risk: 42", "stage: off"))
    assert rules.feeds_of(one(rules, "Many").rule_ids[0]) == ()


def test_the_stamp_changes_with_what_windows_depend_on(rule_set: RuleSetOf) -> None:
    def stamp(text: str) -> str:
        return one(rule_set(NORMALISED, text), "Many").stamp

    assert stamp(COUNT) == stamp(COUNT.replace("level: high", "level: low").replace("risk: 42", "risk: 1"))
    assert stamp(COUNT) != stamp(COUNT.replace("gt: 4", "gt: 5"))
    assert stamp(COUNT) != stamp(COUNT.replace("2h", "3h"))
    assert stamp(COUNT) != stamp(COUNT.replace("risk: 42", "lateness: 1m"))


WRONG = [
    ((COUNT.replace("failed", "faild"),), "rule1.yml:8:3: no rule called 'faild': did you mean 'failed'?"),
    (
        (COUNT.replace("source_ip", "auditwatch.source_op"),),
        "rule1.yml:9:3: no field 'source_op' in the normalised event: did you mean 'source_ip'?",
    ),
    (
        (COUNT.replace("field: actor.id", "field: auditwatch.actor.ix"),),
        "rule1.yml:11:15: no field 'actor.ix' in the normalised event: did you mean 'actor.id'?",
    ),
    (
        (DONE, SEQUENCE.replace(", done: client.ipAddress", "")),
        "rule2.yml:9:5: alias 'ip' names no field of 'done': add done: FIELD",
    ),
    (
        (DONE, SEQUENCE.replace("client.ip", "auditwatch.ip")),
        "rule2.yml:9:5: no field 'ipAddress' in the normalised event",
    ),
    (
        (DONE, MANY.replace("userAgent, sourceIPAddress", "userAgent"), OUTER),
        "rule3.yml:6:3: 'many' is not grouped by 'ip': group many by it, too, or name the",
    ),
    (
        (
            DONE,
            MANY,
            OUTER.replace("temporal_ordered", "value_sum").replace("1h", "1h\n  condition: {field: n, gte: 2}"),
        ),
        "rule3.yml:5:3: value_sum reads a field of events, a correlation has none",
    ),
    (
        (MANY.replace("rules: failed", "rules: many"),),
        "rule1.yml:8:3: 'many' counts itself in the end: break the circle",
    ),
    (
        (DONE, SEQUENCE.replace("15m", "15m\n  condition: {lte: 1}")),
        "rule2.yml:8:3: temporal_ordered compares with gte or gt: use temporal",
    ),
    (
        (DONE, MANY.replace("gte: 3", "lt: 3") + "  \n".replace("  \n", ""), MANY),
        "rule3.yml:2:1: the id is used twice",
    ),
    (
        (DONE, MANY.replace("gte: 3", "lt: 3").replace("risk: 42", "absent: done")),
        "rule2.yml:12:32: absent needs a condition that is met at once: gte, gt, or a temporal condition without not",
    ),
    (
        (DONE, MANY, SEQUENCE + "auditwatch: {absent: many}\n"),
        "rule3.yml:10:14: absent names 'many', which is a correlation: name a rule",
    ),
    ((COUNT.replace("risk: 42", "absnt: x"),), "rule1.yml:12:32: unknown key 'absnt' in auditwatch"),
]


@pytest.mark.parametrize(("texts", "error"), WRONG)
def test_what_cannot_be_tied_is_an_error_with_its_place(
    rule_set: RuleSetOf, texts: tuple[str, ...], error: str
) -> None:
    found = errors_of(rule_set, FAILED, *texts)
    assert any(each.startswith(error) for each in found), found


def test_an_error_in_a_counted_correlation_is_said_once(rule_set: RuleSetOf) -> None:
    found = errors_of(rule_set, FAILED, DONE, MANY.replace("rules: failed", "rules: faild"), OUTER)
    assert found == ["rule2.yml:8:3: no rule called 'faild': did you mean 'failed'?"]


def test_sections_of_rules_do_not_know_the_keys_of_correlations(rule_set: RuleSetOf) -> None:
    found = errors_of(rule_set, FAILED + "auditwatch: {absent: x}\n")
    assert found[0].startswith("rule0.yml:6:14: unknown key 'absent' in auditwatch")
