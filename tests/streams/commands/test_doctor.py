from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from alerting.ledger import Decision
from alerting.slack_app import SCOPES
from streams.commands import doctor
from streams.dispatch import now
from streams.embedded import RedisServer
from streams.kafka import ALERTS, EVENTS, ensure_topics
from streams.ledger import note
from streams.settings import Settings
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.webhook_server import SECRET, WebhookServer
from tests.streams.commands.conftest import Run, lines
from tests.streams.commands.rules.conftest import RULE

ORDER = ["python", "settings", "context", "rules", "model", "routes", "broker", "redis", "trail", "ledger", "slack"]

Ask = Callable[..., dict[str, tuple[str, str]]]


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
        "routes": "ok",
        "broker": "warn",
        "redis": "warn",
        "trail": "ok",
        "ledger": "warn",
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

    def test_the_channel_may_be_that_of_the_routes(
        self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (place / "routes.yml").write_text("default: '#leads'\n")
        monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
        monkeypatch.setenv("AUDITWATCH_ROUTES", "routes.yml")
        assert examined(run)["slack"][1].startswith("alerts go to #leads")

    def test_buttons_need_a_way_back(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
        monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "C1")
        state, text = examined(run)["clicks"]
        assert (state, text[:24]) == ("warn", "messages have no buttons")
        monkeypatch.setenv("SLACK_APP_TOKEN", "xoxb-wrong")
        assert examined(run)["clicks"] == ("fail", "SLACK_APP_TOKEN is no app-level token: it begins with xapp-")
        monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
        monkeypatch.setenv("SLACK_SIGNING_SECRET", "s")
        monkeypatch.setenv("AUDITWATCH_SLACK_HTTP", "127.0.0.1:3000")
        assert examined(run)["clicks"] == ("ok", "over Socket Mode and signed, over HTTP at 127.0.0.1:3000")


APP_TOKEN = "xapp-a-token-for-tests"


class Workspace(SlackServer):
    """A Slack that also answers questions about the app."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(channels={"C1": "C1", "#security": "C1", "#leads": "C2", "C2": "C2"})
        self.scopes: frozenset[str] = changes.get("scopes", frozenset(SCOPES))
        self.invited: list[str] = changes.get("invited", ["security", "leads"])

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["method"] == "apps.connections.open":
            known = request.headers["Authorization"] == f"Bearer {APP_TOKEN}"
            return web.json_response(
                {"ok": True, "url": "wss://x"} if known else {"ok": False, "error": "invalid_auth"}
            )
        answer = await super()._handle(request)
        answer.headers["X-OAuth-Scopes"] = ",".join(sorted(self.scopes))
        return answer

    def _accept(self, method: str, body: dict[str, Any], authorization: str) -> dict[str, Any]:
        if method != "users.conversations" or authorization != f"Bearer {TOKEN}":
            return super()._accept(method, body, authorization)
        at = int(body.get("cursor", 0))
        more = str(at + 1) if at + 1 < len(self.invited) else ""
        page = [{"id": self.channels[f"#{name}"], "name": name} for name in self.invited[at : at + 1]]
        return {"ok": True, "channels": page, "response_metadata": {"next_cursor": more}}


class TestSlackIsAsked:
    """A Slack it may ask; rules and model are another test's."""

    @pytest.fixture
    def ask(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> Ask:
        def ask(slack: Workspace, *words: str) -> dict[str, tuple[str, str]]:
            async def drive() -> str:
                async with slack:
                    monkeypatch.setenv("AUDITWATCH_SLACK_BASE_URL", slack.url)
                    done = await asyncio.to_thread(run, "doctor", "--json", *words)
                    return str(done.stdout)

            told = asyncio.run(drive())
            assert TOKEN not in told
            assert APP_TOKEN not in told
            return {line["what"]: (line["state"], line["text"]) for line in lines(told)}

        for name in ("_rules", "_model"):
            monkeypatch.setattr(doctor, name, lambda _: ("ok", ""))
        monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
        monkeypatch.setenv("SLACK_APP_TOKEN", APP_TOKEN)
        monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "#security")
        return ask

    def test_all_is_well_and_nothing_is_posted(self, ask: Ask) -> None:
        slack = Workspace()
        told = ask(slack, "--slack")
        assert told["slack"] == ("ok", "auditwatch in Example; alerts go to #security")
        assert told["clicks"] == ("ok", "over Socket Mode")
        assert told["scopes"] == ("ok", f"all {len(SCOPES)} that are used")
        assert told["channels"] == ("ok", "the app is in #security")
        assert "test" not in told
        assert slack.posts == []

    def test_a_test_alert_that_says_so(self, ask: Ask) -> None:
        slack = Workspace()
        state, text = ask(slack, "--send-test")["test"]
        assert (state, text[:34]) == ("ok", "a test alert stands in #security (")
        (message,) = slack.posts
        assert message["channel"] in ("#security", "C1")
        assert "TEST: auditwatch can post here" in message["text"]
        assert [block for block in message["blocks"] if block["type"] == "actions"] == [], "no case stands behind it"

    def test_missing_scopes(self, ask: Ask) -> None:
        told = ask(Workspace(scopes=frozenset(SCOPES) - {"files:write"}), "--slack")["scopes"]
        assert told[0] == "warn"
        assert told[1].startswith("missing: files:write (put the whole evidence of an alert into its thread). Add them")
        assert ask(Workspace(scopes=frozenset(SCOPES) - {"chat:write"}), "--slack")["scopes"][0] == "fail"
        assert ask(Workspace(scopes=frozenset()), "--slack")["scopes"][0] == "warn"

    def test_every_channel_of_the_routes(self, ask: Ask, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "routes.yml").write_text(
            "routes:\n  - {channel: '#leads', escalate: [{after: 5m, to: U123}, {after: 9m, to: '#none'}]}\n"
        )
        monkeypatch.setenv("AUDITWATCH_ROUTES", "routes.yml")
        state, text = ask(Workspace(), "--slack")["channels"]
        assert (state, text) == ("fail", "not in #none: `/invite @auditwatch` there, or mend the name")

    def test_a_token_slack_does_not_know(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-no")
        told = ask(Workspace(), "--send-test")
        assert told["slack"] == (
            "fail", "SLACK_BOT_TOKEN: auth.test: Slack refused: invalid_auth; set the token to a valid one"
        )  # fmt: skip
        assert "test" not in told

    def test_an_app_token_slack_does_not_know(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-no")
        state, text = ask(Workspace(), "--slack")["clicks"]
        assert state == "fail"
        assert "SLACK_APP_TOKEN: apps.connections.open: Slack refused: invalid_auth" in text

    def test_an_outage(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
        monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "C1")
        monkeypatch.setenv("AUDITWATCH_SLACK_BASE_URL", "http://127.0.0.1:1/api/")
        told = examined(run, "--send-test")
        assert told["slack"][0] == "fail"
        assert "Slack cannot be reached" in told["slack"][1]
        assert "test" not in told


class TestWebhook:
    @pytest.fixture
    def ask(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, tuple[str, str]]]:
        def ask(receiver: WebhookServer, *words: str) -> dict[str, tuple[str, str]]:
            async def drive() -> str:
                async with receiver:
                    monkeypatch.setenv("AUDITWATCH_WEBHOOK_URL", receiver.url)
                    return str((await asyncio.to_thread(run, "doctor", "--json", *words)).stdout)

            told = asyncio.run(drive())
            assert SECRET not in told
            assert "secret-path" not in told
            return {line["what"]: (line["state"], line["text"]) for line in lines(told)}

        for name in ("_rules", "_model"):
            monkeypatch.setattr(doctor, name, lambda _: ("ok", ""))
        monkeypatch.setenv("AUDITWATCH_WEBHOOK_SECRET", SECRET)
        return ask

    def test_alerts_go_there_and_nothing_is_posted(self, ask: Ask) -> None:
        receiver = WebhookServer(now=now)
        told = ask(receiver)
        assert told["slack"] == ("ok", "not set up: alerts go to the webhook")
        assert told["webhook"] == ("ok", "alerts go to 127.0.0.1, signed; --send-test posts one")
        assert ("test" in told, receiver.calls) == (False, 0)

    def test_a_test_alert_is_posted_signed(self, ask: Ask) -> None:
        receiver = WebhookServer(now=now)
        state, text = ask(receiver, "--send-test")["test"]
        ((key, body),) = receiver.taken.items()
        assert (state, text) == ("ok", f"the webhook took a test alert (Idempotency-Key {key})")
        assert (body["kind"], body["alert"]["title"]) == ("alert", "TEST: auditwatch can post here")

    def test_a_secret_the_receiver_does_not_share(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_WEBHOOK_SECRET", "another-secret-for-tests")
        state, text = ask(WebhookServer(now=now), "--send-test")["test"]
        assert state == "fail"
        assert text.startswith("the webhook: 127.0.0.1 answered 401")
        assert "check AUDITWATCH_WEBHOOK_SECRET" in text

    def test_slack_goes_first(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
        assert ask(WebhookServer(now=now))["slack"] == (
            "fail", "AUDITWATCH_SLACK_CHANNEL is not set: without both, alerts go to the webhook"
        )  # fmt: skip
        monkeypatch.setenv("AUDITWATCH_SLACK_CHANNEL", "C1")
        monkeypatch.setenv("AUDITWATCH_SLACK_BASE_URL", "http://127.0.0.1:1/api/")
        receiver = WebhookServer(now=now)
        told = ask(receiver, "--send-test")
        assert told["webhook"] == ("warn", "not used: alerts go to Slack, which is set up too")
        assert ("test" in told, receiver.calls) == (False, 0)


class TestRoutes:
    def test_a_wrong_one(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (place / "routes.yml").write_text("defalt: '#x'\n")
        monkeypatch.setenv("AUDITWATCH_ROUTES", "routes.yml")
        state, text = examined(run)["routes"]
        assert state == "fail"
        assert text.startswith("routes.yml:1:1: ")

    def test_a_mute_that_ended(self, run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mute = "{when: {detections: [x]}, owner: ada, reason: past, expires: 2026-01-01}"
        (place / "routes.yml").write_text(f"routes: []\nmutes: [{mute}]\n")
        monkeypatch.setenv("AUDITWATCH_ROUTES", "routes.yml")
        state, text = examined(run)["routes"]
        assert state == "warn"
        assert "routes.yml: 0 routes, 1 mutes; ended: " in text


class TestLedger:
    KEY = "0123456789abcdef0123456789abcdef"

    def test_a_key(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "set AUDITWATCH_LEDGER_KEY" in examined(run)["ledger"][1]
        monkeypatch.setenv("AUDITWATCH_LEDGER_KEY", self.KEY)
        assert examined(run)["ledger"] == ("ok", "a key is set")

    def test_the_key_of_the_ledger_there_is(self, run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        note(Settings(redis=redis_url, ledger_key=self.KEY), Decision("models", "promote", 1, "ada"))
        monkeypatch.setenv("AUDITWATCH_LEDGER_KEY", self.KEY)
        assert examined(run)["ledger"] == ("ok", "a key is set, 1 records; anchors in .auditwatch/ledger")
        monkeypatch.setenv("AUDITWATCH_LEDGER_KEY", "f" * 32)
        state, text = examined(run)["ledger"]
        assert state == "fail"
        assert "is not the key" in text
