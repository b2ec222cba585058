from __future__ import annotations

from pathlib import Path

from rules.sigma import library, load
from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import CORRELATION


def test_a_table_of_the_library(run: Run) -> None:
    shown = run("rules", "list").stdout.splitlines()
    rules = load([library()])
    assert shown[0].split() == ["ID", "LEVEL", "SOURCE", "TITLE"]
    assert len(shown) == 1 + len(rules.rules) + len(rules.correlations)
    rule = next(rule for rule in rules.rules if rule.product == "okta")
    assert any(line.startswith(rule.id) and line.endswith(rule.title) and "okta" in line for line in shown)


def test_json(run: Run, good: Path) -> None:
    (good / "correlation.yml").write_text(CORRELATION)
    rule, correlation = sorted(lines(run("rules", "list", good, "--json").stdout), key=lambda line: str(line["id"]))
    assert (rule["level"], rule["source"], rule["title"]) == ("high", "aws/cloudtrail", "Somebody created a user")
    assert (correlation["level"], correlation["source"]) == ("critical", "correlation")
