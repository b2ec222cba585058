from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from alerting.alert import from_line
from audit.event import from_line as event_from_line
from audit.event import to_line as event_to_line
from streams.packet import Packet, mark
from streams.trail import Shelf
from tests.detectors.company import company
from tests.streams.commands.conftest import Run, lines

FINDING = {
    "id", "time", "kind", "detection", "title", "severity", "risk", "principal", "entity", "event_ids", "reasons",
    "attack", "version", "author", "evidence", "measures", "runbook", "explained", "doubts",
}  # fmt: skip
ALERT = {
    "id", "time", "severity", "risk", "principal", "entity", "title", "summary", "findings", "event_ids", "reasons",
    "attack", "version", "key", "count", "revision", "status", "resolution", "evidence", "measures", "papers",
}  # fmt: skip
OUTS = ("alerts", "findings", "scores", "events")


@pytest.fixture
def words(organisation: Path) -> list[str]:
    names = ("okta", "cloudtrail", "github", "kubernetes")
    return [
        *(f"{name}={organisation / name}.jsonl.gz" for name in names),
        "--context",
        str(organisation / "context.yml"),
    ]


def replayed(run: Run, place: Path, *words: str) -> dict[str, list[dict[str, Any]]]:
    """What `replay` writes into its four files."""
    done = run("replay", *words, *(word for name in OUTS for word in (f"--{name}", f"{name}.jsonl")))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    return {name: lines(place / f"{name}.jsonl") for name in OUTS}


def test_the_lines_are_what_the_contract_says(run: Run, place: Path, words: list[str]) -> None:
    out = replayed(run, place, *words)
    assert out["alerts"]
    assert out["findings"]
    assert all(set(line) == ALERT for line in out["alerts"])
    assert all(set(line) == FINDING for line in [*out["findings"], *out["alerts"][0]["findings"]])
    assert all(set(line) == {"event_id", "score"} and line["score"] >= 0 for line in out["scores"])
    assert {line["event_id"] for line in out["scores"]} == {line["id"] for line in out["events"]}
    assert all(set(line["version"]) == {"rules", "models", "context"} for line in out["findings"])
    times = [line["time"] for line in out["events"]]
    assert times == sorted(times)


def test_an_alert_rests_on_events_that_were_there(run: Run, place: Path, words: list[str]) -> None:
    out = replayed(run, place, *words)
    events = {line["id"] for line in out["events"]}
    for line in out["alerts"]:
        alert = from_line(json.dumps(line))
        assert set(alert.event_ids) <= events
        assert {event for finding in alert.findings for event in finding.event_ids} <= events


def test_its_own_events_give_the_same_again(run: Run, place: Path, words: list[str]) -> None:
    first = replayed(run, place, *words)
    (place / "again.jsonl.gz").write_bytes(gzip.compress((place / "events.jsonl").read_bytes()))
    second = replayed(run, place, "events=again.jsonl.gz", *words[-2:], "--batch", "7")
    assert second == first


def test_the_trails_parquet_gives_the_same_again(run: Run, place: Path, words: list[str]) -> None:
    first = replayed(run, place, *words)
    events = [event_from_line(line) for line in (place / "events.jsonl").read_bytes().splitlines()]
    shelf = Shelf.take_over(place / "trail", "log", 0)
    shelf.add(0, Packet("raw/0@x", [mark(0, number) for number in range(len(events))], events))
    shelf.flush()
    second = replayed(run, place, "events=trail", *words[-2:])
    assert second["findings"] == first["findings"]
    assert second["alerts"] == first["alerts"]


def test_without_alerts_they_are_shown_here(run: Run, words: list[str]) -> None:
    done = run("replay", *words)
    assert done.exit_code == 0
    assert "what to do" in done.stdout
    assert "events," in done.stderr
    assert "\x1b" not in done.stdout


def test_alerts_can_go_down_a_pipe(run: Run, words: list[str], place: Path) -> None:
    shown = lines(run("replay", *words, "--alerts", "-").stdout)
    assert shown == replayed(run, place, *words)["alerts"]


def test_rules_replace_the_library(run: Run, place: Path, words: list[str]) -> None:
    (place / "rules").mkdir()
    (place / "rules" / "a.yml").write_text(
        "title: Any key\nid: 11111111-1111-4111-8111-111111111111\nlevel: low\n"
        "logsource: {product: aws, service: cloudtrail}\n"
        "detection: {selection: {eventName: CreateAccessKey}, condition: selection}\n"
    )
    out = replayed(run, place, *words, "--rules", "rules")
    assert {line["detection"] for line in out["findings"] if line["kind"] == "rule"} == {
        "11111111-1111-4111-8111-111111111111"
    }


def test_bad_records_are_told_and_cost_nothing(run: Run, place: Path) -> None:
    (place / "log.jsonl").write_text('{"eventName": "CreateUser", "eventID": "1"}\nbroken\n')
    done = run("replay", "cloudtrail=log.jsonl", "--scores", "scores.jsonl")
    assert done.exit_code == 0
    assert [line["event_id"] for line in lines(place / "scores.jsonl")] == ["1"]
    assert "1 events, 0 findings, 0 alerts, 1 records refused (first: cloudtrail line 2:" in done.stderr


def test_what_is_no_event_is_told(run: Run, place: Path) -> None:
    (place / "events.jsonl").write_text('{"id": "1"}\n')
    done = run("replay", "events=events.jsonl")
    assert "not an AuditEvent" in done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["aws=x"], "SOURCE one of "),
        (["okta=missing"], "missing: No such file"),
        (["okta=-", "--models", "."], "no model is promoted"),
        (["okta=-", "--alerts", "no/alerts.jsonl"], "no/alerts.jsonl: cannot be written"),
        (["okta=-", "--config", "missing.toml"], "missing.toml"),
        ([], "Missing argument"),
    ],
)
def test_unusable_input_writes_nothing(run: Run, place: Path, more: list[str], said: str) -> None:
    done = run("replay", *more, "--events", "events.jsonl", input="")
    assert done.exit_code == 2
    assert said in done.stderr
    assert list(place.iterdir()) == []


RULE = """title: New to somebody and known to their peers
id: 11111111-1111-4111-8111-111111111111
level: low
logsource: {product: auditwatch}
detection:
  new: {first_seen.action: true, team_share.action|gte: 0.5}
  condition: new
"""


def test_snapshots_are_taken_daily_or_not_at_all(run: Run, place: Path) -> None:
    (place / "rule.yml").write_text(RULE)
    (place / "in.jsonl").write_bytes(b"\n".join(map(event_to_line, company(users=8, days=11, seed=5))))
    words = ("events=in.jsonl", "--rules", "rule.yml")

    def rules(*more: str) -> list[str]:
        found = replayed(run, place, *words, *more)["findings"]
        return [finding["id"] for finding in found if finding["kind"] == "rule"]

    daily = rules()
    assert daily
    assert rules("--snapshots", "daily", "--budget", "3", "--batch", "7") == daily
    assert rules("--snapshots", "off") == []


def test_a_budget_is_at_least_one(run: Run) -> None:
    assert "--budget" in run("replay", "okta=x", "--budget", "0").stderr


PAPER = """users: [{id: ada, identities: {aws: ["arn:aws:iam::111122223333:user/ada"]}}, {id: bob}]
tickets:
  - {id: CHG-1, type: change, requester: ada, approver: bob, system: aws, resource: ada, status: STATUS,
     opened: 2026-03-04T08:00:00Z, approved_at: 2026-03-04T09:00:00Z, window_end: 2026-03-04T12:00:00Z}
"""


@pytest.mark.parametrize("status", ["approved", "rejected"])
def test_what_paper_explains_is_written_and_not_shown(run: Run, place: Path, status: str) -> None:
    (place / "rules").mkdir()
    (place / "rules" / "a.yml").write_text(
        "title: Any key\nid: 11111111-1111-4111-8111-111111111111\nlevel: high\n"
        "logsource: {product: aws, service: cloudtrail}\n"
        "detection: {selection: {eventName: CreateAccessKey}, condition: selection}\n"
    )
    (place / "paper.yml").write_text(PAPER.replace("STATUS", status))
    user = '"userIdentity": {"type": "IAMUser", "userName": "ada", "arn": "arn:aws:iam::111122223333:user/ada"}'
    call = (
        '"eventSource": "iam.amazonaws.com", "eventName": "CreateAccessKey", "requestParameters": {"userName": "ada"}'
    )
    (place / "log.jsonl").write_text(f'{{"eventID": "1", "eventTime": "2026-03-04T10:00:00Z", {user}, {call}}}\n')
    options = ["cloudtrail=log.jsonl", "--context", "paper.yml", "--rules", "rules"]
    shown = run("replay", *options)
    run("replay", *options, "--alerts", "alerts.jsonl")
    (alert,) = lines(place / "alerts.jsonl")
    if status == "approved":
        assert (alert["status"], alert["resolution"]) == ("resolved", "explained")
        assert alert["findings"][0]["explained"] == "change CHG-1 approved by bob until 2026-03-04 12:00 UTC"
        assert shown.stdout == ""
        assert "0 alerts, 1 more closed as explained" in shown.stderr
    else:
        assert (alert["status"], alert["resolution"]) == ("open", None)
        assert alert["findings"][0]["doubts"][-1] == "CHG-1 is rejected"
        assert "CHG-1 is rejected" in shown.stdout
        assert "1 alerts" in shown.stderr


def test_a_change_without_paper_is_a_finding_and_only_counted_among_alerts(run: Run, place: Path) -> None:
    rule = "title: None\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: okta, service: okta}\n"
    (place / "rule.yml").write_text(f"{rule}detection: {{selection: {{eventType: x}}, condition: selection}}\n")
    (place / "paper.yml").write_text(PAPER.replace("STATUS", "approved"))
    user = '"userIdentity": {"type": "IAMUser", "userName": "ada", "arn": "arn:aws:iam::111122223333:user/ada"}'
    call = '"eventSource": "account.amazonaws.com", "eventName": "PutAlternateContact"'
    (place / "log.jsonl").write_text(f'{{"eventID": "1", "eventTime": "2026-03-04T10:00:00Z", {user}, {call}}}\n')
    options = ["cloudtrail=log.jsonl", "--context", "paper.yml", "--rules", "rule.yml"]
    done = run("replay", *options, "--alerts", "alerts.jsonl", "--findings", "findings.jsonl")
    assert "0 alerts, 1 more that only hold changes without paper" in done.stderr
    assert lines(place / "alerts.jsonl") == []
    assert "change.handover" in [finding["detection"] for finding in lines(place / "findings.jsonl")]
