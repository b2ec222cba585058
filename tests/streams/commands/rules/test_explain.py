from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import CORRELATION, cloudtrail, log


def test_a_match_and_why(run: Run, good: Path, place: Path) -> None:
    (place / "event.json").write_text(json.dumps(cloudtrail(1), indent=2))
    done = run("rules", "explain", "created a user", "event.json", "--rules", good)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"Somebody created a user  11111111-1111-4111-8111-111111111111  {good / 'rule.yml'}",
        "✓ matches e1  2026-01-05T00:01:00.000Z  cloudtrail",
        "  ✓ eventName is CreateUser",
        '      eventName = "CreateUser"',
        "",
    ]
    assert "1 of 1 events match" in done.stderr


def test_no_match_says_how_near_it_came(run: Run, good: Path, place: Path) -> None:
    source = log(place / "log.jsonl", cloudtrail(1, "CreateUsers"), cloudtrail(2, "Other"))
    done = run("rules", "explain", "rule.yml", source, "--rules", good, "--limit", 1)
    assert done.exit_code == 1
    assert "✗ does not match e1" in done.stdout
    assert "<- it begins with 'CreateUser' and goes on: |startswith does not mind" in done.stdout
    assert "e2" not in done.stdout
    assert "0 of 2 events match, 1 shown" in done.stderr


def test_one_event_of_many(run: Run, good: Path, place: Path) -> None:
    source = log(place / "log.jsonl", *(cloudtrail(n) for n in range(9)))
    done = run("rules", "explain", "created", source, "--rules", good, "--event", "e7")
    assert "✓ matches e7" in done.stdout
    assert "1 of 1 events match" in done.stderr
    done = run("rules", "explain", "created", source, "--rules", good, "--event", "e99")
    assert (done.exit_code, "no event has the id e99" in done.stderr) == (2, True)


def test_json(run: Run, good: Path, place: Path) -> None:
    source = log(place / "log.jsonl", cloudtrail(1), cloudtrail(2, "Other"))
    first, second = lines(run("rules", "explain", "1111", source, "--rules", good, "--json").stdout)
    assert (first["event_id"], first["matches"], second["matches"]) == ("e1", True, False)
    assert second["tree"] == {
        "wants": "eventName is CreateUser",
        "held": False,
        "field": "eventName",
        "present": True,
        "places": [{"path": "eventName", "found": True, "values": ['"Other"']}],
        "why": "its value is another",
    }


def test_audit_event_lines_are_known_by_themselves(run: Run, good: Path, place: Path) -> None:
    log(place / "log.jsonl", cloudtrail(1))
    (place / "events.jsonl").write_bytes(run("normalise", "cloudtrail=log.jsonl").stdout_bytes)
    done = run("rules", "explain", "created", "events.jsonl", "--rules", good)
    assert (done.exit_code, "✓ matches e1" in done.stdout) == (0, True)
    done = run("rules", "explain", "created", "events=events.jsonl", "--rules", good)
    assert done.exit_code == 0


def test_standard_input(run: Run, good: Path) -> None:
    done = run("rules", "explain", "created", "-", "--rules", good, input=json.dumps(cloudtrail(1)))
    assert (done.exit_code, "✓ matches e1" in done.stdout) == (0, True)


def test_an_event_of_another_source_is_not_asked(run: Run, good: Path, place: Path) -> None:
    record = {"uuid": "u", "eventType": "x", "published": "2026-01-01T00:00:00Z", "actor": {"id": "a", "type": "User"}}
    (place / "okta.json").write_text(json.dumps(record))
    done = run("rules", "explain", "created", "okta.json", "--source", "okta", "--rules", good)
    assert done.exit_code == 1
    assert "not asked: it is asked only about cloudtrail" in done.stdout


def test_an_excused_match_says_by_whom(run: Run, good: Path, place: Path) -> None:
    (good / "exception.yml").write_text(
        "exceptions:\n  - {rules: [11111111-1111-4111-8111-111111111111], selection: {userIdentity.userName: alice}, "
        "owner: bob, reason: onboarding, created: 2026-01-01, expires: 2026-02-01}\n"
    )
    done = run("rules", "explain", "created", log(place / "log.jsonl", cloudtrail(1)), "--rules", good)
    assert f"excused by bob: onboarding ({good / 'exception.yml'}:2)" in done.stdout


def test_nothing_of_a_log_reaches_the_terminal_unharmed(run: Run, good: Path, place: Path) -> None:
    evil = "x\x1b]0;owned\x07\x1b[2J\u202e ghp_0123456789abcdefghijABCDEFGHIJ012345"
    done = run("rules", "explain", "created", log(place / "l", cloudtrail(1, evil)), "--rules", good)
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "ghp_0123" not in done.stdout


class TestCorrelation:
    @pytest.fixture(autouse=True)
    def _counting(self, good: Path) -> None:
        (good / "count.yml").write_text(CORRELATION)

    def test_its_windows(self, run: Run, good: Path, place: Path) -> None:
        deeds = [cloudtrail(1), cloudtrail(2), cloudtrail(3, user="bob"), cloudtrail(4, "Other")]
        done = run("rules", "explain", "many users", log(place / "log", *deeds), "--rules", good)
        assert done.exit_code == 0
        assert "✓ fires: it waits for matches gte 2 within 1h for the same actor.id" in done.stdout
        assert "3 of 4 events count" in done.stdout
        assert re.search(r"^yes +actor\.id \S*alice +2 matches", done.stdout, re.MULTILINE)
        assert re.search(r"^no +actor\.id \S*bob +1 matches", done.stdout, re.MULTILINE)
        assert "none of the rules it counts matches" in done.stdout

    def test_json(self, run: Run, good: Path, place: Path) -> None:
        done = run("rules", "explain", "many", log(place / "log", cloudtrail(1)), "--rules", good, "--json")
        assert done.exit_code == 1
        [told] = lines(done.stdout)
        assert (told["fires"], told["groups"][0]["reached"]) == (False, "1 matches")


class TestUnusable:
    def test_no_such_rule(self, run: Run, good: Path, place: Path) -> None:
        done = run("rules", "explain", "created a uzer", log(place / "l", cloudtrail(1)), "--rules", good)
        assert done.exit_code == 2
        assert "no rule is called 'created a uzer'" in done.stderr

    @pytest.mark.parametrize(
        ("text", "said"),
        [(None, "no such file"), ("", "no events in it"), ("junk", "1 records cannot be read (line 1: ")],
    )
    def test_no_event(self, run: Run, good: Path, place: Path, text: str | None, said: str) -> None:
        if text is not None:
            (place / "file").write_text(text)
        done = run("rules", "explain", "created", "file", "--rules", good)
        assert done.exit_code == 2
        assert said in done.stderr
