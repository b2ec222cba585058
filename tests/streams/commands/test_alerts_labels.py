"""Labels and offers as a user sees them: `alerts labels`, `alerts resolve --as false_positive`, verdicts on rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerting.alert import Alert
from audit.brief import EventBrief
from streams.labels import read
from tests.alerting.conftest import NOON, a_finding, an_alert
from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import RULE, cloudtrail, log
from tests.streams.commands.test_alerts import ask

RULE_ID = "11111111-1111-4111-8111-111111111111"


def made_by(number: int, actor: str = "ci", **changes: Any) -> Alert:
    """An alert of RULE, with its event in brief."""
    seen = EventBrief(NOON + number, f"e{number}", "cloudtrail", "CreateUser", "success", actor, "", "user bob", "")
    finding = a_finding(id=f"f{number}", detection=RULE_ID, title="Somebody created a user", event_ids=(seen.id,))
    given = {"findings": (finding,), "event_ids": (seen.id,), "evidence": (seen,), "principal": actor}
    return an_alert(number, **given | changes)


@pytest.fixture
def good(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with RULE in it, set in the environment."""
    folder = place / "rules"
    folder.mkdir()
    (folder / "rule.yml").write_text(RULE)
    monkeypatch.setenv("AUDITWATCH_RULES", str(folder))
    return folder


@pytest.fixture
def alerts(redis_url: str) -> list[Alert]:
    """Four alerts: three of a pipeline, one of somebody else."""
    made = [made_by(number) for number in (1, 2, 3)] + [made_by(4, "mallory")]
    for alert in made:
        ask(redis_url, lambda store, alert=alert: store.put(alert))  # type: ignore[misc]
    return made


def resolve(run: Run, alert: Alert, resolution: str, *words: object) -> Any:
    return run("alerts", "resolve", alert.id, "--as", resolution, "--by", "carol", *words)


class TestLabels:
    def test_none(self, run: Run, redis_url: str) -> None:
        done = run("alerts", "labels")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no labels\n")

    def test_every_verdict_is_a_row(self, run: Run, good: Path, alerts: list[Alert]) -> None:
        resolve(run, alerts[0], "false_positive")
        resolve(run, alerts[3], "true_positive")
        run("alerts", "ack", alerts[1].id)
        done = run("alerts", "labels")
        header, first, second = done.stdout.splitlines()
        assert header.split() == ["ALERT", "AT", "VERDICT", "BY", "HOW", "WHO", "TITLE"]
        assert first.split()[0::2][:2] == [alerts[0].id, "false_positive"]
        assert second.split()[2:6] == ["true_positive", "carol", "case", "mallory"]
        assert done.stderr == "2 labels: 1 false_positive, 1 true_positive\n"

    def test_json_and_files(self, run: Run, good: Path, place: Path, alerts: list[Alert]) -> None:
        resolve(run, alerts[0], "benign")
        (line,) = lines(run("alerts", "labels", "--json").stdout)
        assert (line["alert_id"], line["verdict"], line["detections"]) == (alerts[0].id, "benign", [RULE_ID])
        for name in ("labels.parquet", "labels.jsonl"):
            done = run("alerts", "labels", "--out", place / name)
            assert done.stderr == f"1 labels to {place / name}: 1 benign\n"
            (label,) = read(place / name)
            assert (label.alert_id, label.by, label.version) == (alerts[0].id, "carol", alerts[0].version)
        assert run("alerts", "labels", "--since", "2999-01-01").stderr == "no labels\n"
        assert not [file for file in place.iterdir() if file.name.startswith(".")]

    def test_a_file_that_cannot_be_written(self, run: Run, redis_url: str, place: Path) -> None:
        done = run("alerts", "labels", "--out", place / "nowhere" / "labels.parquet")
        assert done.exit_code == 2
        assert "cannot be written" in done.stderr

    def test_without_redis(self, run: Run) -> None:
        done = run("alerts", "labels")
        assert done.exit_code == 2
        assert "AUDITWATCH_REDIS" in done.stderr


class TestOffer:
    def test_a_false_positive_offers_its_exception_and_writes_nothing(
        self, run: Run, good: Path, alerts: list[Alert]
    ) -> None:
        resolve(run, alerts[3], "true_positive")
        done = resolve(run, alerts[0], "false_positive", "--note", "the pipeline does that")
        assert done.exit_code == 0, done.stderr
        assert "resolved as false_positive by carol" in done.stdout
        assert "# It would have excused 3 of the 4 alerts with this rule since 2026-01-31" in done.stderr
        assert "# 1 of the 4 were real: none of those is excused." in done.stderr
        assert "    auditwatch.actor.id: ci\n  owner: carol\n  reason: the pipeline does that\n" in done.stderr
        assert [file.name for file in good.iterdir()] == ["rule.yml"]

    def test_it_can_be_seen_again_and_written(self, run: Run, good: Path, alerts: list[Alert]) -> None:
        resolve(run, alerts[0], "false_positive")
        done = resolve(run, alerts[0], "false_positive", "--exception", good / "exception.yml")
        assert done.exit_code == 1, "somebody resolved it before"
        assert "It would have excused" in done.stderr
        assert run("rules", "check", good).exit_code == 0
        assert "auditwatch.actor.id: ci" in (good / "exception.yml").read_text()

    def test_other_resolutions_offer_nothing(self, run: Run, good: Path, alerts: list[Alert]) -> None:
        assert "excused" not in resolve(run, alerts[0], "benign").stderr
        done = resolve(run, alerts[1], "benign", "--exception", good / "exception.yml")
        assert (done.exit_code, "--as false_positive" in done.stderr) == (2, True)

    def test_nothing_to_write_is_said(self, run: Run, redis_url: str, good: Path) -> None:
        odd = made_by(1, findings=(a_finding(kind="anomaly", detection="anomaly"),))
        ask(redis_url, lambda store: store.put(odd))
        done = resolve(run, odd, "false_positive", "--exception", good / "exception.yml")
        assert (done.exit_code, "there is no exception to write" in done.stderr) == (2, True)
        assert "# Learnt as usual for alice" in done.stderr
        assert not (good / "exception.yml").exists()

    def test_an_unknown_alert(self, run: Run, redis_url: str, good: Path) -> None:
        done = resolve(run, msgspec.structs.replace(an_alert(), id="nobody"), "false_positive")
        assert (done.exit_code, "there is no alert" in done.stderr) == (2, True)


class TestRules:
    def test_list_shows_how_many_were_real(self, run: Run, good: Path, alerts: list[Alert]) -> None:
        assert "REAL" not in run("rules", "list").stdout
        resolve(run, alerts[0], "false_positive")
        resolve(run, alerts[3], "true_positive")
        header, row = run("rules", "list", good).stdout.splitlines()
        assert header.split()[-1] == "REAL"
        assert row.endswith("1 of 2")
        (line,) = lines(run("rules", "list", good, "--json").stdout)
        assert (line["true"], line["benign"], line["false"]) == (1, 0, 1)

    def test_health_calls_a_rule_wrong_that_is_mostly_so(
        self, run: Run, good: Path, place: Path, redis_url: str
    ) -> None:
        source = log(place / "log.jsonl", cloudtrail(1))
        for number in range(6):
            alert = made_by(number)
            ask(redis_url, lambda store, alert=alert: store.put(alert))  # type: ignore[misc]
            resolve(run, alert, "true_positive" if number == 0 else "benign" if number == 1 else "false_positive")
        (line,) = lines(run("rules", "health", source, "--rules", good, "--json").stdout)
        assert (line["state"], line["judged"], line["precision"]) == ("wrong", 6, 0.167)
        assert line["why"] == "of 6 alerts judged 1 were real, 4 false: narrow it (rules tune)"
        run("alerts", "labels", "--out", place / "labels.jsonl")
        ask(redis_url, lambda store: store._client.flushdb())
        shown = run("rules", "health", source, "--rules", good, "--verdicts", place / "labels.jsonl").stdout
        assert shown.splitlines()[1].startswith("wrong")
        assert "1 of 6" in shown

    def test_a_redis_that_is_away_is_told_of_and_costs_nothing_else(
        self, run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AUDITWATCH_REDIS", "redis://127.0.0.1:1/0")
        done = run("rules", "list", good)
        assert done.exit_code == 0
        assert "without verdicts: Redis cannot keep alerts now" in done.stderr
