from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rules.compile import RuleSet
from rules.find import NoSuchRule, closure, everything, find, find_all

RULE = """title: {1}
id: {0}1111111-1111-4111-8111-111111111111
name: {2}
logsource: {{product: aws}}
detection: {{s: {{a: {2}}}, condition: s}}
"""
COUNT = """title: Many keys
id: 33333333-2222-4222-8222-222222222222
correlation: {type: event_count, rules: [key], group-by: [x], timespan: 5m, condition: {gte: 3}}
"""


@pytest.fixture
def rules(rule_set: Callable[..., RuleSet]) -> RuleSet:
    return rule_set(RULE.format(1, "Key made", "key"), RULE.format(2, "Root key made", "root"), COUNT)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("11111111-1111-4111-8111-111111111111", "Key made"),
        ("2111", "Root key made"),
        ("ROOT", "Root key made"),
        ("root key", "Root key made"),
        ("key made", "Key made"),
        ("rule1.yml", "Root key made"),
        ("rule1", "Root key made"),
        ("many", "Many keys"),
    ],
)
def test_a_rule_by_id_name_file_or_title(rules: RuleSet, text: str, title: str) -> None:
    assert find(rules, text).title == title


def test_by_path(rules: RuleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    assert find(rules, f"{tmp_path.name}/rule1.yml").title == "Root key made"


def test_none_or_several_are_errors_that_help(rules: RuleSet) -> None:
    with pytest.raises(NoSuchRule, match=r"no rule is called 'Root kay made': did you mean 'Root key made'\?"):
        find(rules, "Root kay made")
    with pytest.raises(NoSuchRule, match=r"2 rules are called 'y mad'"):
        find(rules, "y mad")
    with pytest.raises(NoSuchRule, match="no rule is called ''"):
        find(rules, "")
    with pytest.raises(NoSuchRule, match="there are no rules here"):
        find(RuleSet(), "x")
    assert len(find_all(rules, "y mad")) == 2


def test_a_correlation_brings_what_it_counts(rules: RuleSet) -> None:
    many = find(rules, "many")
    assert closure([many]) == {many.id, find(rules, "Key made").id}
    assert len(everything(rules)) == 3
