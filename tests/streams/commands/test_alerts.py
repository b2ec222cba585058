from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from alerting.alert import Alert
from alerting.case import Case, transition
from alerting.notifier import Receipt
from alerting.store import Failure
from alerting.store_redis import RedisAlertStore
from streams.child import free_port
from streams.kafka import EVENTS
from streams.packet import Control, decode_events
from streams.principal import event_code
from streams.settings import Settings
from tests.alerting.conftest import HOUR, NOON, an_alert
from tests.streams.commands.conftest import Run, lines, received

Answer = TypeVar("Answer")


def ask(url: str, question: Callable[[RedisAlertStore], Awaitable[Answer]]) -> Answer:
    """Asks the store at an address."""

    async def drive() -> Answer:
        store = RedisAlertStore.connect(url)
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(drive())


@pytest.fixture
def alert(redis_url: str) -> Alert:
    """One alert in the outbox."""
    ask(redis_url, lambda store: store.put(an_alert(1)))
    return an_alert(1)


class TestList:
    def test_none(self, run: Run, redis_url: str) -> None:
        done = run("alerts", "list")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no alerts\n")

    def test_newest_first_with_where_they_stand(self, run: Run, redis_url: str, alert: Alert) -> None:
        ask(redis_url, lambda store: store.put(an_alert(2, title="\x1b[31mred\x07 alert")))
        run("alerts", "resolve", alert.id, "--as", "benign")
        rows = run("alerts", "list").stdout.splitlines()
        assert [row.split()[0] for row in rows] == ["ID", an_alert(2).id, alert.id]
        assert "resolved (benign)" in rows[2]
        assert rows[1].endswith("red alert")
        assert [row.split()[0] for row in run("alerts", "list", "--limit", 1).stdout.splitlines()] == [
            "ID",
            an_alert(2).id,
        ]

    def test_what_paper_closed_is_listed_as_closed(self, run: Run, redis_url: str, alert: Alert) -> None:
        closed = an_alert(1, status="resolved", resolution="explained", revision=alert.revision + 1)
        ask(redis_url, lambda store: store.put(closed))
        ask(redis_url, lambda store: store.receipt(closed.id, Receipt(closed.revision, "high", "", "explained")))
        assert "resolved (explained), explained" in run("alerts", "list").stdout

    def test_json_is_alert_lines_with_the_cases_status(self, run: Run, alert: Alert) -> None:
        run("alerts", "resolve", alert.id, "--as", "false_positive")
        [line] = lines(run("alerts", "list", "--json").stdout)
        assert (line["id"], line["status"], line["resolution"]) == (alert.id, "resolved", "false_positive")
        assert line["findings"][0]["title"] == "Root login"


class TestShow:
    def test_everything_about_one(self, run: Run, redis_url: str, alert: Alert) -> None:
        shown = run("alerts", "show", alert.id).stdout
        assert "Root login" in shown
        assert "root was used from a new country" in shown
        assert "case       open\n" in shown
        assert "delivery   waiting for the dispatcher\n" in shown
        ask(redis_url, lambda store: store.receipt(alert.id, Receipt(1, "high", "C1", "1.2", NOON)))
        assert "delivery   revision 1 to C1 at 2026-01-31T12:00:00.000Z\n" in run("alerts", "show", alert.id).stdout

    def test_a_delivery_that_fails_says_why(self, run: Run, redis_url: str, alert: Alert) -> None:
        ask(redis_url, lambda store: store.failed(alert.id, 1, Failure("not_in_channel", NOON)))
        assert (
            "failed 1 times, next try 2026-01-31T12:00:00.000Z: not_in_channel"
            in run("alerts", "show", alert.id).stdout
        )

    def test_json(self, run: Run, alert: Alert) -> None:
        [line] = lines(run("alerts", "show", alert.id, "--json").stdout)
        assert (line["id"], line["status"]) == (alert.id, "open")

    def test_one_that_is_not_there(self, run: Run, redis_url: str) -> None:
        done = run("alerts", "show", "nothing")
        assert done.exit_code == 2
        assert "there is no alert 'nothing'" in done.stderr


class TestActions:
    def test_ack_then_resolve(self, run: Run, redis_url: str, alert: Alert) -> None:
        assert run("alerts", "ack", alert.id, "--by", "alice").stdout.startswith("acknowledged by alice at 20")
        done = run("alerts", "resolve", alert.id, "--as", "true_positive", "--by", "bob", "--note", "key revoked")
        assert done.exit_code == 0
        case = ask(redis_url, lambda store: store.case(alert.id))
        assert case
        assert (case.status, case.resolution, case.version) == ("resolved", "true_positive", 2)
        assert (case.actor, case.note) == ("bob", "key revoked")
        assert "resolved as true_positive by bob at 20" in run("alerts", "show", alert.id).stdout

    @pytest.mark.parametrize("resolution", ["true_positive", "benign", "false_positive"])
    def test_each_resolution(self, run: Run, redis_url: str, alert: Alert, resolution: str) -> None:
        assert run("alerts", "resolve", alert.id, "--as", resolution).exit_code == 0
        case = ask(redis_url, lambda store: store.case(alert.id))
        assert case
        assert case.resolution == resolution
        assert case.actor

    def test_too_late_says_who_did_what_when(self, run: Run, redis_url: str, alert: Alert) -> None:
        done = transition(Case(alert.id), "benign", "carol", NOON)
        assert isinstance(done, Case)
        ask(redis_url, lambda store: store.save_case(done))
        for words in (["ack", alert.id], ["resolve", alert.id, "--as", "true_positive"]):
            late = run("alerts", *words)
            assert late.exit_code == 1
            assert "already resolved by carol at 2026-01-31T12:00:00.000Z" in late.stderr
        assert ask(redis_url, lambda store: store.case(alert.id)) == done

    def test_whoever_comes_between_is_read_and_not_overwritten(
        self, run: Run, redis_url: str, alert: Alert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save = RedisAlertStore.save_case

        async def slow(store: RedisAlertStore, case: Case) -> bool:
            monkeypatch.setattr(RedisAlertStore, "save_case", save)
            between = transition(Case(alert.id), "ack", "dave", NOON)
            assert isinstance(between, Case)
            assert await save(store, between)
            return await save(store, case)

        monkeypatch.setattr(RedisAlertStore, "save_case", slow)
        done = run("alerts", "ack", alert.id, "--by", "erin")
        assert done.exit_code == 1
        assert "already acknowledged by dave" in done.stderr

    def test_snooze_and_reopen(self, run: Run, redis_url: str, alert: Alert) -> None:
        done = run("alerts", "snooze", alert.id, "--hours", 12, "--by", "alice", "--note", "until Monday")
        assert done.stdout.startswith("acknowledged, snoozed until 20")
        entries = ask(redis_url, lambda store: store.due(9, 0))
        assert sorted(entry.alert.id.split(":")[0] for entry in entries) == sorted([alert.id, "snooze"])
        case = ask(redis_url, lambda store: store.case(alert.id))
        assert case
        assert case.snoozed_until - case.at == 12 * HOUR
        assert run("alerts", "reopen", alert.id).exit_code == 1
        run("alerts", "resolve", alert.id, "--as", "benign", "--by", "bob")
        assert run("alerts", "reopen", alert.id, "--by", "carol").stdout.startswith("reopened by carol at 20")
        shown = run("alerts", "show", alert.id).stdout
        told = [
            words in shown for words in ("alice snoozed it until 20", ": until Monday", "bob resolved it as benign")
        ]
        assert all(told)
        assert run("alerts", "snooze", alert.id, "--hours", 0).exit_code == 2

    def test_an_alert_that_is_not_there(self, run: Run, redis_url: str) -> None:
        assert run("alerts", "ack", "nothing").exit_code == 2

    def test_an_unknown_resolution(self, run: Run) -> None:
        assert run("alerts", "resolve", "x", "--as", "boring").exit_code == 2


def test_without_redis_it_says_what_to_set(run: Run) -> None:
    done = run("alerts", "list")
    assert done.exit_code == 2
    assert "set AUDITWATCH_REDIS, or run `auditwatch worker` in this folder" in done.stderr


def test_a_redis_that_is_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITWATCH_REDIS", "redis://127.0.0.1:1/0")
    done = run("alerts", "list")
    assert done.exit_code == 2
    assert "check AUDITWATCH_REDIS" in done.stderr


def test_nothing_is_written_here(run: Run, alert: Alert, place: Path) -> None:
    run("alerts", "ack", alert.id)
    assert list(place.iterdir()) == []


class TestVerdicts:
    """What a resolution tells the baselines."""

    def controls(self, settings: Settings) -> list[Control]:
        payloads = [payload for _, payload in received(settings, EVENTS, 2)]
        return [control for payload in payloads for control in decode_events(payload).controls]

    @pytest.mark.parametrize(
        ("resolution", "kind"), [("benign", "learn"), ("false_positive", "learn"), ("true_positive", "drop")]
    )
    def test_it_goes_where_the_events_of_its_principal_go(
        self, run: Run, alert: Alert, own_broker: Settings, resolution: str, kind: str
    ) -> None:
        done = run("alerts", "resolve", alert.id, "--as", resolution, "--by", "bob", "--note", "asked her")
        assert f"what is held of it will be {'learnt' if kind == 'learn' else 'dropped'}: alice" in done.stderr
        [control] = self.controls(own_broker)
        assert (control.kind, control.principal, control.by, control.why) == (kind, "alice", "bob", "asked her")
        assert control.events == (event_code("e1"), event_code("e2"))

    def test_said_again_it_is_sent_again_and_is_the_same(self, run: Run, alert: Alert, own_broker: Settings) -> None:
        run("alerts", "resolve", alert.id, "--as", "benign")
        assert run("alerts", "resolve", alert.id, "--as", "benign").exit_code == 1
        first, second = self.controls(own_broker)
        assert first == second

    def test_nothing_is_sent_by_who_comes_too_late_or_only_looks(
        self, run: Run, alert: Alert, own_broker: Settings
    ) -> None:
        run("alerts", "ack", alert.id)
        run("alerts", "resolve", alert.id, "--as", "benign")
        assert run("alerts", "resolve", alert.id, "--as", "true_positive").exit_code == 1
        assert [control.kind for control in self.controls(own_broker)] == ["learn"]

    def test_without_a_broker_the_case_is_resolved_and_age_decides(self, run: Run, alert: Alert) -> None:
        done = run("alerts", "resolve", alert.id, "--as", "benign")
        assert done.exit_code == 0
        assert "the baselines were not told, so age decides: broker: not configured" in done.stderr

    def test_a_broker_out_of_reach_is_said(self, run: Run, alert: Alert, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDITWATCH_BROKER", f"kafka://127.0.0.1:{free_port()}")
        done = run("alerts", "resolve", alert.id, "--as", "benign")
        assert done.exit_code == 0
        assert "to tell them, resolve it again" in done.stderr
