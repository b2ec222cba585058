from __future__ import annotations

from pathlib import Path

import pytest

from rules.document import read
from rules.extension import Extension, read_extension
from rules.rule import RuleTest


def extension(folder: Path, text: str, source: str = "okta") -> tuple[Extension, list[str]]:
    path = folder / "rule.yml"
    path.write_text(text)
    found, errors = read_extension(read(path)[0][0], source)
    return found, [str(error).removeprefix(f"{path}:") for error in errors]


def test_the_section_is_optional(tmp_path: Path) -> None:
    assert extension(tmp_path, "title: x") == (Extension(), [])


def test_it_holds_runbook_risk_and_tests(tmp_path: Path) -> None:
    text = """auditwatch:
  risk: 5
  runbook: [Look., Act.]
  tests:
    - {name: one, match: true, event: {a: 1}}
    - {name: many, match: false, near_miss: true, source: github, events: [{a: 1}, {a: 2}]}
"""
    found, errors = extension(tmp_path, text)
    assert errors == []
    assert (found.risk, found.runbook) == (5, ("Look.", "Act."))
    assert found.tests == (
        RuleTest("one", True, ({"a": 1},), ("okta",), line=5),
        RuleTest("many", False, ({"a": 1}, {"a": 2}), ("github", "github"), near_miss=True, line=6),
    )


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("title: x", "live"),
        ("auditwatch: {stage: shadow}", "shadow"),
        ("auditwatch: {stage: off}", "off"),
        ("auditwatch: {stage: 'off'}", "off"),
        ("status: deprecated", "off"),
        ("status: unsupported", "off"),
        ("status: experimental", "live"),
        ("status: deprecated\nauditwatch: {stage: live}", "live"),
    ],
)
def test_a_stage_is_told_or_follows_from_the_status(tmp_path: Path, text: str, stage: str) -> None:
    found, errors = extension(tmp_path, text)
    assert (found.stage, errors) == (stage, [])


TEST = "auditwatch:\n  tests:\n    - "


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("auditwatch: x", "1:1: auditwatch must be a mapping: write runbook:, risk:, stage:, tests:"),
        ("auditwatch:\n  risks: 1", "2:3: unknown key 'risks' in auditwatch: did you mean 'risk'?"),
        ("auditwatch:\n  risk: 101", "2:3: risk must be a whole number: write 0 to 100"),
        ("auditwatch:\n  risk: true", "2:3: risk must be a whole number: write 0 to 100"),
        ("auditwatch:\n  runbook: Look.", "2:3: runbook must be a list of sentences: one step a line"),
        ("auditwatch:\n  stage: shadwo", "2:3: no stage 'shadwo': did you mean 'shadow'?"),
        ("auditwatch:\n  stage: on", "2:3: no stage True"),
        ("auditwatch:\n  tests: {}", "2:3: tests must be a list: begin each with - name:"),
        (TEST + "x", "3:7: a test must be a mapping: write name:, match:, event:"),
        (TEST + "{match: true, event: {}}", "3:7: a test needs a name: say what happens in it"),
        (TEST + "{name: x, match: 1, event: {}}", "3:17: a test needs match: true or match: false"),
        (
            TEST + "{name: x, match: true, near_miss: true, event: {}}",
            "3:30: a near miss does not match: write match: false",
        ),
        (TEST + "{name: x, match: true}", "3:7: a test needs event: with a raw record as the vendor sends it"),
        (TEST + "{name: x, match: true, event: text}", "3:7: a test needs event: with a raw record"),
        (
            TEST + "{name: x, match: true, evnet: {}}",
            "3:30: unknown key 'evnet' in auditwatch.tests.0: did you mean 'event",
        ),
        (
            TEST + "{name: x, match: true, event: {}, last_seen_days: long}",
            "3:41: last_seen_days must be a whole number: days",
        ),
        (
            TEST + "{name: x, match: true, event: {}, context: {users: [{nmae: y}]}}",
            "3:41: context: Object contains unknown field `nmae` - at `$.users[0]`: write it as in the context file",
        ),
        (
            TEST + "{name: x, match: true, event: {}, context: {users: [{id: y, end_date: soon}]}}",
            "3:41: context: 'soon' is no time",
        ),
        (
            TEST + "{name: x, match: true, events: [{}, {}], source: [okta]}",
            "3:48: a list of sources has one for each event: source: [okta, github]",
        ),
        *(
            (
                TEST + f"{{name: x, match: true, event: {{}}, team_share: {shares}}}",
                "3:41: team_share must say of each thing how many peers know it, 0 to 1: team_share: {action: 0.4}",
            )
            for shares in ("0.4", "{deed: 0.4}", "{action: 40}", "{action: true}", "{action: many}")
        ),
    ],
)
def test_what_is_wrong_has_a_place(tmp_path: Path, text: str, error: str) -> None:
    _, errors = extension(tmp_path, text)
    assert any(found.startswith(error) for found in errors), errors


def test_a_rule_about_all_sources_must_name_one_in_its_tests(tmp_path: Path) -> None:
    _, errors = extension(tmp_path, TEST + "{name: x, match: true, event: {}}", source="")
    assert errors == ["3:7: a test of this rule needs a source: write source: okta, or whose record it is"]


def test_a_test_may_say_how_many_peers_know_what_is_new(tmp_path: Path) -> None:
    found, errors = extension(
        tmp_path, TEST + "{name: x, match: true, event: {}, first_seen: [asn], team_share: {action: 0.4, asn: 1}}"
    )
    assert errors == []
    history = found.tests[0].history
    assert (history.new, [history.team(kind) for kind in range(6)]) == (0b1000, [0.4, None, None, 1, None, None])


def test_a_test_may_declare_people_and_name_a_source_for_each_event(tmp_path: Path) -> None:
    text = TEST + "{name: x, match: true, events: [{}, {}], source: [okta, github], context: {users: [{id: ada}]}}"
    found, errors = extension(tmp_path, text)
    assert errors == []
    (test,) = found.tests
    assert test.sources == ("okta", "github")
    assert test.context.person("ada") is not None
    assert test.history.idle == 0


def test_who_has_no_history_was_never_seen(tmp_path: Path) -> None:
    found, _ = extension(tmp_path, TEST + "{name: x, match: true, event: {}, history_days: 0}")
    assert found.tests[0].history.idle is None
