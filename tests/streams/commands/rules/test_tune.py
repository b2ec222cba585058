from __future__ import annotations

import getpass
import json
import re
from pathlib import Path

import pytest
import yaml

from rules.sigma import load
from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import CORRELATION, cloudtrail, log

ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def source(place: Path) -> str:
    """The robot makes three users and alice two; one of alice's is an attack."""
    deeds = [cloudtrail(n, user="robot") for n in range(3)] + [cloudtrail(n, user="alice") for n in (3, 4)]
    return log(place / "log.jsonl", *deeds, cloudtrail(5, "Other"))


def marked(place: Path, *names: str, file: str = "marked.txt") -> Path:
    (place / file).write_text("".join(f"{name}\n" for name in names))
    return place / file


def tuned(run: Run, good: Path, source: str, *more: object) -> tuple[int, str, str]:
    done = run("rules", "tune", "created a user", source, "--rules", good, *more)
    return done.exit_code, done.stdout, done.stderr


def test_the_smallest_exception(run: Run, good: Path, source: str, place: Path) -> None:
    code, text, told = tuned(run, good, source, "--false-positives", marked(place, "e0", "e1"))
    assert code == 0
    (entry,) = yaml.safe_load(text)["exceptions"]
    assert entry["rules"] == [ID]
    assert list(entry["selection"]) == ["auditwatch.actor.id"]
    assert entry["selection"]["auditwatch.actor.id"].endswith("robot")
    assert entry["owner"] == getpass.getuser()
    assert entry["reason"].startswith("Marked as false positives: 2 events of ")
    assert "It would have hidden 3 of 5 matches in these logs: 2 marked, 1 others; 0 true positives stay" in told
    assert "No true positive is among these matches" in told
    assert "others it would have hidden" in told
    assert re.search(r"\be2$", told, re.MULTILINE)
    assert not (good / "exception.yml").exists()


def test_it_is_written_only_with_out_and_works(run: Run, good: Path, source: str, place: Path) -> None:
    out = good / "exceptions" / "robot.yml"
    out.parent.mkdir()
    more = (
        "--false-positives",
        marked(place, "e0"),
        "--out",
        out,
        "--owner",
        "alice",
        "--reason",
        "its job",
        "--days",
        7,
    )
    code, text, _ = tuned(run, good, source, *more)
    assert (code, text) == (0, "")
    (excuse,) = load([good]).exceptions
    assert (excuse.owner, excuse.reason, excuse.expires - excuse.created) == ("alice", "its job", 7 * 86_400_000_000)
    done = run("rules", "backtest", source, "--rules", good, "--json")
    line = next(one for one in lines(done.stdout) if one.get("rule_id") == ID)
    assert line["fires"] + line["excused"] == 5
    assert run("rules", "check", good).exit_code == 0


def test_it_refuses_to_hide_what_is_real(run: Run, good: Path, source: str, place: Path) -> None:
    same = marked(place, "e4", file="real.txt")
    code, text, told = tuned(run, good, source, "--false-positives", marked(place, "e3"), "--true-positives", same)
    assert (code, text) == (1, "")
    assert "refused: every exception that takes the marked events away also hides true positives: e4" in told


def test_labels_are_true_positives(run: Run, good: Path, source: str, place: Path) -> None:
    (place / "attacks.jsonl").write_text(json.dumps({"id": "a", "event_ids": ["e4"]}) + "\n")
    labels = ("--labels", "attacks.jsonl")
    code, _, told = tuned(run, good, source, "--false-positives", marked(place, "e0"), *labels)
    assert (code, "1 true positives stay" in told) == (0, True)
    code, text, told = tuned(run, good, source, "--false-positives", marked(place, "e4", "e0"), *labels)
    assert (code, text) == (1, "")
    assert "refused: 1 events are marked false and known to be real: e4" in told


def test_all_matches_of_a_user(run: Run, good: Path, source: str, place: Path) -> None:
    robot = "aws:arn:aws:iam::1:user/robot"
    code, text, told = tuned(run, good, source, "--user", robot)
    assert (code, "hidden 3 of 5 matches in these logs: 3 marked, 0 others" in told) == (0, True), told
    assert yaml.safe_load(text)["exceptions"][0]["selection"] == {"auditwatch.actor.id": robot}
    real = marked(place, "e1", file="real.txt")
    code, _, told = tuned(run, good, source, "--user", robot, "--true-positives", real)
    assert (code, "refused: 1 events are marked false and known to be real: e1" in told) == (1, True)
    code, _, told = tuned(run, good, source, "--user", "nobody")
    assert (code, "none of the events marked is a match" in told) == (1, True)
    code, _, told = tuned(run, good, source)
    assert (code, "which matches are false positives?" in told) == (2, True)


def test_json(run: Run, good: Path, source: str, place: Path) -> None:
    code, text, _ = tuned(run, good, source, "--false-positives", marked(place, "e0", "e1"), "--json")
    [line] = lines(text)
    assert (code, line["matches"], line["hidden"], line["marked"], line["other_event_ids"]) == (0, 5, 3, 2, ["e2"])
    assert yaml.safe_load(line["exception"])["exceptions"]


def test_raw_records_need_no_logs(run: Run, good: Path, place: Path) -> None:
    log(place / "marked.jsonl", cloudtrail(0, user="robot"))
    done = run("rules", "tune", ID, "--rules", good, "--false-positives", "marked.jsonl")
    assert done.exit_code == 0, done.stderr
    assert "hidden 1 of 1 matches" in done.stderr


def test_a_correlation_is_excused_from_counting(run: Run, good: Path, source: str, place: Path) -> None:
    (good / "count.yml").write_text(CORRELATION)
    done = run("rules", "tune", "many users", source, "--rules", good, "--false-positives", marked(place, "e0", "e1"))
    assert done.exit_code == 0, done.stderr
    assert "22222222-2222-4222-8222-222222222222" in done.stdout
    assert "hidden 3 of 5 matches" in done.stderr


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        (["e0", "nowhere"], 2, "1 marked events are not in these logs: nowhere; add the logs that hold them"),
        (["e5"], 1, "none of the events marked is a match of this rule"),
        (["e0", "e5"], 0, "1 marked events are no matches of this rule and left out: e5"),
        (["null"], 2, "marked.txt:1: neither an event id nor an event"),
    ],
)
def test_marks_that_lead_nowhere(
    run: Run, good: Path, source: str, place: Path, names: list[str], code: int, said: str
) -> None:
    got, _, told = tuned(run, good, source, "--false-positives", marked(place, *names))
    assert (got, said in told) == (code, True), told


def test_the_simulated_attack_is_never_hidden(run: Run, organisation: Path, place: Path) -> None:
    """Every rule that hits an attack and something else: marking the rest never hides the attack."""
    names = ("cloudtrail", "okta", "github", "kubernetes")
    sources = [f"{name}={organisation / name}.jsonl.gz" for name in names]
    context = ("--context", organisation / "context.yml")
    attacks = {event for line in lines(organisation / "attacks.jsonl") for event in line["event_ids"]}
    run("rules", "match", *sources, *context, "--out", "matches.jsonl")
    hits: dict[str, list[str]] = {}
    for line in lines(place / "matches.jsonl"):
        hits.setdefault(line["rule_id"], []).append(line["event_id"])
    mixed = [rule for rule, events in hits.items() if set(events) & attacks and set(events) - attacks]
    assert mixed
    for rule in mixed[:2]:
        file = marked(place, *sorted(set(hits[rule]) - attacks)[:3])
        labels = ("--labels", organisation / "attacks.jsonl")
        done = run("rules", "tune", rule, *sources, *context, "--false-positives", file, *labels, "--json")
        assert done.exit_code in (0, 1), done.stderr
        if done.exit_code == 0:
            [line] = lines(done.stdout)
            assert line["true_positives"] == len(set(hits[rule]) & attacks)
            assert not set(line["other_event_ids"]) & attacks
