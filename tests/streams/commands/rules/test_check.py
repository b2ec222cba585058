from __future__ import annotations

from pathlib import Path

from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import RULE, cloudtrail, log


def test_the_library_is_right(run: Run) -> None:
    done = run("rules", "check")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing is wrong" in done.stderr


def test_what_is_wrong_has_its_place_and_a_hint(run: Run, good: Path) -> None:
    bad = good / "bad.yml"
    bad.write_text(
        RULE.replace("11111111-1111", "33333333-1111").replace("detection:", "detektion:").replace("Some", "Any")
    )
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


def test_only_what_keeps_rules_from_loading(run: Run, good: Path) -> None:
    (good / "rule.yml").write_text(RULE.partition("  tests:")[0].replace("level: high\n", ""))
    assert run("rules", "check", good).exit_code == 1
    assert run("rules", "check", good, "--errors").exit_code == 0
    (good / "rule.yml").write_text(RULE.replace("eventName: CreateUser}\n  c", "eventName|x: CreateUser}\n  c"))
    done = run("rules", "check", good, "--errors")
    assert done.exit_code == 1
    assert "unknown modifier 'x'" in done.stdout


def test_rules_that_can_never_fire_on_these_logs(run: Run, good: Path, place: Path) -> None:
    misspelt = RULE.replace("selection: {eventName: CreateUser}", "selection: {eventNane: CreateUser}")
    (good / "rule.yml").write_text(misspelt)
    source = log(place / "log.jsonl", cloudtrail(1))
    assert run("rules", "check", good).exit_code == 0
    done = run("rules", "check", good, "--logs", source)
    assert done.exit_code == 1
    assert (
        f"{good / 'rule.yml'}:9:15: it can never fire on these logs: 1 events fit but for eventNane, which no record "
        "of them has: did you mean 'eventName'?"
    ) in done.stdout


def test_logs_from_standard_input_are_refused(run: Run, good: Path) -> None:
    done = run("rules", "check", good, "--logs", "cloudtrail=-", input="")
    assert done.exit_code == 2
    assert "logs are read twice" in done.stderr


def test_exceptions_that_have_ended(run: Run, good: Path) -> None:
    (good / "exception.yml").write_text(
        "exceptions:\n  - {rules: [11111111-1111-4111-8111-111111111111], selection: {a: b}, owner: alice, reason: r, "
        "created: 2020-01-01, expires: 2020-02-01}\n"
    )
    done = run("rules", "check", good)
    assert done.exit_code == 1
    assert "exception.yml:2:1: the exception of alice ended on 2020-02-01: renew it" in done.stdout


def test_rules_that_say_the_same(run: Run, good: Path) -> None:
    (good / "twin.yml").write_text(
        RULE.replace("1111-1111-", "1111-2222-", 1).replace("title: Som", "title: Another som")
    )
    done = run("rules", "check", good)
    assert (
        f"{good / 'twin.yml'}:8:1: the same logic as {good / 'rule.yml'}:1 (Somebody created a user): " in done.stdout
    )
    assert done.exit_code == 1


def test_two_rules_of_one_title(run: Run, good: Path) -> None:
    other = RULE.replace("1111-1111-", "1111-2222-", 1).replace("CreateUser", "CreateRole")
    (good / "twin.yml").write_text(other)
    done = run("rules", "check", good)
    assert f"{good / 'twin.yml'}:1:1: the title is used twice, first in {good / 'rule.yml'}:1" in done.stdout


def test_a_near_miss_that_is_far(run: Run, good: Path) -> None:
    far = RULE.replace("selection: {eventName: CreateUser}", "selection: {eventName: CreateUser, eventSource: iam}")
    far = far.replace("eventName: CreateUser}}", "eventName: CreateUser, eventSource: iam}}")
    (good / "rule.yml").write_text(far)
    done = run("rules", "check", good)
    assert "rule.yml:17:1: the near miss 'a group is created' is far: it has nothing of the rule" in done.stdout
    (good / "rule.yml").write_text(far.replace("eventName: CreateGroup", "eventName: CreateGroup, eventSource: iam"))
    assert run("rules", "check", good).exit_code == 0
