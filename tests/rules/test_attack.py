from __future__ import annotations

import re

import pytest

from rules.attack import _TECHNIQUES, TACTICS, tactics_of
from rules.sigma import library, load


def test_the_table_is_well_formed() -> None:
    assert set(_TECHNIQUES) <= set(TACTICS)
    for names in _TECHNIQUES.values():
        listed = names.split()
        assert listed == sorted(set(listed))
        assert all(re.fullmatch(r"T\d{4}", name) for name in listed)


@pytest.mark.parametrize(
    ("technique", "tactics"),
    [
        ("T1078", {"initial-access", "persistence", "privilege-escalation", "defense-evasion"}),
        ("T1098.001", {"persistence", "privilege-escalation"}),
        ("T1110.003", {"credential-access"}),
        ("T1562.008", {"defense-evasion"}),
        ("T1530", {"collection"}),
        ("T9999", set()),
    ],
)
def test_tactics(technique: str, tactics: set[str]) -> None:
    assert set(tactics_of(technique)) == tactics


def test_every_technique_of_the_library_is_known() -> None:
    rules = load([library()])
    named = {technique for rule in (*rules.rules, *rules.correlations) for technique in rule.attack}
    assert [technique for technique in sorted(named) if not tactics_of(technique)] == []
