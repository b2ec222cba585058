from __future__ import annotations

from pathlib import Path

import pytest

from rules.sigma import library, load
from tests.streams.commands.conftest import Run, lines

RULE = """title: Somebody created a user
id: 11111111-1111-4111-8111-111111111111
status: test
description: A user was created.
level: high
tags: [attack.t1136]
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: CreateUser}
  condition: selection
falsepositives: [Onboarding]
auditwatch:
  tests:
    - {name: one is created, match: true, source: cloudtrail, event: {eventName: CreateUser}}
    - {name: one is deleted, match: false, source: cloudtrail, event: {eventName: DeleteUser}}
    - {name: a group is created, match: false, near_miss: true, source: cloudtrail, event: {eventName: CreateGroup}}
"""
CORRELATION = """title: Many users
id: 22222222-2222-4222-8222-222222222222
status: test
description: Many users were created.
level: critical
tags: [attack.t1136]
correlation:
  type: event_count
  rules: [11111111-1111-4111-8111-111111111111]
  group-by: [actor.id]
  timespan: 1h
  condition: {gte: 2}
falsepositives: [A script]
"""


@pytest.fixture
def good(place: Path) -> Path:
    (place / "rules").mkdir()
    (place / "rules" / "rule.yml").write_text(RULE)
    return place / "rules"


class TestCheck:
    def test_the_library_is_right(self, run: Run) -> None:
        done = run("rules", "check")
        assert (done.exit_code, done.stdout) == (0, "")
        assert "nothing is wrong" in done.stderr

    def test_what_is_wrong_has_its_place_and_a_hint(self, run: Run, good: Path) -> None:
        bad = good / "bad.yml"
        bad.write_text(RULE.replace("11111111-1111", "33333333-1111").replace("detection:", "detektion:"))
        done = run("rules", "check", good)
        assert done.exit_code == 1
        assert f"{bad}:8:1: unknown key 'detektion': did you mean 'detection'?" in done.stdout.splitlines()
        assert "rule.yml" not in done.stdout
        assert "problems" in done.stderr

    def test_json(self, run: Run, good: Path) -> None:
        (good / "rule.yml").write_text(RULE.replace("level: high\n", ""))
        done = run("rules", "check", good, "--json")
        assert done.exit_code == 1
        [problem] = lines(done.stdout)
        assert problem["path"] == str(good / "rule.yml")
        assert (problem["line"], problem["column"]) == (1, 1)
        assert problem["message"] == "the rule has no level"
        assert problem["hint"]

    def test_a_path_that_is_not_there_is_unusable(self, run: Run) -> None:
        assert run("rules", "check", "missing").exit_code == 2


class TestTest:
    def test_all_pass(self, run: Run, good: Path) -> None:
        done = run("rules", "test", good)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "3 tests of 1 rules: 0 failed" in done.stderr

    def test_a_failure_says_which_and_why(self, run: Run, good: Path) -> None:
        (good / "rule.yml").write_text(RULE.replace("eventName: DeleteUser", "eventName: CreateUser"))
        done = run("rules", "test", good)
        assert done.exit_code == 1
        assert done.stdout == (
            f"{good / 'rule.yml'}:15: Somebody created a user: one is deleted: failed: the rule must not match\n"
        )
        assert "3 tests of 1 rules: 1 failed" in done.stderr

    def test_json_shows_every_test(self, run: Run, good: Path) -> None:
        done = run("rules", "test", good, "--json")
        assert [(line["test"], line["passed"]) for line in lines(done.stdout)] == [
            ("one is created", True),
            ("one is deleted", True),
            ("a group is created", True),
        ]

    def test_rules_that_do_not_load_are_unusable(self, run: Run, good: Path) -> None:
        (good / "rule.yml").write_text("title: [")
        done = run("rules", "test", good)
        assert done.exit_code == 2
        assert "rule.yml:2:1: not YAML" in done.stderr


class TestList:
    def test_a_table_of_the_library(self, run: Run) -> None:
        shown = run("rules", "list").stdout.splitlines()
        rules = load([library()])
        assert shown[0].split() == ["ID", "LEVEL", "SOURCE", "TITLE"]
        assert len(shown) == 1 + len(rules.rules) + len(rules.correlations)
        rule = next(rule for rule in rules.rules if rule.product == "okta")
        assert any(line.startswith(rule.id) and line.endswith(rule.title) and "okta" in line for line in shown)

    def test_json(self, run: Run, good: Path) -> None:
        (good / "correlation.yml").write_text(CORRELATION)
        rule, correlation = sorted(lines(run("rules", "list", good, "--json").stdout), key=lambda line: str(line["id"]))
        assert (rule["level"], rule["source"], rule["title"]) == ("high", "aws/cloudtrail", "Somebody created a user")
        assert (correlation["level"], correlation["source"]) == ("critical", "correlation")


class TestMatch:
    EVENTS = "".join(
        f'{{"eventID":"{number}","eventName":"{name}","eventTime":"2026-01-01T00:00:0{number}Z"}}\n'
        for number, name in enumerate(["CreateUser", "DeleteUser", "CreateUser"])
    )

    def test_a_line_for_each_match(self, run: Run, good: Path, place: Path) -> None:
        (place / "log.jsonl").write_text(self.EVENTS + "no json\n")
        done = run("rules", "match", "cloudtrail=log.jsonl", "--rules", good, "--out", "out.jsonl")
        assert done.exit_code == 0
        rule = "11111111-1111-4111-8111-111111111111"
        assert lines(place / "out.jsonl") == [{"event_id": "0", "rule_id": rule}, {"event_id": "2", "rule_id": rule}]
        assert "1 records refused (first: line 4:" in done.stderr

    def test_silent_rules_are_shown_and_correlations_are_not(self, run: Run, good: Path) -> None:
        (good / "correlation.yml").write_text(CORRELATION)
        done = run("rules", "match", "cloudtrail=-", "--rules", good, input=self.EVENTS)
        assert [line["rule_id"][:4] for line in lines(done.stdout)] == ["1111", "1111"]

    def test_takes_events_too(self, run: Run, good: Path, place: Path) -> None:
        (place / "events.jsonl").write_bytes(run("normalise", "cloudtrail=-", input=self.EVENTS).stdout_bytes)
        done = run("rules", "match", "events=events.jsonl", "--rules", good)
        assert [line["event_id"] for line in lines(done.stdout)] == ["0", "2"]

    def test_agrees_with_replay(self, run: Run, organisation: Path, place: Path) -> None:
        source = f"okta={organisation / 'okta.jsonl.gz'}"
        run("rules", "match", source, "--context", organisation / "context.yml", "--out", "matches.jsonl")
        done = run("replay", source, "--context", organisation / "context.yml", "--findings", "findings.jsonl")
        assert done.exit_code == 0, done.stderr
        silent = {rule.id for rule in load([library()]).rules if rule.silent}
        matches = {(line["event_id"], line["rule_id"]) for line in lines(place / "matches.jsonl")}
        found = [line for line in lines(place / "findings.jsonl") if line["kind"] == "rule"]
        assert {match for match in matches if match[1] not in silent} == {
            (line["event_ids"][0], line["detection"]) for line in found
        }

    def test_a_broken_rule_leaves_no_file(self, run: Run, good: Path, place: Path) -> None:
        (good / "rule.yml").write_text("title: [")
        (place / "log.jsonl").write_text(self.EVENTS)
        assert run("rules", "match", "cloudtrail=log.jsonl", "--rules", good, "--out", "out.jsonl").exit_code == 2
        assert not (place / "out.jsonl").exists()
