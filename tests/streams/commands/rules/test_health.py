from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import RULE, cloudtrail, log


def rule(number: int, selection: str) -> str:
    text = RULE.replace("1111-1111-", f"{number}{number}{number}{number}-1111-", 1)
    return text.replace("Somebody", f"Rule {number} - somebody").replace(
        "{eventName: CreateUser}\n", selection + "\n", 1
    )


def health(run: Run, *words: object) -> dict[str, dict[str, Any]]:
    done = run("rules", "health", *words, "--json")
    assert done.exit_code == 0, done.stderr
    return {line.get("title", line.get("exception_id")).partition(" -")[0]: line for line in lines(done.stdout)}


def test_each_rule_in_its_state(run: Run, good: Path, place: Path) -> None:
    (good / "rule.yml").write_text(rule(1, "{eventName: CreateUser}"))
    (good / "two.yml").write_text(rule(2, "{eventName: Never}"))
    (good / "three.yml").write_text(rule(3, "{eventName: Other, misspelt: x}"))
    (good / "four.yml").write_text(rule(4, "{eventName: Other}"))
    (good / "five.yml").write_text(rule(5, "{a: x}").replace("product: aws, service: cloudtrail", "product: okta"))
    source = log(place / "log.jsonl", *(cloudtrail(n) for n in range(30)), cloudtrail(40, "Other"))
    found = health(run, source, "--rules", good)
    assert {name: line["state"] for name, line in found.items()} == {
        "Rule 1": "noisy",
        "Rule 2": "silent",
        "Rule 3": "cannot fire",
        "Rule 4": "ok",
        "Rule 5": "no events",
    }
    assert found["Rule 3"]["why"] == "1 events fit but for misspelt, which none has"
    assert found["Rule 1"]["noisiest"].endswith("alice")
    assert health(run, source, "--rules", good, "--noisy", 40)["Rule 1"]["state"] == "ok"


def test_the_table_shows_what_needs_a_hand(run: Run, good: Path, place: Path) -> None:
    (good / "two.yml").write_text(rule(2, "{eventName: Never}"))
    source = log(place / "log.jsonl", cloudtrail(1))
    done = run("rules", "health", source, "--rules", good)
    assert done.stdout.splitlines()[1].startswith("silent  Rule 2 - somebody created a user")
    assert "Somebody created a user" not in done.stdout
    assert "1 events over 1 days; 2 rules: 1 silent, 1 ok" in done.stderr
    assert "Somebody created a user" in run("rules", "health", source, "--rules", good, "--all").stdout


def test_exceptions(run: Run, good: Path, place: Path) -> None:
    (good / "exception.yml").write_text(
        "exceptions:\n  - {id: old, rules: [11111111-1111-4111-8111-111111111111], selection: {eventName: CreateUser}, "
        "owner: bob, reason: r, created: 2026-01-01, expires: 2026-02-01}\n"
    )
    source = log(place / "log.jsonl", *(cloudtrail(n) for n in range(3)))
    found = health(run, source, "--rules", good)
    assert (found["Somebody created a user"]["state"], found["Somebody created a user"]["excused"]) == ("excused", 1.0)
    assert found["old"]["state"] == "expired"
    shown = run("rules", "health", source, "--rules", good).stdout
    assert f"expired  bob    it ended on 2026-02-01: renew or delete it  {good / 'exception.yml'}:2" in shown


def test_standard_input_is_read_once(run: Run, good: Path) -> None:
    done = run("rules", "health", "cloudtrail=-", "--rules", good, input='{"eventName": "x"}\n')
    assert done.exit_code == 0
    assert "1 events over 1 days" in done.stderr
