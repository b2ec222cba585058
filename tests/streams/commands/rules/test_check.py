from __future__ import annotations

from pathlib import Path

from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import RULE


def test_the_library_is_right(run: Run) -> None:
    done = run("rules", "check")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing is wrong" in done.stderr


def test_what_is_wrong_has_its_place_and_a_hint(run: Run, good: Path) -> None:
    bad = good / "bad.yml"
    bad.write_text(RULE.replace("11111111-1111", "33333333-1111").replace("detection:", "detektion:"))
    done = run("rules", "check", good)
    assert done.exit_code == 1
    assert f"{bad}:8:1: unknown key 'detektion': did you mean 'detection'?" in done.stdout.splitlines()
    assert "rule.yml" not in done.stdout
    assert "problems" in done.stderr


def test_json(run: Run, good: Path) -> None:
    (good / "rule.yml").write_text(RULE.replace("level: high\n", ""))
    done = run("rules", "check", good, "--json")
    assert done.exit_code == 1
    [problem] = lines(done.stdout)
    assert problem["path"] == str(good / "rule.yml")
    assert (problem["line"], problem["column"]) == (1, 1)
    assert problem["message"] == "the rule has no level"
    assert problem["hint"]


def test_a_path_that_is_not_there_is_unusable(run: Run) -> None:
    assert run("rules", "check", "missing").exit_code == 2
