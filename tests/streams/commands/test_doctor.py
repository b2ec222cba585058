from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from streams.commands import doctor
from streams.embedded import RedisServer
from streams.kafka import ALERTS, EVENTS, ensure_topics
from streams.settings import Settings
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.streams.commands.conftest import Run, lines, start
from tests.streams.commands.rules.conftest import RULE

ORDER = ["python", "settings", "context", "rules", "model", "broker", "redis", "trail", "slack"]


def examined(run: Run, *words: object) -> dict[str, tuple[str, str]]:
    """Each check's (state, text); the exit code must fit."""
    done = run("doctor", "--json", *words)
    checks = {line["what"]: (line["state"], line["text"]) for line in lines(done.stdout)}
    assert done.exit_code == ("fail" in {state for state, _ in checks.values()})
    return checks


def test_one_line_each_and_nothing_is_written(run: Run, place: Path) -> None:
    done = run("doctor")
    assert done.exit_code == 0
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert [row[1] for row in rows] == ORDER
    assert {row[1]: row[0] for row in rows} == {
        "python": "ok",
        "settings": "ok",
        "context": "warn",
        "rules": "ok",
        "model": "ok",
        "broker": "warn",
        "redis": "warn",
        "trail": "ok",
        "slack": "warn",
    }
    assert list(place.iterdir()) == []


def test_wrong_settings_end_it(run: Run, place: Path) -> None:
    (place / "auditwatch.toml").write_text("partitions = 'many'\n")
    checks = examined(run)
    assert list(checks) == ["python", "settings"]
    assert checks["settings"][0] == "fail"
    assert "auditwatch.toml:1: expected a whole number" in checks["settings"][1]


def test_settings_of_a_file(run: Run, place: Path) -> None:
    (place / "mine.toml").write_text('trail = "here"\n')
    (place / "here" / "day=2026-01-01").mkdir(parents=True)
    checks = examined(run, "--config", "mine.toml")
    assert checks["settings"] == ("ok", "mine.toml and the environment")
    assert checks["trail"] == ("ok", "here: 1 days")


def test_another_python(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 99),))
    state, text = examined(run)["python"]
    assert state == "fail"
    assert text.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}")


class TestContext:
    def test_the_simulated_one(self, run: Run, organisation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_CONTEXT", str(organisation / "context.yml"))
        state, text = examined(run)["context"]
        assert state == "ok"
        assert f"{organisation / 'context.yml'}: 22 users, " in text

    def test_a_wrong_one(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "context.yml").write_text("users:\n  - {id: a, nmae: x}\n  - {id: b, nmae: x}\n")
        monkeypatch.setenv("AUDITWATCH_CONTEXT", "context.yml")
        state, text = examined(run)["context"]
        assert state == "fail"
        assert text.startswith("context.yml:2: ")
        assert text.endswith("(and 1 more lines)")


class TestRulesAndModel:
    def test_a_test_that_fails(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "rule.yml").write_text(RULE.replace("{eventName: DeleteUser}", "{eventName: CreateUser}"))
        monkeypatch.setenv("AUDITWATCH_RULES", "rule.yml")
        state, text = examined(run)["rules"]
        assert state == "fail"
        assert text.startswith("1 of 3 tests fail: rule.yml:16: ")

    def test_rules_that_do_not_load(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "rule.yml").write_text("title: [")
        monkeypatch.setenv("AUDITWATCH_RULES", "rule.yml")
        assert examined(run)["rules"][1].startswith("rule.yml:2:1: not YAML")

    def test_a_registry_without_a_model(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_MODELS", "models")
        state, text = examined(run)["model"]
        assert state == "fail"
        assert "no model is promoted" in text


class TestBroker:
    def test_no_topics_yet_and_none_are_made(self, run: Run, own_broker: Settings) -> None:
        for _ in range(2):
            assert examined(run)["broker"] == (
                "ok",
                f"{own_broker.broker}: no topics yet, the worker creates them at its start",
            )

    def test_topics_with_their_partitions(self, run: Run, own_broker: Settings) -> None:
        asyncio.run(ensure_topics(own_broker, [EVENTS, ALERTS]))
        state, text = examined(run)["broker"]
        assert state == "warn"
        assert f"{own_broker.broker}: partitions audit.events 8, audit.alerts 1; not there: audit.raw." in text

    def test_away(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_BROKER", "kafka://127.0.0.1:1")
        state, text = examined(run)["broker"]
        assert state == "fail"
        assert "check AUDITWATCH_BROKER" in text

    def test_silent(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        async def silence(*_: object) -> dict[str, str]:
            await asyncio.sleep(60)
            return {}

        monkeypatch.setattr(doctor, "incarnations", silence)
        monkeypatch.setattr(doctor, "SECONDS", 0.05)
        monkeypatch.setenv("AUDITWATCH_BROKER", "kafka://127.0.0.1:1")
        state, text = examined(run)["broker"]
        assert state == "fail"
        assert "no answer within" in text

    def test_none_and_nothing_to_embed(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor, "find_spec", lambda name: None)
        monkeypatch.setattr(shutil, "which", lambda name: None)
        checks = examined(run)
        assert checks["broker"][0] == checks["redis"][0] == "fail"
        assert "pip install 'auditwatch[embedded]'" in checks["redis"][1]


class TestRedis:
    def test_as_it_should_be(self, run: Run, redis_url: str) -> None:
        state, text = examined(run)["redis"]
        assert state == "ok"
        assert "AOF on, noeviction" in text

    def test_one_that_forgets(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with RedisServer.start(tmp_path / "redis", appendonly=False) as server:
            monkeypatch.setenv("AUDITWATCH_REDIS", server.url)
            state, text = examined(run)["redis"]
        assert state == "warn"
        assert "set `appendonly yes`" in text

    def test_away_and_its_password_is_not_shown(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_REDIS", "redis://me:hunter22222@127.0.0.1:1/0")
        state, text = examined(run)["redis"]
        assert state == "fail"
        assert text.startswith("redis://127.0.0.1:1: ")
        assert "check AUDITWATCH_REDIS" in text
        assert "hunter22222" not in text

    def test_complaints(self) -> None:
        told = list(doctor._complaints({"aof_enabled": 1, "maxmemory_policy": "allkeys-lru", "role": "slave"}))
        assert [told[0].partition(" and")[0], told[1].partition(":")[0]] == [
            "maxmemory-policy is allkeys-lru",
            "this is a replica",
        ]


class TestTrail:
    def test_a_file_in_its_place(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "trail").write_text("")
        monkeypatch.setenv("AUDITWATCH_TRAIL", "trail")
        assert examined(run)["trail"][0] == "fail"

    def test_a_folder_that_cannot_be_written(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "trail").mkdir()
        monkeypatch.setenv("AUDITWATCH_TRAIL", "trail")
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        state, text = examined(run)["trail"]
        assert state == "fail"
        assert "trail cannot be written" in text


class TestSlack:
    def test_half_of_it(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
        state, text = examined(run)["slack"]
        assert state == "fail"
        assert "AUDITWATCH_SLACK_CHANNEL is not set" in text
        assert TOKEN not in text

    def test_a_token_of_another_kind(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxp-1234567890")
        monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "C1")
        state, text = examined(run)["slack"]
        assert state == "fail"
        assert "xoxb-" in text
        assert "1234567890" not in text

    def test_nobody_is_asked_unless_told_to(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
        monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "C1")
        monkeypatch.setenv("AUDITWATCH_SLACK_BASE_URL", "http://127.0.0.1:1/api/")
        assert examined(run)["slack"][0] == "ok"
        assert examined(run, "--slack")["slack"][0] == "fail"

    @pytest.mark.parametrize(
        ("token", "state", "said"), [(TOKEN, "ok", "auditwatch in Example"), ("xoxb-no", "fail", "invalid_auth")]
    )
    def test_slack_is_asked(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, token: str, state: str, said: str
    ) -> None:
        async def drive() -> str:
            async with SlackServer() as slack:
                monkeypatch.setenv("SLACK_BOT_TOKEN", token)
                monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "C1")
                monkeypatch.setenv("AUDITWATCH_SLACK_BASE_URL", slack.url)
                return await asyncio.to_thread(examine, place)

        line = {each["what"]: each for each in lines(asyncio.run(drive()))}["slack"]
        assert line["state"] == state
        assert said in line["text"]
        assert token not in line["text"]


def examine(place: Path) -> str:
    """The doctor as a process of its own."""
    with start(place, "doctor", "--json", "--slack", stdout=-1, stderr=-1) as process:
        return process.communicate(timeout=60)[0]
