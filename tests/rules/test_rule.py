from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.finding import Finding, Version, stable_id
from rules.compile import RuleSet
from rules.rule import finding_of, first_sentence
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
RAW = b'{"eventName": "CreateUser", "requestParameters": {"note": "the secret is hunter2"}}'


def test_a_match_makes_a_finding(rule_set: Callable[..., RuleSet]) -> None:
    (rule,) = rule_set(TEXT).rules
    made = event(raw=RAW)
    assert finding_of(rule, made, Version(rules="r")) == Finding(
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
    finding = finding_of(rule_set(TEXT).rules[0], event(raw=RAW), Version())
    assert "hunter2" not in " ".join(finding.reasons)


@pytest.mark.parametrize("raw", [b"", b"[1]", b"{", b"[" * 100_000])
def test_a_raw_record_that_cannot_be_read_leaves_the_description(rule_set: Callable[..., RuleSet], raw: bytes) -> None:
    assert finding_of(rule_set(TEXT).rules[0], event(raw=raw), Version()).reasons == ("Somebody made a user.",)


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
