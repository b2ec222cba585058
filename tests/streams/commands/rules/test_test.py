from __future__ import annotations

from pathlib import Path

from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import RULE


def test_all_pass(run: Run, good: Path) -> None:
    done = run("rules", "test", good)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "3 tests of 1 rules: 0 failed" in done.stderr


def test_a_failure_says_which_and_why(run: Run, good: Path) -> None:
    (good / "rule.yml").write_text(RULE.replace("eventName: DeleteUser", "eventName: CreateUser"))
    done = run("rules", "test", good)
    assert done.exit_code == 1
    assert done.stdout == (
        f"{good / 'rule.yml'}:16: Somebody created a user: one is deleted: failed: the rule must not match\n"
    )
    assert "3 tests of 1 rules: 1 failed" in done.stderr


def test_json_shows_every_test(run: Run, good: Path) -> None:
    done = run("rules", "test", good, "--json")
    assert [(line["test"], line["passed"]) for line in lines(done.stdout)] == [
        ("one is created", True),
        ("one is deleted", True),
        ("a group is created", True),
    ]


def test_rules_that_do_not_load_are_unusable(run: Run, good: Path) -> None:
    (good / "rule.yml").write_text("title: [")
    done = run("rules", "test", good)
    assert done.exit_code == 2
    assert "rule.yml:2:1: not YAML" in done.stderr


def test_a_rule_without_one_of_the_three_kinds_fails(run: Run, good: Path) -> None:
    text = RULE.replace(", near_miss: true", "")
    (good / "rule.yml").write_text(text)
    done = run("rules", "test", good)
    assert done.exit_code == 1
    assert done.stdout == (
        f"{good / 'rule.yml'}:1: Somebody created a user: no test that only just does not match (near_miss: true): "
        "add it under auditwatch: tests:\n"
    )
    assert "3 tests of 1 rules: 0 failed, 1 rules lack tests" in done.stderr


def test_json_says_what_a_rule_lacks(run: Run, good: Path) -> None:
    (good / "rule.yml").write_text(RULE.partition("  tests:")[0])
    done = run("rules", "test", good, "--json")
    assert done.exit_code == 1
    [line] = lines(done.stdout)
    assert (line["passed"], len(line["lacks"])) == (False, 3)
