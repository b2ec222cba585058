from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

import pytest

from alerting.alert import Alert, to_line
from alerting.console import ConsoleNotifier
from alerting.notifier import Receipt
from alerting.slack import SlackNotifier
from alerting.store import MemoryAlertStore, StoreUnavailable
from streams import dispatch
from streams.dispatch import Dispatch, notifier_of
from streams.metrics import counted
from streams.settings import Settings
from tests.alerting.conftest import an_alert


class Shown:
    """A notifier that keeps what it was given."""

    pace = 0.0
    fallback = "here"

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.slow = asyncio.Event()
        self.slow.set()

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        return {}

    async def deliver(self, alert: Alert, channel: str, receipt: Receipt | None) -> Receipt:
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


def test_slack_where_it_is_set_up_and_the_console_otherwise() -> None:
    assert isinstance(notifier_of(Settings()), ConsoleNotifier)
    assert isinstance(notifier_of(Settings(slack_bot_token="xoxb-1")), ConsoleNotifier)
    assert isinstance(notifier_of(Settings(slack_bot_token="xoxb-1", slack_channel="C1")), SlackNotifier)


def test_now_is_in_microseconds() -> None:
    assert abs(dispatch.now() / 1e6 - time.time()) < 5
