from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rules.compile import RuleSet
from rules.document import read
from rules.filters import keeps_only
from tests.rules.conftest import event
from tests.rules.test_sigma import errors_of

RuleSetOf = Callable[..., RuleSet]

RULE = """title: Created
id: 11111111-1111-4111-8111-111111111111
name: created
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: CreateUser}, condition: s}
"""
OTHER = RULE.replace("Created", "Deleted").replace("111111111111", "222222222222").replace("name: created\n", "")
OTHER = OTHER.replace("CreateUser", "CreateUser")
OKTA = RULE.replace("Created", "Okta").replace("111111111111", "333333333333").replace("name: created", "name: okta")
OKTA = OKTA.replace("{product: aws, service: cloudtrail}", "{product: okta, service: okta}")
FILTER = """title: Robots
id: 44444444-4444-4444-8444-444444444444
logsource: {product: aws, service: cloudtrail}
filter:
  rules: created
  robots: {userName|startswith: robot}
  condition: not robots
"""


def titles(rules: RuleSet, user: str, source: str = "cloudtrail") -> list[str]:
    record = {"eventName": "CreateUser", "userName": user}
    return [rule.title for rule in rules.match(event(source=source), record)]


@pytest.mark.parametrize("rules", ["created", "[created]", "11111111-1111-4111-8111-111111111111"])
def test_a_filter_is_added_to_the_rules_it_names(rule_set: RuleSetOf, rules: str) -> None:
    loaded = rule_set(RULE, OTHER, FILTER.replace("rules: created", f"rules: {rules}"))
    assert titles(loaded, "alice") == ["Created", "Deleted"]
    assert titles(loaded, "Robot7") == ["Deleted"]


@pytest.mark.parametrize("rules", ["any", "Any", "[]"])
def test_any_are_all_rules_its_log_source_covers(rule_set: RuleSetOf, rules: str) -> None:
    loaded = rule_set(RULE, OTHER, OKTA, FILTER.replace("rules: created", f"rules: {rules}"))
    assert titles(loaded, "robot7") == []
    assert titles(loaded, "robot7", "okta") == ["Okta"]


def test_as_written_a_filter_without_not_keeps(rule_set: RuleSetOf) -> None:
    """The specification's trap: `condition: selection` keeps only what the selection describes."""
    loaded = rule_set(RULE, FILTER.replace("condition: not robots", "condition: robots"))
    assert titles(loaded, "alice") == []
    assert titles(loaded, "robot7") == ["Created"]


def test_several_filters_all_hold(rule_set: RuleSetOf) -> None:
    second = FILTER.replace("44444444-4", "55555555-5").replace("robot}", "admin}")
    loaded = rule_set(RULE, FILTER, second)
    assert [titles(loaded, user) for user in ("alice", "robot7", "admin7")] == [["Created"], [], []]


def test_its_fields_mean_what_they_mean_in_the_rule(rule_set: RuleSetOf) -> None:
    normalised = RULE.replace("{product: aws, service: cloudtrail}", "{product: auditwatch}")
    normalised = normalised.replace("eventName: CreateUser", "action: CreateUser")
    added = FILTER.replace("{product: aws, service: cloudtrail}", "{product: auditwatch}")
    loaded = rule_set(normalised, added.replace("userName", "actor.id"))
    assert titles(loaded, "x") == ["Created"]
    assert errors_of(rule_set, normalised, added)[0].startswith("6:12: no field 'userName' in the normalised event")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("rules: created", "rules: creatde", "5:3: no rule called 'creatde': did you mean 'created'?"),
        ("rules: created", "rules: okta", "3:1: the rule 'okta' has another log source (product: okta, service: okta)"),
        ("  rules: created\n", "", "4:1: Sigma filter must have a 'rules' field"),
        ("condition: not robots", "condition: not robot", "7:3: Detection 'robot' not defined in detections"),
        ("  condition: not robots\n", "", "4:1: Sigma filter must contain exactly one condition"),
        ("startswith", "startwith", "6:12: unknown modifier 'startwith': did you mean 'startswith'?"),
        ("logsource: {product: aws, service: cloudtrail}\n", "", "1:1: Sigma filter must have a log source"),
        ("title:", "titel:", "1:1: unknown key 'titel': did you mean 'title'?"),
        ("filter:", "detection: {}\nfilter:", "4:1: unknown key 'detection'"),
    ],
)
def test_what_is_wrong_has_a_place(rule_set: RuleSetOf, old: str, new: str, error: str) -> None:
    assert old in FILTER
    found = errors_of(rule_set, RULE, OKTA, FILTER.replace(old, new, 1))
    assert any(one.startswith(error) for one in found), found


def test_a_filter_that_looks_like_an_exclusion_is_pointed_out(tmp_path: Path) -> None:
    def hints(text: str) -> list[str]:
        (tmp_path / "f.yml").write_text(text)
        return [f"{one.line}: {one.hint}" for one in keeps_only(read(tmp_path / "f.yml")[0][0])]

    assert hints(FILTER) == []
    assert hints(FILTER.replace("not robots", "robots")) == ["7: to leave them out write condition: not robots"]
    assert hints(FILTER.replace("not robots", "notrobots")) == ["7: to leave them out write condition: not notrobots"]
