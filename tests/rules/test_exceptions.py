from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit.event import MICROSECONDS, Principal, parse_rfc3339
from rules.compile import RuleSet
from rules.exceptions import expired
from tests.rules.conftest import event
from tests.rules.test_sigma import errors_of

RuleSetOf = Callable[..., RuleSet]

RULE = """title: Created
id: 11111111-1111-4111-8111-111111111111
name: created
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: CreateUser}, condition: s}
"""
NORMALISED = (
    RULE.replace("11111111-", "22222222-")
    .replace("name: created", "name: normalised")
    .replace("{product: aws, service: cloudtrail}", "{product: auditwatch}")
    .replace("eventName", "action")
)
EXCEPTIONS = """exceptions:
  - rules: [created]
    selection: {userIdentity.userName: terraform, auditwatch.source_ip|cidr: 198.51.100.0/24}
    owner: alice@example.com
    reason: The pipeline makes users.
    created: 2026-02-01
    expires: 2026-04-30
    ticket: SEC-7
"""
COUNT = """title: Many
id: 33333333-3333-4333-8333-333333333333
name: many
correlation: {type: event_count, rules: [created], group-by: [sourceIPAddress], timespan: 10m, condition: {gte: 2}}
"""
CREATED = "11111111-1111-4111-8111-111111111111"
TERRAFORM: dict[str, Any] = {"eventName": "CreateUser", "userIdentity": {"userName": "Terraform"}}


def at(text: str) -> int:
    return parse_rfc3339(text)


def test_who_matches_its_selection_is_excused(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE, EXCEPTIONS)
    found = rules.excused(CREATED, event(), TERRAFORM)
    assert found is not None
    assert (found.owner, found.reason, found.ticket) == ("alice@example.com", "The pipeline makes users.", "SEC-7")
    assert (found.path.name, found.line) == ("rule1.yml", 2)
    assert rules.excused(CREATED, event(), {"userIdentity": {"userName": "mallory"}}) is None
    assert rules.excused(CREATED, event(source_ip="203.0.113.1"), TERRAFORM) is None
    assert rules.excused("another rule", event(), TERRAFORM) is None


def test_the_rule_matches_all_the_same(rule_set: RuleSetOf) -> None:
    assert [rule.id for rule in rule_set(RULE, EXCEPTIONS).match(event(), TERRAFORM)] == [CREATED]


def test_it_ends_at_its_date_in_the_events_own_time(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE, EXCEPTIONS)
    last, over = at("2026-04-29T23:59:59.999999Z"), at("2026-04-30T00:00:00Z")
    assert rules.excused(CREATED, event(time=last), TERRAFORM) is not None
    assert rules.excused(CREATED, event(time=over), TERRAFORM) is None


def test_what_has_ended_is_said(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE, EXCEPTIONS)
    end = rules.exceptions[0].expires
    assert expired(rules.exceptions, end - 1) == []
    (said,) = expired(rules.exceptions, end)
    assert str(said).endswith(
        "rule1.yml:2:1: the exception of alice@example.com ended on 2026-04-30: renew it with new dates, or delete it"
    )


def test_a_field_means_what_it_means_in_the_rule(rule_set: RuleSetOf) -> None:
    text = EXCEPTIONS.replace("[created]", "normalised").replace(
        "{userIdentity.userName: terraform, auditwatch.source_ip|cidr: 198.51.100.0/24}",
        "[{actor.id: alice}, {raw.tool: terraform}]",
    )
    rules = rule_set(NORMALISED, text)
    normalised = rules.rules[0].id
    other = Principal("bob", "Bob")
    assert rules.excused(normalised, event(), {}) is not None
    assert rules.excused(normalised, event(actor=other), {"tool": "Terraform"}) is not None
    assert rules.excused(normalised, event(actor=other), {}) is None


def test_whoever_is_excused_from_a_correlation_is_found_by_its_id(rule_set: RuleSetOf) -> None:
    rules = rule_set(RULE, COUNT, EXCEPTIONS.replace("[created]", "[many]"))
    assert rules.excused(rules.correlations[0].id, event(), TERRAFORM) is not None
    assert rules.excused(CREATED, event(), TERRAFORM) is None


def test_times_may_be_told_to_the_second(rule_set: RuleSetOf) -> None:
    text = EXCEPTIONS.replace("2026-04-30", "2026-04-30T12:00:00+02:00")
    assert rule_set(RULE, text).exceptions[0].expires == at("2026-04-30T10:00:00Z")
    quoted = EXCEPTIONS.replace("2026-04-30", "'2026-04-30'")
    assert rule_set(RULE, quoted).exceptions[0].expires == at("2026-04-30T00:00:00Z")


def test_ninety_days_are_allowed(rule_set: RuleSetOf) -> None:
    (found,) = rule_set(RULE, EXCEPTIONS.replace("2026-04-30", "2026-05-02")).exceptions
    assert found.expires - found.created == 90 * 86_400 * MICROSECONDS


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("2026-04-30", "2026-05-03", "7:5: it lasts 91 days: at most 90 days after created"),
        ("2026-04-30", "2026-02-01", "7:5: it ends before it begins: at most 90 days after created"),
        ("2026-04-30", "soon", "7:5: expires must be a date: write 2026-03-02"),
        ("2026-02-01", "7", "6:5: created must be a date: write 2026-03-02"),
        ("    owner: alice@example.com\n", "", "2:5: an exception needs owner: who answers for it"),
        ("    reason: The pipeline makes users.\n", "", "2:5: an exception needs reason: why these events are"),
        ("    expires: 2026-04-30\n", "", "2:5: an exception needs expires: the day it ends, at most 90 days"),
        ("    created: 2026-02-01\n", "", "2:5: an exception needs created: the day it was written"),
        ("alice@example.com", "[a]", "4:5: owner must be text: who answers for it"),
        ("owner:", "onwer:", "4:5: unknown key 'onwer' in exceptions.0: did you mean 'owner'?"),
        ("[created]", "[craeted]", "2:5: no rule called 'craeted': did you mean 'created'?"),
        ("|cidr", "|cird", "3:51: unknown modifier 'cird': did you mean 'cidr'?"),
        ("auditwatch.source_ip", "auditwatch.source_op", "3:51: no field 'source_op' in the normalised event"),
        ("198.51.100.0/24", "198.51.100.0/99", "3:51: Invalid CIDR expression"),
        ("exceptions:\n  - rules: [created]", "exceptions:\n  - x\n  - rules: [created]", "2:5: an exception must be"),
    ],
)
def test_what_is_wrong_has_a_place(rule_set: RuleSetOf, old: str, new: str, error: str) -> None:
    assert old in EXCEPTIONS
    found = errors_of(rule_set, RULE, EXCEPTIONS.replace(old, new, 1))
    assert any(one.startswith(error) for one in found), found


def test_exceptions_are_a_list(rule_set: RuleSetOf) -> None:
    assert errors_of(rule_set, RULE, "exceptions: {}\n") == ["1:1: exceptions must be a list: begin each with - rules:"]


def test_they_are_in_the_hash(rule_set: RuleSetOf) -> None:
    assert rule_set(RULE, EXCEPTIONS).hash != rule_set(RULE, EXCEPTIONS.replace("SEC-7", "SEC-8")).hash
