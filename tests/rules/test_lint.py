from __future__ import annotations

from pathlib import Path

import pytest

from rules.document import read
from rules.lint import lint
from tests.rules.test_check import TESTS
from tests.rules.test_sigma import GOOD

DETECTION = "  s: {eventName: CreateUser}\n  condition: s\n"


def said(folder: Path, text: str) -> list[str]:
    path = folder / "rule.yml"
    path.write_text(text)
    (document,), errors = read(path)
    assert errors == []
    return [str(error).removeprefix(f"{path}:") for error in lint(document)]


def test_a_complete_rule_has_nothing_to_mend(tmp_path: Path) -> None:
    assert said(tmp_path, GOOD + TESTS) == []


@pytest.mark.parametrize(
    ("detection", "wanted"),
    [
        (
            "  s: {eventName: '*User*'}\n  condition: s\n",
            "9:7: wildcards at the ends of '*User*': write |contains and leave them out",
        ),
        ("  s: {eventName: 'Create*'}\n  condition: s\n", "write |startswith"),
        ("  s: {eventName: '*User'}\n  condition: s\n", "write |endswith"),
        ("  s: {eventName: [a, 'b**c']}\n  condition: s\n", "9:22: two wildcards in a row: one * says the same"),
        ('  s: {eventName: "a\\bc"}\n  condition: s\n', "9:7: a control character in the value"),
        ("  s: {eventName: [Create, x, create]}\n  condition: s\n", "9:30: the value 'create' is there twice"),
        ("  s: {a: b}\n  condition: all of them\n", "10:3: 'them' is a single selection: write condition: s"),
        ("  s: {a: b}\n  t: {c: d}\n  condition: all of them\n", "11:3: 'all of them' also takes in selections"),
        ("  s: {a: b}\n  t: {c: d}\n  condition: 2 of s*\n", "10:3: 't' is not used"),
    ],
)
def test_doubtful_values_and_conditions(tmp_path: Path, detection: str, wanted: str) -> None:
    found = said(tmp_path, GOOD.replace(DETECTION, detection) + TESTS)
    assert any(wanted in one for one in found), found


@pytest.mark.parametrize(
    "detection",
    [
        "  s: {eventName: 'a*b'}\n",
        "  s: {eventName: '*a*b'}\n",
        "  s: {eventName: '*'}\n",
        "  s: {eventName: 'a?*'}\n",
        "  s: {eventName: 'a\\*'}\n",
        "  s: {eventName|re: '.*a**'}\n",
        "  s: {eventName|contains: 'a*'}\n",
        "  s: {eventName|cased: [Create, create]}\n",
        "  s: {eventName|contains: [a, b]}\n",
    ],
)
def test_what_is_meant_so_is_let_be(tmp_path: Path, detection: str) -> None:
    assert said(tmp_path, GOOD.replace(DETECTION, detection + "  condition: s\n") + TESTS) == []


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        ("attack.persistance", "6:8: ATT&CK has no tactic 'persistance': did you mean 'persistence'?"),
        ("attack.initial_access", "'attack.initial_access' is written with dashes today: write attack.initial-access"),
        ("atack.impact", "no tag namespace 'atack': did you mean 'attack'?"),
        ("impact", "'impact' is no tag: write NAMESPACE.NAME"),
        ("cve.44228", "'cve.44228' is no CVE"),
    ],
)
def test_wrong_tags(tmp_path: Path, tag: str, wanted: str) -> None:
    found = said(tmp_path, GOOD.replace("tags: [", f"tags: [{tag}, ") + TESTS)
    assert any(wanted in one for one in found), found


@pytest.mark.parametrize("tag", ["attack.stealth", "attack.defense-evasion", "attack.g0016", "attack.s0154", "tlp.red"])
def test_right_tags(tmp_path: Path, tag: str) -> None:
    assert said(tmp_path, GOOD.replace("tags: [", f"tags: [{tag}, ") + TESTS) == []


def test_tags_and_references_there_twice(tmp_path: Path) -> None:
    text = GOOD.replace("tags: [", "references: [a, b, a]\ntags: [attack.Persistence, ") + TESTS
    found = said(tmp_path, text)
    assert "6:20: the reference 'a' is there twice: delete one" in found
    assert any("the tag 'attack.persistence' is there twice" in one for one in found)


def test_a_filter_that_keeps_instead_of_leaving_out(tmp_path: Path) -> None:
    text = """title: Robots
id: 5a0c1c0e-6f7e-4d5f-9d2e-1f5f0b6b7a11
logsource: {product: aws}
filter:
  rules: any
  robots: {userIdentity.userName: x}
  condition: robots
"""
    assert said(tmp_path, text) == [
        "7:3: the filter keeps only the events its condition describes: to leave them out write condition: not robots"
    ]


def test_lists_and_exceptions_are_no_rules(tmp_path: Path) -> None:
    assert said(tmp_path, "lists: {admins: [alice]}\n") == []
