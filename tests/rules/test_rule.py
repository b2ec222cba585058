from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.finding import Finding, Version, stable_id
from rules.compile import RuleSet
from rules.rule import finding_of, first_sentence
from rules.view import History, View
from tests.rules.conftest import event

TEXT = """title: User created
id: 11111111-1111-4111-8111-111111111111
description: Somebody made a user. That may be fine.
author: somebody
tags: [attack.t1136.003]
level: high
logsource: {product: aws, service: cloudtrail}
detection:
  s:
    eventName: [CreateUser, CreateRole]
    requestParameters|contains: secret
  n: {errorCode: AccessDenied}
  condition: s and not n
"""
RECORD = {"eventName": "CreateUser", "requestParameters": {"note": "the secret is hunter2"}}


def test_a_match_makes_a_finding(rule_set: Callable[..., RuleSet]) -> None:
    (rule,) = rule_set(TEXT).rules
    made = event()
    assert finding_of(rule, View(made, RECORD), Version(rules="r")) == Finding(
        id=stable_id("rule", rule.id, "cloudtrail", "e1"),
        time=made.time,
        kind="rule",
        detection=rule.id,
        title="User created",
        severity="high",
        risk=60,
        principal="alice",
        entity="user:alice",
        event_ids=("e1",),
        reasons=("Somebody made a user.", "eventName is CreateUser", "requestParameters contains secret"),
        attack=("T1136.003",),
        version=Version(rules="r"),
        author="somebody",
    )


def test_reasons_hold_no_value_of_the_record(rule_set: Callable[..., RuleSet]) -> None:
    finding = finding_of(rule_set(TEXT).rules[0], View(event(), RECORD), Version())
    assert "hunter2" not in " ".join(finding.reasons)


def test_of_an_empty_record_only_the_description_is_left(rule_set: Callable[..., RuleSet]) -> None:
    assert finding_of(rule_set(TEXT).rules[0], View(event(), {}), Version()).reasons == ("Somebody made a user.",)


def test_reasons_name_what_was_new(rule_set: Callable[..., RuleSet]) -> None:
    (rule,) = rule_set(
        TEXT.replace("  n: {errorCode", "    auditwatch.first_seen.country: true\n  n: {errorCode")
    ).rules
    new = View(event(), RECORD, History(0b100, 30))
    assert rule.matches(new)
    assert "first_seen.country is true" in finding_of(rule, new, Version()).reasons
    assert not rule.matches(View(event(), RECORD, History(0b011, 30)))
    assert not rule.matches(View(event(), RECORD))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two.", "One."),
        ("One", "One"),
        ("  A\n  b.\nC", "A b."),
        ("x" * 300, "x" * 237 + "..."),
        ("v1.2 is out", "v1.2 is out"),
    ],
)
def test_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence
