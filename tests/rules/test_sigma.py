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
    ("condition: s", "condition: 2 of s*", "10:3: 2 of s*: there are 1 of them"),
    ("condition: s", "condition: s | count() > 5", "10:3: The pipe syntax"),
    ("condition: s", "condition: 1 of t*", "10:3: Selector '1 of t*' doesn't match any detection"),
    ("s: {eventName", "s: {eventName|contians", "9:7: unknown modifier 'contians': did you mean 'contains'?"),
    ("s: {eventName", "s: {eventName|utf16l", "9:7: unknown modifier 'utf16l': did you mean 'utf16le'?"),
    ("s: {eventName: CreateUser}", "s: {a: b, c|base64|re: 5}", "9:13: cannot be read as Sigma: SigmaString can only"),
    ("s: {eventName: CreateUser}", "s: {a: b, eventName|re: '(?=x)'}", "9:13: Regular expression '(?=x)' is invalid"),
    ("s: {eventName: CreateUser}", "s: {a|re: '('}", "9:7: Regular expression '(' is invalid"),
    ("s: {eventName: CreateUser}", "s: {a|cidr: 10.0.0.0/99}", "9:7: Invalid CIDR expression"),
    ("s: {eventName: CreateUser}", "s: {a|gt: x}", "9:7: Modifier SigmaGreaterThanModifier incompatible"),
    ("s: {eventName: CreateUser}", "s: {a|expand: '%x%'}", "9:7: no list called 'x': write one beside the rules"),
    ("s: {eventName: CreateUser}", "s: {a|exists: 5}", "9:7: Modifier SigmaExistsModifier incompatible"),
    ("s: {eventName: CreateUser}", "s: {'|exists': true}", "9:7: Exists modifier must be applied to field"),
    (
        "logsource: {product: aws, service: cloudtrail}",
        "logsource: {category: x}",
        "7:1: no source has the events of category: x",
    ),
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
        start = time.process_time()
        load(paths)
        took.append(time.process_time() - start)
    assert min(took) < 0.6  # the goal is 0.3 s; a shared machine gets twice that


def test_what_a_document_is_its_key_says(rule_set: RuleSetOf) -> None:
    (error,) = errors_of(
        rule_set, "title: x\nfliter: {}\nlogsource: {product: aws}\ndetection: {s: {a: b}, condition: s}\n"
    )
    assert error == "2:1: unknown key 'fliter': did you mean 'filter'?"


CATEGORY = GOOD.replace("{product: aws, service: cloudtrail}", "{category: authentication}")
MAPPING = """mapping: Logins
logsource: {category: authentication}
sources: [okta, entra]
fields: {eventName: auditwatch.action}
"""


def test_a_rule_of_a_category_meets_the_sources_its_mapping_names(rule_set: RuleSetOf) -> None:
    (rule,) = rule_set(CATEGORY, MAPPING).rules
    assert rule.sources == ("okta", "entra")
    assert rule.meets("okta")
    assert not rule.meets("github")
    assert rule.matches(view({}, action="createuser"))


def test_of_a_product_the_source_is_its_name_or_what_a_mapping_says(rule_set: RuleSetOf) -> None:
    def sources(logsource: str) -> tuple[str, ...]:
        return rule_set(GOOD.replace("{product: aws, service: cloudtrail}", logsource)).rules[0].sources

    assert sources("{product: aws, service: cloudtrail}") == ("cloudtrail",)
    assert sources("{product: azure, service: signinlogs}") == sources("{product: azure}") == ("entra",)
    assert sources("{product: m365, service: exchange}") == ("o365",)
    assert sources("{product: gcp, service: gcp.audit}") == ("gcp",)
    assert sources("{product: gcp, service: google_workspace.admin}") == ("google_workspace", "gcp")
    assert sources("{product: linux, service: auditd}") == ("linux",)
    assert sources("{product: cisco, service: duo}") == ("duo",)
    assert sources("{product: opencanary}") == ("opencanary",)


def test_a_condition_may_ask_for_two_of_several(rule_set: RuleSetOf) -> None:
    detection = "s1: {a: x}\n  s2: {b: x}\n  s3: {c: x}\n  o: {d: x}\n  condition: o and 2 of s*"
    (rule,) = rule_set(GOOD.replace("s: {eventName: CreateUser}\n  condition: s", detection)).rules
    assert rule.matches(view({"a": "x", "c": "x", "d": "x"}))
    assert not rule.matches(view({"a": "x", "d": "x"}))
    assert not rule.matches(view({"a": "x", "c": "x"}))


def test_several_conditions_are_alternatives(rule_set: RuleSetOf) -> None:
    text = GOOD.replace("condition: s", "t: {a: x}\n  condition: [s, t]")
    (rule,) = rule_set(text).rules
    assert rule.matches(view({"a": "x"}))
    assert rule.matches(view({"eventName": "CreateUser"}))
    assert not rule.matches(view({}))


def test_the_library_lies_in_the_package() -> None:
    assert (library() / "cloudtrail").is_dir()
