from __future__ import annotations

import json
from pathlib import Path

from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import RULE


def test_a_table_by_tactic(run: Run, good: Path) -> None:
    done = run("rules", "coverage", good)
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["TACTIC", "PROVED", "CLAIMED", "TECHNIQUES", "(RULES)"],
        ["persistence", "1", "0", "T1136", "(1)"],
    ]
    assert "1 techniques proved, 0 only claimed" in done.stderr


def test_what_is_only_claimed_stands_apart(run: Run, good: Path) -> None:
    (good / "rule.yml").write_text(RULE.replace("match: false, near_miss: true", "match: true"))
    done = run("rules", "coverage", good)
    assert "only claimed: no test proves these" in done.stdout
    assert "T1136      Somebody created a user  1 of 3 tests fail" in done.stdout


def test_the_layer(run: Run, good: Path, place: Path) -> None:
    done = run("rules", "coverage", good, "--out", "navigator.json", "--name", "ours")
    assert done.exit_code == 0
    layer = json.loads((place / "navigator.json").read_text())
    assert (layer["name"], layer["versions"]["layer"]) == ("ours", "4.5")
    assert [(one["techniqueID"], one["score"]) for one in layer["techniques"]] == [("T1136", 1)]
    assert json.loads(run("rules", "coverage", good, "--out", "-").stdout)["domain"] == "enterprise-attack"


def test_json(run: Run, good: Path) -> None:
    assert lines(run("rules", "coverage", good, "--json").stdout) == [
        {"technique": "T1136", "tactics": ["persistence"], "proved": ["Somebody created a user"], "claimed": []}
    ]
