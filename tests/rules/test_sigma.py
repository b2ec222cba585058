from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rules.compile import RuleSet
from rules.sigma import RuleErrors, library, load
from tests.rules.conftest import DATA, HEAD, view

RuleSetOf = Callable[..., RuleSet]

GOOD = """title: A rule
id: 11111111-1111-4111-8111-111111111111
status: test
description: Says something. And more.
author: somebody
tags: [attack.t1078.004, attack.persistence, attack.T1098, cve.2024.1]
logsource: {product: aws, service: cloudtrail}
detection:
  s: {eventName: CreateUser}
  condition: s
falsepositives: [none]
level: informational
"""
COUNT = """title: Many
id: 22222222-2222-4222-8222-222222222222
correlation:
  type: event_count
  rules: [11111111-1111-4111-8111-111111111111]
  group-by: [sourceIPAddress]
  timespan: 10m
  condition: {gte: 2}
"""


def errors_of(rule_set: RuleSetOf, *texts: str) -> list[str]:
    """Errors as "line:column: message: hint", the file left out."""
    with pytest.raises(RuleErrors) as raised:
        rule_set(*texts)
    return [str(error).removeprefix(f"{error.path}:") for error in raised.value.errors]


def test_a_rule_has_what_its_file_says(rule_set: RuleSetOf) -> None:
    (rule,) = rule_set(GOOD).rules
    assert rule.id == "11111111-1111-4111-8111-111111111111"
    assert (rule.title, rule.author, rule.status) == ("A rule", "somebody", "test")
    assert (rule.severity, rule.risk) == ("low", 10)
    assert rule.attack == ("T1078.004", "T1098")
    assert (rule.product, rule.service) == ("aws", "cloudtrail")
    assert rule.falsepositives == ("none",)
    assert rule.path.name == "rule0.yml"
    assert not rule.silent


def test_without_a_level_a_rule_is_medium(rule_set: RuleSetOf) -> None:
    assert rule_set(GOOD.replace("level: informational\n", "")).rules[0].severity == "medium"


def test_the_risk_may_be_told(rule_set: RuleSetOf) -> None:
    assert rule_set(GOOD + "auditwatch: {risk: 77, runbook: [Look.]}\n").rules[0].risk == 77


def test_a_rule_without_an_id_gets_a_stable_one(rule_set: RuleSetOf) -> None:
    text = GOOD.replace("id: 11111111-1111-4111-8111-111111111111\n", "")
    assert rule_set(text).rules[0].id == rule_set(text).rules[0].id != ""


BROKEN = [
    ("levle: high\n", "13:1: unknown key 'levle': did you mean 'level'?"),
    ("auditwatch: {runbok: []}\n", "13:14: unknown key 'runbok' in auditwatch: did you mean 'runbook'?"),
    ("filter: {}\n", "13:1: filters are not supported yet: put the exclusion into the rule"),
    ("action: global\n", "13:1: actions are not supported: write each rule out in full"),
    ("level: high\n", "13:1: key 'level' is written twice: keep one of them"),
    ("yes: 1\n", "13:1: key 'yes' is not read as text: quote it"),
]


@pytest.mark.parametrize(("added", "error"), BROKEN)
def test_an_error_names_its_place_and_what_to_do(rule_set: RuleSetOf, added: str, error: str) -> None:
    assert errors_of(rule_set, GOOD + added) == [error]


REPLACED = [
    ("level: informational", "level: grave", "12:1: 'grave' is not a valid Sigma rule level: informational, low"),
    ("status: test", "status: good", "3:1: 'good' is not a valid Sigma rule status: stable, test"),
    ("id: 1111", "id: x1111", "2:1: Sigma rule identifier must be an UUID: make one with uuidgen"),
    ("title: A rule", "name: x", "1:1: Sigma rule must have a title"),
    ("condition: s", "condition: t", "10:3: Detection 't' not defined in detections"),
    (
        "condition: s",
        "condition: s and",
        "10:3: the condition cannot be read: found end of text at character 6 of it: not, and",
    ),
    ("condition: s", "condition: 2 of s*", "10:3: the condition cannot be read: found '"),
    ("condition: s", "condition: s | count() > 5", "10:3: The pipe syntax"),
    ("condition: s", "condition: 1 of t*", "10:3: Selector '1 of t*' doesn't match any detection"),
    ("s: {eventName", "s: {eventName|contians", "9:7: unknown modifier 'contians': did you mean 'contains'?"),
    ("s: {eventName", "s: {eventName|utf16le", "9:7: unknown modifier 'utf16le': did you mean 'utf16"),
    ("s: {eventName: CreateUser}", "s: {a: b, eventName|re: '(?=x)'}", "9:13: Regular expression '(?=x)' is invalid"),
    ("s: {eventName: CreateUser}", "s: {a|re: '('}", "9:7: Regular expression '(' is invalid"),
    ("s: {eventName: CreateUser}", "s: {a|cidr: 10.0.0.0/99}", "9:7: Invalid CIDR expression"),
    ("s: {eventName: CreateUser}", "s: {a|gt: x}", "9:7: Modifier SigmaGreaterThanModifier incompatible"),
    ("s: {eventName: CreateUser}", "s: {a|expand: '%x%'}", "8:1: placeholders (expand) are not supported"),
    ("s: {eventName: CreateUser}", "s: {a|exists: 5}", "9:7: Modifier SigmaExistsModifier incompatible"),
    ("s: {eventName: CreateUser}", "s: {'|exists': true}", "9:7: Exists modifier must be applied to field"),
    ("logsource: {product: aws, service: cloudtrail}", "logsource: {category: x}", "7:1: logsource has no product"),
    (
        "logsource: {product: aws, service",
        "logsource: {product: aws, servise",
        "7:27: unknown key 'servise' in logsource",
    ),
    (
        "logsource: {product: aws, service: cloudtrail}",
        "logsource: aws",
        "7:1: Sigma logsource must be a valid YAML map",
    ),
    ("logsource: {product: aws, service: cloudtrail}", "license: x", "1:1: Sigma rule must have a log source"),
    ("detection:\n  s: {eventName: CreateUser}\n  condition: s\n", "", "1:1: Sigma rule must have a detection"),
    ("tags: [attack", "tags: [nodot, attack", "6:1: Sigma tag must start with namespace"),
    ("product: aws, service: cloudtrail", "product: auditwatch", "9:7: no field 'eventName' in the normalised event"),
]


@pytest.mark.parametrize(("old", "new", "error"), REPLACED)
def test_what_cannot_be_understood_is_an_error(rule_set: RuleSetOf, old: str, new: str, error: str) -> None:
    assert old in GOOD
    found = errors_of(rule_set, GOOD.replace(old, new, 1))
    assert any(one.startswith(error) for one in found), found


CORRELATED = [
    ("type: event_count", "type: temporal", "4:3: temporal is not supported yet: use event_count or value_count"),
    (
        "type: event_count",
        "type: event_cuont",
        "4:3: 'event_cuont' is no valid Sigma correlation type: use event_count",
    ),
    ("type: event_count", "type: value_count", "3:1: Value count correlation rule without field reference"),
    ("rules: [1111", "rules: [x1111", "5:3: no rule called 'x1111"),
    ("timespan: 10m", "timespan: 1h30m", "7:3: Timespan '1h30m' is invalid.: one number and one unit"),
    ("timespan: 10m", "timespam: 10m", "7:3: unknown key 'timespam' in correlation: did you mean 'timespan'?"),
    (
        "{gte: 2}",
        "{gte: 2, lte: 5}",
        "8:3: Sigma correlation condition must have exactly one condition item: write two",
    ),
    ("{gte: 2}", "{lt: 2}", "8:3: only gte, gt and eq are supported yet"),
    ("{gte: 2}", "{gte: 0}", "8:15: gte: 0 cannot be counted: a whole number from 1 to 10000"),
    ("{gte: 2}", "{gte: 2.5}", "8:15: gte: 2.5 cannot be counted"),
    ("{gte: 2}", "{gte: 2}\n  aliases: {a: {b: c}}", "9:3: aliases are not supported yet"),
    (
        "[sourceIPAddress]",
        "[auditwatch.source_op]",
        "6:3: no field 'source_op' in the normalised event: did you mean 'source_ip'?",
    ),
]


@pytest.mark.parametrize(("old", "new", "error"), CORRELATED)
def test_what_a_correlation_cannot_do_is_an_error(rule_set: RuleSetOf, old: str, new: str, error: str) -> None:
    assert old in COUNT
    assert any(found.startswith(error) for found in errors_of(rule_set, GOOD, COUNT.replace(old, new, 1)))


def test_all_errors_of_all_files_come_at_once(rule_set: RuleSetOf) -> None:
    bad = GOOD.replace("eventName", "a|x", 1).replace("level: informational", "level: grave\nlevle: x")
    found = errors_of(
        rule_set, bad, "a: [", "- list\n", GOOD.replace("s: {eventName: CreateUser}", "s: {a|y: b, c|z: d}")
    )
    assert found[0].startswith("9:7: unknown modifier 'x': known are all, base64, base64offset, cased")
    assert [error.partition(": ")[2] for error in found[1:]] == [
        "'grave' is not a valid Sigma rule level: informational, low, medium, high or critical",
        "unknown key 'levle': did you mean 'level'?",
        "not YAML: did not find expected node content: check the indentation and the quotes",
        "a rule must be a YAML mapping: begin with title:",
        found[5].partition(": ")[2],
        found[6].partition(": ")[2],
    ]
    assert found[5].startswith("9:7: unknown modifier 'y'")
    assert found[6].startswith("9:15: unknown modifier 'z'")


def test_an_id_is_used_once(rule_set: RuleSetOf) -> None:
    (error,) = errors_of(rule_set, GOOD, GOOD.replace("A rule", "Another"))
    assert error.startswith("2:1: the id is used twice, first in ")


def test_a_file_may_hold_several_rules(rule_set: RuleSetOf) -> None:
    rules = rule_set(f"{GOOD}---\n{COUNT}---\n")
    assert (len(rules.rules), len(rules.correlations)) == (1, 1)


def test_an_alias_bomb_is_refused(rule_set: RuleSetOf) -> None:
    bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a]\n" + "".join(
        f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )
    text = HEAD + "detection:\n  condition: s\n  s: {f: b}\n" + "".join(f"  {line}\n" for line in bomb.splitlines())
    assert any("aliases stand for more" in error for error in errors_of(rule_set, text))


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuleErrors, match=r"nowhere.yml:1:1: cannot be read: No such file"):
        load([tmp_path / "nowhere.yml"])
    with pytest.raises(RuleErrors, match=r"no rules here: name a .yml file or a folder"):
        load([tmp_path])


def test_the_hash_is_that_of_the_content(rule_set: RuleSetOf, tmp_path: Path) -> None:
    one = rule_set(GOOD, COUNT).hash
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "all.yml").write_text(f"# a comment\n{COUNT}---\n{GOOD}")
    assert load([moved]).hash == one
    (moved / "all.yml").write_text(f"{COUNT}---\n{GOOD.replace('CreateUser', 'DeleteUser')}")
    assert load([moved]).hash != one


def test_normalised_fields_in_a_rule_about_the_raw_record(rule_set: RuleSetOf) -> None:
    text = GOOD.replace("{eventName: CreateUser}", "{eventName: CreateUser, auditwatch.actor.kind: human}")
    (rule,) = rule_set(text).rules
    assert rule.matches(view({"eventName": "createuser"}))
    assert not rule.matches(
        view({"eventName": "createuser"}, outcome="success", actor=view({}).event.actor.__class__("b", "b"))
    )


def test_loading_348_rules_takes_a_third_of_a_second() -> None:
    folder = DATA / "sigma" / "rules"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data beside the checkout")
    paths = [folder / "cloud", folder / "identity", folder / "application"]
    took = []
    for _ in range(3):
        start = time.perf_counter()
        load(paths)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.6  # the goal is 0.3 s; a shared machine gets twice that


def test_the_library_lies_in_the_package() -> None:
    assert (library() / "cloudtrail").is_dir()
