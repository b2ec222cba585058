"""What docs/authorization.md shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit.context import Context, load_context
from rules.access_finding import TITLES
from tests.rules.accessing import NOON, call, decided, git, sso

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "authorization.md").read_text("utf-8")


@pytest.fixture
def example(tmp_path: Path) -> Context:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "context.yml"
    path.write_text(block)
    return load_context(path)


def test_its_example_is_a_context_and_means_what_it_says(example: Context) -> None:
    office = {"source_ip": "192.0.2.9"}
    assert example.declared.observe_only
    assert decided(example, sso("grace", "Jira")).kind == "permitted"
    assert decided(example, git("ada", "git.push", "example/web")).kind == "permitted"
    assert decided(example, git("ada", "repo.destroy", "example/web")).kind == "undeclared"
    assert decided(example, call("ada", on="payroll-2026", **office)).cause == "condition"
    assert decided(example, call("grace", on="web", time=NOON + 9 * 86_400_000_000)).kind == "expired"


def test_every_detection_is_named(example: Context) -> None:
    assert {name for name in TITLES if f"`{name}`" not in PAGE} == set()
