from __future__ import annotations

from pathlib import Path

from rules.sigma import library, load
from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import CORRELATION

EVENTS = "".join(
    f'{{"eventID":"{number}","eventName":"{name}","eventTime":"2026-01-01T00:00:0{number}Z"}}\n'
    for number, name in enumerate(["CreateUser", "DeleteUser", "CreateUser"])
)


def test_a_line_for_each_match(run: Run, good: Path, place: Path) -> None:
    (place / "log.jsonl").write_text(EVENTS + "no json\n")
    done = run("rules", "match", "cloudtrail=log.jsonl", "--rules", good, "--out", "out.jsonl")
    assert done.exit_code == 0
    rule = "11111111-1111-4111-8111-111111111111"
    assert lines(place / "out.jsonl") == [{"event_id": "0", "rule_id": rule}, {"event_id": "2", "rule_id": rule}]
    assert "1 records refused (first: line 4:" in done.stderr


def test_silent_rules_are_shown_and_correlations_are_not(run: Run, good: Path) -> None:
    (good / "correlation.yml").write_text(CORRELATION)
    done = run("rules", "match", "cloudtrail=-", "--rules", good, input=EVENTS)
    assert [line["rule_id"][:4] for line in lines(done.stdout)] == ["1111", "1111"]


def test_takes_events_too(run: Run, good: Path, place: Path) -> None:
    (place / "events.jsonl").write_bytes(run("normalise", "cloudtrail=-", input=EVENTS).stdout_bytes)
    done = run("rules", "match", "events=events.jsonl", "--rules", good)
    assert [line["event_id"] for line in lines(done.stdout)] == ["0", "2"]


def test_agrees_with_replay(run: Run, organisation: Path, place: Path) -> None:
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


def test_a_broken_rule_leaves_no_file(run: Run, good: Path, place: Path) -> None:
    (good / "rule.yml").write_text("title: [")
    (place / "log.jsonl").write_text(EVENTS)
    assert run("rules", "match", "cloudtrail=log.jsonl", "--rules", good, "--out", "out.jsonl").exit_code == 2
    assert not (place / "out.jsonl").exists()
