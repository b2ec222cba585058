"""What docs/authorization.md shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit.context import Context, load_context
from rules.access_finding import TITLES
from rules.separation import duties_of
from rules.sigma import load
from rules.tests import lacking, run_tests
from tests.rules.accessing import NOON, call, decided, git, sso

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "authorization.md").read_text("utf-8")

BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
"""A context, one with duties that are kept apart, a rule about both done on one thing."""


@pytest.fixture
def example(tmp_path: Path) -> Context:
    return loaded(tmp_path, 0)


def loaded(tmp_path: Path, place: int) -> Context:
    path = tmp_path / "context.yml"
    path.write_text(BLOCKS[place])
    return load_context(path)


def test_its_example_is_a_context_and_means_what_it_says(example: Context) -> None:
    office = {"source_ip": "192.0.2.9"}
    assert example.declared.observe_only
    assert decided(example, sso("grace", "Jira")).kind == "permitted"
    assert decided(example, git("ada", "git.push", "example/web")).kind == "permitted"
    assert decided(example, git("ada", "repo.destroy", "example/web")).kind == "undeclared"
    assert decided(example, call("ada", on="payroll-2026", **office)).cause == "condition"
    assert decided(example, call("grace", on="web", time=NOON + 9 * 86_400_000_000)).kind == "expired"


def test_its_duties_are_kept_apart_but_for_the_exception(tmp_path: Path) -> None:
    duties = duties_of(loaded(tmp_path, 1))
    (side,) = duties.named("payment-release")
    assert duties.exemption(side[0], "ada", NOON)
    assert duties.counterparts("ada", side, (NOON, NOON)) == []
    later = NOON + 60 * 86_400_000_000
    assert [held.role for held in duties.counterparts(duties.human("pay-bot"), side, (later, later))] == [
        "payment-entry"
    ]


def test_its_rule_passes_its_own_tests(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(BLOCKS[2])
    results = run_tests([tmp_path])
    assert [str(one) for one in results if not one.passed] == []
    (correlation,) = load([tmp_path]).correlations
    assert lacking(correlation) == []


def test_every_detection_is_named(example: Context) -> None:
    assert {name for name in TITLES if f"`{name}`" not in PAGE} == set()
