from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from audit.context import EMPTY
from streams.packet import Packet
from streams.replay import Source, events_of
from streams.trail import Shelf
from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import CORRELATION, RULE, cloudtrail, log

ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def source(place: Path) -> str:
    """Three days: alice makes two users, bob one, and others do other things."""
    days = [("2026-01-05", "alice"), ("2026-01-05", "alice"), ("2026-01-07", "bob"), ("2026-01-07", "carol")]
    deeds = [
        cloudtrail(n, "Other" if user == "carol" else "CreateUser", user, eventTime=f"{day}T09:00:0{n}Z")
        for n, (day, user) in enumerate(days)
    ]
    return log(place / "log.jsonl", *deeds)


def by_rule(text: str) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    read = lines(text)
    return {one["rule_id"]: one for one in read if "rule_id" in one}, [one for one in read if "summary" in one]


def test_json(run: Run, good: Path, source: str) -> None:
    done = run("rules", "backtest", source, "--rules", good, "--json")
    assert done.exit_code == 0, done.stderr
    rules, [summary] = by_rule(done.stdout)
    line = rules[ID]
    assert (line["fires"], line["fires_per_day"], line["most_a_day"], line["users"]) == (3, 1.0, 2, 2)
    assert line["noisiest"][0]["user"].endswith("alice")
    assert [one["fires"] for one in line["noisiest"]] == [2, 1]
    assert (summary["events"], summary["days"], summary["rules"], summary["fired"]) == (4, 3, 1, 1)
    assert summary["slack_messages"] == summary["alerts"]
    assert line["alerts"] >= 1


def test_the_table(run: Run, good: Path, source: str) -> None:
    done = run("rules", "backtest", source, "--rules", good)
    heads, row = [line.split() for line in done.stdout.splitlines()[:2]]
    assert heads[:4] == ["RULE", "FIRES", "A", "DAY"]
    assert row[:5] == ["Somebody", "created", "a", "user", "3"]
    assert re.search(r"alice \(2\), \S*bob \(1\) +100%", done.stdout)
    assert "0 of 1 rules did not fire" in done.stderr


def test_a_stretch_of_time(run: Run, good: Path, source: str) -> None:
    words = ("rules", "backtest", source, "--rules", good, "--json")
    for more, fires in (
        (("--since", "2026-01-06"), 1),
        (("--until", "2026-01-06T00:00:00Z"), 2),
        (("--since", "1d"), 0),
    ):
        assert by_rule(run(*words, *more).stdout)[0][ID]["fires"] == fires
    assert "is no time: write 2026-03-02" in run(*words, "--since", "yesterday").stderr


def test_what_a_change_changes(run: Run, good: Path, source: str, place: Path) -> None:
    (place / "old").mkdir()
    (place / "old" / "rule.yml").write_text(RULE)
    narrower = RULE.replace("selection: {eventName: CreateUser}", "selection: {userIdentity.userName: [alice, carol]}")
    (good / "rule.yml").write_text(narrower)
    done = run("rules", "backtest", source, "--rules", good, "--against", "old", "--json")
    rules, [old, new] = by_rule(done.stdout)
    line = rules[ID]
    assert (line["only_old"], line["only_new"], line["both"]) == (1, 1, 2)
    assert (line["only_old_events"], line["only_new_events"]) == (["e2"], ["e3"])
    assert (old["against"], new["against"]) == (True, False)
    shown = run("rules", "backtest", source, "--rules", good, "--against", "old").stdout
    assert "what the change changes" in shown
    assert "old: e2; new: e3" in shown
    same = run("rules", "backtest", source, "--rules", "old", "--against", "old").stdout
    assert "the change changes nothing" in same


def test_labels_tell_what_was_real(run: Run, good: Path, source: str, place: Path) -> None:
    attacks = [{"id": "a1", "kind": "k", "event_ids": ["e0", "x"]}, {"id": "a2", "event_ids": ["e3"]}]
    (place / "attacks.jsonl").write_text("".join(json.dumps(attack) + "\n" for attack in attacks))
    done = run("rules", "backtest", source, "--rules", good, "--labels", "attacks.jsonl", "--json")
    rules, [summary] = by_rule(done.stdout)
    assert (rules[ID]["true"], rules[ID]["false"], rules[ID]["attacks_hit"]) == (1, 2, ["a1"])
    assert rules[ID]["precision"] == pytest.approx(0.333)
    assert (summary["attacks"], summary["attacks_hit_by_rules"]) == (2, 1)
    assert summary["true_alerts"] + summary["false_alerts"] == summary["alerts"]
    (place / "attacks.jsonl").write_text("junk\n")
    done = run("rules", "backtest", source, "--rules", good, "--labels", "attacks.jsonl")
    assert done.exit_code == 2
    assert "attacks.jsonl: line 1: no attack" in done.stderr


def test_one_rule_with_what_it_counts(run: Run, good: Path, source: str) -> None:
    (good / "other.yml").write_text(RULE.replace("1111-1111-", "1111-2222-", 1).replace("Somebody", "Nobody"))
    (good / "count.yml").write_text(CORRELATION)
    rules, _ = by_rule(run("rules", "backtest", source, "many users", "--rules", good, "--json").stdout)
    assert {one["title"]: one["fires"] for one in rules.values()} == {"Many users": 1, "Somebody created a user": 3}
    assert rules[ID]["stage"] == "silent"


def test_shadow_alerts_nobody_unless_asked_as_if_live(run: Run, good: Path, source: str) -> None:
    (good / "rule.yml").write_text(RULE.replace("auditwatch:\n", "auditwatch:\n  stage: shadow\n"))
    words = ("rules", "backtest", source, "--rules", good, "--json")
    shadow, live = (by_rule(run(*words, *more).stdout)[0][ID] for more in ((), ("--live",)))
    assert (shadow["stage"], shadow["fires"], shadow["alerts"]) == ("shadow", 3, 0)
    assert (live["fires"], live["alerts"] > 0) == (3, True)


def test_the_trail(run: Run, good: Path, organisation: Path, place: Path) -> None:
    source = f"cloudtrail={organisation / 'cloudtrail.jsonl.gz'}"
    found = list(events_of([Source("cloudtrail", source.partition("=")[2])], EMPTY, 1 << 60, []))
    shelf = Shelf.take_over(place / "trail", "log", 0)
    shelf.add(0, Packet("x", list(range(len(found))), found))
    shelf.flush()
    kept, direct = (
        by_rule(run("rules", "backtest", *words, "--json").stdout)[0] for words in (("--trail", "trail"), (source,))
    )
    assert {name: line["fires"] for name, line in kept.items()} == {
        name: line["fires"] for name, line in direct.items()
    }
    assert any(line["fires"] for line in kept.values())


def test_no_logs_at_all(run: Run, good: Path) -> None:
    done = run("rules", "backtest", "--rules", good)
    assert done.exit_code == 2
    assert "which logs? give SOURCE=FILE..., or --trail DIR (there is no trail in .auditwatch/trail)" in done.stderr


def test_a_source_nobody_knows(run: Run, good: Path) -> None:
    done = run("rules", "backtest", "cludtrail=x", "--rules", good)
    assert done.exit_code == 2
    assert "'cludtrail=x' is not SOURCE=FILE" in done.stderr


def test_a_simulated_company_with_labels(run: Run, organisation: Path) -> None:
    names = ("cloudtrail", "okta", "github", "kubernetes")
    sources = [f"{name}={organisation / name}.jsonl.gz" for name in names]
    more = ("--context", organisation / "context.yml", "--labels", organisation / "attacks.jsonl", "--json")
    done = run("rules", "backtest", *sources, *more)
    assert done.exit_code == 0, done.stderr
    rules, [summary] = by_rule(done.stdout)
    assert summary["attacks_alerted"] >= 5
    assert summary["true_alerts"] > summary["false_alerts"]
    assert sum(line["true"] for line in rules.values()) > 20
