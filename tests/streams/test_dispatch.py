from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import replace

import pytest

from alerting.alert import Alert, to_line
from alerting.case import Case
from alerting.console import ConsoleNotifier
from alerting.live import Live
from alerting.notifier import Receipt
from alerting.route import Route, Routes, Routing
from alerting.route_time import DayTime, Quiet, Zone
from alerting.slack import SlackNotifier
from alerting.store import StoreUnavailable
from alerting.store_memory import MemoryAlertStore
from alerting.webhook import WebhookNotifier
from streams import dispatch
from streams.dispatch import Dispatch, notifier_of, tell
from streams.metrics import counted
from streams.settings import Settings
from tests.alerting.conftest import an_alert
from tests.alerting.slack_server import TOKEN, SlackServer


class Shown:
    """A notifier that keeps what it was given."""

    pace = edit_pace = post_pace = 0.0
    fallback = "here"

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.slow = asyncio.Event()
        self.slow.set()

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        return {}

    async def deliver(self, alert: Alert, channel: str, receipt: Receipt | None, case: Case | None = None) -> Receipt:
        await self.slow.wait()
        self.alerts.append(alert)
        return Receipt(alert.revision, alert.severity, "here", alert.id)

    def channel(self, alert: Alert) -> str:
        return "here"

    async def close(self) -> None:
        """Nothing to close."""


class Flaky(MemoryAlertStore):
    """Says no a few times."""

    def __init__(self, *troubles: Exception) -> None:
        super().__init__()
        self.troubles = list(troubles)

    async def put(self, alert: Alert) -> bool:
        if self.troubles:
            raise self.troubles.pop()
        return await super().put(alert)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(dispatch, "PAUSE_SECONDS", 0.0)


async def until(reached: object) -> None:
    for _ in range(500):
        if reached():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not reached")


async def test_an_alert_put_in_is_delivered_while_the_partition_is_ours() -> None:
    shown = Shown()
    desk = Dispatch(MemoryAlertStore(), shown)
    await desk.put(to_line(an_alert(1)))
    await asyncio.sleep(0.02)
    assert shown.alerts == []
    await desk.owns(True)
    await desk.owns(True)
    await until(lambda: shown.alerts)
    await desk.put(to_line(an_alert(2)))
    await until(lambda: len(shown.alerts) == 2)
    await desk.owns(False)
    await desk.put(to_line(an_alert(3)))
    await asyncio.sleep(0.02)
    assert shown.alerts == [an_alert(1), an_alert(2)]


async def test_the_delivery_under_way_ends_before_the_partition_is_given_up() -> None:
    shown = Shown()
    shown.slow.clear()
    desk = Dispatch(MemoryAlertStore(), shown)
    await desk.put(to_line(an_alert(1)))
    await desk.owns(True)
    await asyncio.sleep(0.02)
    giving_up = asyncio.create_task(desk.owns(False))
    await asyncio.sleep(0.02)
    assert not giving_up.done()
    shown.slow.set()
    await giving_up
    assert shown.alerts == [an_alert(1)]
    await desk.owns(False)


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b"[1]", b'{"zz":' + b"[" * 50_000 + b"]" * 50_000 + b"}"])
async def test_a_line_that_is_no_alert_is_told_of_and_left_out(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store, before = MemoryAlertStore(), counted("errors", "dispatch")
    await Dispatch(store, Shown()).put(line)
    assert await store.due(10, 0) == []
    assert counted("errors", "dispatch") == before + 1
    assert "is no alert" in caplog.text
    assert len(caplog.text) < 2_000


async def test_what_is_in_the_outbox_is_heeded_and_again_where_that_failed() -> None:
    store, seen = MemoryAlertStore(), list[bool]()

    async def heed(alert: Alert) -> None:
        seen.append(await store.get(alert.id) is not None)
        if len(seen) == 1:
            raise StoreUnavailable("away")

    await Dispatch(store, Shown(), heed=heed).put(to_line(an_alert()))
    assert seen == [True, True]


async def test_an_outbox_that_is_away_is_waited_for() -> None:
    store = Flaky(StoreUnavailable("no Redis"), RuntimeError("OOM command not allowed"))
    before = counted("errors", "dispatch")
    await Dispatch(store, Shown()).put(to_line(an_alert(1)))
    assert [entry.alert for entry in await store.due(10, 0)] == [an_alert(1)]
    assert counted("errors", "dispatch") == before + 2


async def test_a_delivery_loop_that_breaks_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run, tries = dispatch.dispatcher.run, []

    async def breaking(*args: object, **options: object) -> object:
        tries.append(None)
        if len(tries) < 3:
            raise RuntimeError("a bug")
        return await run(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(dispatch.dispatcher, "run", breaking)
    shown = Shown()
    desk = Dispatch(MemoryAlertStore(), shown)
    await desk.put(to_line(an_alert(1)))
    await desk.owns(True)
    await until(lambda: shown.alerts)
    await desk.owns(False)


async def test_what_runs_beside_begins_again_where_it_breaks_and_rests_where_it_ends() -> None:
    runs: list[str] = []

    async def broken(stop: asyncio.Event) -> None:
        runs.append("broken")
        if runs.count("broken") < 3:
            raise RuntimeError("a bug")
        await stop.wait()

    async def idle(stop: asyncio.Event) -> None:
        runs.append("idle")

    desk = Dispatch(MemoryAlertStore(), Shown(), None, broken, idle)
    await desk.owns(True)
    await until(lambda: runs.count("broken") == 3)
    await asyncio.sleep(0.02)
    await asyncio.wait_for(desk.owns(False), 5)
    assert runs.count("idle") == 1


def test_slack_where_it_is_set_up_and_the_console_otherwise() -> None:
    assert isinstance(notifier_of(Settings()), ConsoleNotifier)
    assert isinstance(notifier_of(Settings(slack_bot_token="xoxb-1")), ConsoleNotifier)
    assert isinstance(notifier_of(Settings(slack_bot_token="xoxb-1", slack_channel="C1")), SlackNotifier)


@pytest.mark.parametrize(
    ("ways", "buttons"),
    [
        ({}, False),
        ({"slack_app_token": "xapp-1"}, True),
        ({"slack_http": "127.0.0.1:1", "slack_signing_secret": "s"}, True),
    ],
)
async def test_buttons_are_shown_where_somebody_listens(ways: dict[str, str], buttons: bool) -> None:
    async with SlackServer() as slack:
        notifier = notifier_of(
            Settings(slack_bot_token=TOKEN, slack_channel="C1", slack_base_url=slack.url, **ways)  # type: ignore[arg-type]
        )
        assert isinstance(notifier, SlackNotifier)
        await notifier.deliver(an_alert(1), "C1", None)
        await notifier.close()
        assert ("actions" in [block["type"] for block in slack.posts[0]["blocks"]]) == buttons


def test_a_webhook_where_slack_is_not_set_up() -> None:
    hook = Settings(webhook_url="https://hooks.example.com/x", webhook_secret="0123456789abcdef")
    assert isinstance(notifier_of(hook), WebhookNotifier)
    both = replace(hook, slack_bot_token="xoxb-1", slack_channel="C1")
    assert isinstance(notifier_of(both), SlackNotifier)


async def test_an_alert_put_in_is_not_left_until_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch.dispatcher, "POLL", 30.0)
    shown = Shown()
    desk = Dispatch(MemoryAlertStore(), shown)
    await desk.owns(True)
    for number in (1, 2, 3):
        await asyncio.sleep(0.05)
        await desk.put(to_line(an_alert(number)))
        await until(lambda number=number: len(shown.alerts) == number)
    shown.slow.clear()
    await desk.put(to_line(an_alert(4)))
    await asyncio.sleep(0.05)
    shown.slow.set()
    await until(lambda: len(shown.alerts) == 4)
    await desk.owns(False)


async def test_changed_routes_count_for_what_waits_and_deeds_are_counted() -> None:
    quiet = Quiet(DayTime(0), DayTime(1439), "critical", Zone("UTC"))
    live = Live(Routing(Routes((Route("sec", quiet=quiet),))), told=tell)
    shown, sent = Shown(), counted("dispatched", "sent")
    desk = Dispatch(MemoryAlertStore(), shown, live)
    await desk.owns(True)
    await desk.put(to_line(an_alert(1)))
    await asyncio.sleep(0.1)
    assert shown.alerts == []
    live.routing = Routing()
    live.news.set()
    await until(lambda: shown.alerts)
    await desk.owns(False)
    assert counted("dispatched", "sent") == sent + 1


async def test_what_is_beside_ends_with_the_partition() -> None:
    ended: list[bool] = []

    async def beside(stop: asyncio.Event) -> None:
        await stop.wait()
        ended.append(True)

    desk = Dispatch(MemoryAlertStore(), Shown(), None, beside, beside)
    await desk.owns(True)
    await asyncio.sleep(0.02)
    assert ended == []
    await desk.owns(False)
    assert ended == [True, True]


def test_now_is_in_microseconds() -> None:
    assert abs(dispatch.now() / 1e6 - time.time()) < 5


async def test_alerts_that_paper_closed_are_counted_once_a_revision() -> None:
    before, service = counted("explained", "alerts"), Dispatch(MemoryAlertStore(), Shown())
    closed = to_line(an_alert(status="resolved", resolution="explained"))
    for line in (closed, closed, to_line(an_alert(2))):
        await service.put(line)
    assert counted("explained", "alerts") - before == 1


async def test_of_two_on_one_outbox_one_delivers_and_the_other_takes_over() -> None:
    store, first, second = MemoryAlertStore(), Shown(), Shown()
    desks = [Dispatch(store, first), Dispatch(store, second)]
    await desks[0].owns(True)
    await asyncio.sleep(0.02)
    await desks[1].owns(True)
    await desks[1].put(to_line(an_alert(1)))
    await until(lambda: first.alerts)
    await desks[0].owns(False)
    await desks[1].put(to_line(an_alert(2)))
    await until(lambda: second.alerts)
    await desks[1].owns(False)
    assert (first.alerts, second.alerts) == ([an_alert(1)], [an_alert(2)])
    assert dispatch.owner() != dispatch.owner()
