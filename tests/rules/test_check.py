from __future__ import annotations

from pathlib import Path

import pytest

from rules.check import check
from rules.sigma import library
from tests.rules.test_sigma import GOOD

TESTS = """auditwatch:
  runbook: [Look.]
  tests:
    - {name: a, match: true, event: {eventName: CreateUser}}
    - {name: b, match: false, event: {eventName: x}}
    - {name: c, match: false, near_miss: true, event: {eventName: CreateUsers}}
"""


def lint(folder: Path, text: str) -> list[str]:
    path = folder / "rule.yml"
    path.write_text(text)
    return [str(error).removeprefix(f"{path}:") for error in check([folder])]


def test_a_complete_rule_passes(tmp_path: Path) -> None:
    assert lint(tmp_path, GOOD + TESTS) == []


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("id: 11111111-1111-4111-8111-111111111111\n", "", "1:1: the rule has no id: make one with uuidgen"),
        ("level: informational\n", "", "1:1: the rule has no level: informational, low"),
        ("description: Says something. And more.\n", "", "1:1: the rule has no description: say what happened"),
        ("falsepositives: [none]\n", "", "1:1: the rule has no falsepositives: say when it fires"),
        (
            "[attack.t1078.004, attack.persistence, attack.T1098, cve.2024.1]",
            "[attack.impact]",
            "6:1: the rule names no ATT&CK",
        ),
        (
            "tags: [attack.t1078.004, attack.persistence, attack.T1098, cve.2024.1]\n",
            "",
            "1:1: the rule names no ATT&CK",
        ),
        (
            "    - {name: a, match: true, event: {eventName: CreateUser}}\n",
            "",
            "15:3: the rule has no test that must match",
        ),
        (
            "    - {name: b, match: false, event: {eventName: x}}\n",
            "",
            "15:3: the rule has no test that must not match",
        ),
        (", near_miss: true", "", "15:3: the rule has no test that only just does not match"),
        (
            "  condition: s\n",
            "  t: {a: b}\n  condition: s\n",
            "10:3: 't' is not used in the condition: use it or delete it",
        ),
        ("s: {eventName: ", "s: {eventName|contains|all: ", "9:7: 'all' of one value: leave |all out"),
        (
            "s: {eventName: CreateUser}",
            "s: {eventName: [x, null]}",
            "9:7: null in a list of values: make it a selection",
        ),
        ("level: informational", "levle: low", "12:1: unknown key 'levle'"),
    ],
)
def test_lint(tmp_path: Path, old: str, new: str, error: str) -> None:
    text = GOOD + TESTS
    assert old in text
    found = lint(tmp_path, text.replace(old, new))
    assert any(one.startswith(error) for one in found), found


@pytest.mark.parametrize("condition", ["1 of s*", "all of them", "s and not t", "(s or t)"])
def test_selections_named_by_pattern_are_used(tmp_path: Path, condition: str) -> None:
    text = GOOD.replace("  condition: s", f"  s2: {{a: b}}\n  t: {{c: d}}\n  condition: {condition}")
    unused = [one for one in lint(tmp_path, text + TESTS) if "is not used" in one]
    assert ("s2" in str(unused)) == (condition in ("s and not t", "(s or t)"))
    assert ("'t'" in str(unused)) == (condition == "1 of s*")


def test_the_library_has_nothing_to_mend() -> None:
    assert check([library()]) == []


def test_what_shows_only_once_all_are_loaded(tmp_path: Path) -> None:
    twin = (GOOD + TESTS).replace("1111-1111-4111", "1111-2222-4111").replace("title: A rule", "title: Another")
    (tmp_path / "a.yml").write_text(GOOD + TESTS)
    (tmp_path / "b.yml").write_text(twin)
    assert [str(error) for error in check([tmp_path])] == [
        f"{tmp_path / 'b.yml'}:8:1: the same logic as {tmp_path / 'a.yml'}:1 (A rule): delete one of the two"
    ]


def test_exceptions_end_at_a_time(tmp_path: Path) -> None:
    excuse = """exceptions:
  - rules: [11111111-1111-4111-8111-111111111111]
    selection: {userIdentity.userName: robot}
    owner: alice
    reason: its job
    created: 2026-01-01
    expires: 2026-02-01
"""
    (tmp_path / "excuse.yml").write_text(excuse)
    (tmp_path / "rule.yml").write_text(GOOD + TESTS)
    end = 1_769_904_000_000_000
    assert check([tmp_path]) == check([tmp_path], now=end - 1) == []
    assert "the exception of alice ended on 2026-02-01" in str(check([tmp_path], now=end)[0])
