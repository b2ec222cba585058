"""Deliveries with an open end: killed on the way, broken after sending, and a Slack at its worst."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection
from functools import partial
from typing import Any

import pytest

from alerting.desk import SETTLE
from alerting.dispatcher import run
from alerting.doubts import unanswered
from alerting.live import Delivered
from alerting.notifier import Begun, Permanent, Receipt, Retry
from alerting.slack import CLOCKS_APART, SlackNotifier
from alerting.store import AlertStore, Entries, Failure
from alerting.store_memory import MemoryAlertStore
from tests.alerting.conftest import HOUR, NOON, SECOND, Clock, an_alert
from tests.alerting.scripted import Scripted, Seen, drained, filled
from tests.alerting.slack_server import TOKEN, SlackServer


class Killed(BaseException):
    """As good as SIGKILL: nothing after it runs."""


class Fragile(MemoryAlertStore):
    """A store in front of which the process can be killed."""

    def __init__(self) -> None:
        super().__init__()
        self.kills: deque[str] = deque()

    def _perhaps(self, call: str) -> None:
        if self.kills and self.kills[0] == call:
            self.kills.popleft()
            raise Killed

    async def due(self, limit: int, now: int) -> Entries:
        self._perhaps("due")
        return await super().due(limit, now)

    async def receipt(self, alert_id: str, receipt: Receipt) -> None:
        self._perhaps("receipt")
        await super().receipt(alert_id, receipt)
        self._perhaps("after receipt")

    async def begin(self, alert_id: str, begun: Begun, before: Begun | None) -> bool:
        self._perhaps("begin")
        began = await super().begin(alert_id, begun, before)
        self._perhaps("after begin")
        return began

    async def failed(self, alert_id: str, revision: int, failure: Failure) -> None:
        self._perhaps("failed")
        await super().failed(alert_id, revision, failure)


async def test_killed_anywhere_nothing_is_lost_and_nothing_doubled(clock: Clock) -> None:
    store = Fragile()
    await filled(store, *(an_alert(n) for n in range(20)))
    notifier = Scripted(clock, None, None, Seen(), None, Retry("x"), Retry("x", unsure=True))
    store.kills.extend(
        ["due", "receipt", "after receipt", "failed", "begin", "receipt", "after begin", "failed", "due"]
    )
    kills = len(store.kills)
    for _ in range(kills):
        with pytest.raises(Killed):
            await drained(store, notifier, clock)
    await drained(store, notifier, clock)
    shown = Counter(alert_id for alert_id, _, _ in notifier.shown)
    assert shown == Counter({an_alert(n).id: 1 for n in range(20)})
    assert await store.due(10, clock()) == []


async def test_an_open_end_is_looked_into_once_for_all_in_doubt(clock: Clock) -> None:
    store = await filled(MemoryAlertStore(), *(an_alert(n) for n in range(9)))
    notifier = Scripted(clock, *[Seen()] * 4, *[Retry("down", unsure=True)] * 3)
    done = await drained(store, notifier, clock)
    assert Counter(alert_id for alert_id, _, _ in notifier.shown) == Counter({an_alert(n).id: 1 for n in range(9)})
    assert done == Delivered(9, 0)
    assert notifier.looks <= 7


async def test_what_is_on_its_way_gets_time_to_arrive(clock: Clock) -> None:
    class Late(Scripted):
        async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
            assert self.clock() >= since + SETTLE
            return await super().find(alert_ids, channel, since)

    store = await filled(MemoryAlertStore(), an_alert(1))
    notifier = Late(clock, Retry("down", unsure=True), Seen())
    assert await drained(store, notifier, clock) == Delivered(1, 0)
    assert (len(notifier.shown), notifier.looks) == (1, 2)


async def test_a_look_that_fails_leaves_the_doubt(clock: Clock) -> None:
    class Hazy(Scripted):
        async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
            found = await super().find(alert_ids, channel, since)
            if self.looks < 3:
                raise Retry("internal_error")
            return found

    store = await filled(MemoryAlertStore(), an_alert(1))
    notifier = Hazy(clock, Seen())
    assert await drained(store, notifier, clock) == Delivered(1, 0)
    assert (len(notifier.shown), notifier.looks) == (1, 3)


async def test_where_nobody_can_look_it_is_said_and_delivered(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    class Blind(Scripted):
        async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
            raise Permanent("missing_scope: give the app channels:history")

    store = await filled(MemoryAlertStore(), an_alert(1))
    assert await drained(store, Blind(clock, Retry("down", unsure=True)), clock) == Delivered(1, 0)
    assert "may be shown twice" in caplog.text
    assert "channels:history" in caplog.text


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as running:
        yield running


async def test_slack_at_its_worst_loses_nothing(store: AlertStore, slack: SlackServer, clock: Clock) -> None:
    """Real HTTP, real slack-sdk: answers lost after acceptance are found out about."""
    alerts = [an_alert(n) for n in range(12)]
    await filled(store, *alerts)
    slack.plan.extend(
        ["429:3", "ok", "500", "reset", "reset_done", "ok", "502", "invalid_blocks", "ok", "500_done", "garbage", "429"]
    )
    notifier = SlackNotifier(TOKEN, "C1", slack.url)
    assert await drained(store, notifier, clock) == Delivered(12, 0)
    await notifier.close()
    counts = Counter(post["metadata"]["event_payload"]["alert_id"] for post in slack.posts)
    assert counts == Counter({alert.id: 1 for alert in alerts})
    assert slack.times("conversations.history") >= 1
    await _edited(store, slack, clock)


async def _edited(store: AlertStore, slack: SlackServer, clock: Clock) -> None:
    before = len(slack.posts)
    await filled(store, an_alert(0, revision=2, title="Grew"))
    notifier = SlackNotifier(TOKEN, "C1", slack.url)
    await drained(store, notifier, clock)
    await notifier.close()
    assert len(slack.posts) == before
    assert sum("Grew" in post["text"] for post in slack.posts) == 1


async def test_a_revoked_token_is_loud_and_loses_nothing(
    slack: SlackServer, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    store: Any = await filled(MemoryAlertStore(), *(an_alert(n, severity="critical") for n in range(3)))
    slack.plan.extend(["token_revoked"] * 3)
    notifier = SlackNotifier(TOKEN, "C1", slack.url)
    assert await drained(store, notifier, clock) == Delivered(0, 3)
    assert capsys.readouterr().err.count("CRITICAL") == 3
    assert await drained(store, notifier, clock) == Delivered(3, 0)
    await notifier.close()


async def test_a_look_that_is_cut_off_says_how_far_it_got(slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier, ids = SlackNotifier(TOKEN, "C1", slack.url), [an_alert(n).id for n in range(8)]
    for n in range(8):
        slack.now = partial(float, NOON / SECOND + 100 * n)
        await notifier.deliver(an_alert(n), "C1", None)
    found = await notifier.find(ids, "C1", NOON)
    assert (set(found), unanswered(dict.fromkeys(ids, Begun("C1", 0)), found)) == (set(ids), [])
    monkeypatch.setattr("alerting.slack.MOST_PAGES", 1)
    found = await notifier.find(ids, "C1", NOON)
    assert set(found) == set(ids[3:])
    reached = NOON + round((300 + CLOCKS_APART) * SECOND)  # and a few microseconds
    doubts = {"before": Begun("C1", reached - 1), "after": Begun("C1", reached + SECOND), ids[3]: Begun("C1", NOON)}
    assert unanswered(doubts, found) == ["before"]
    await notifier.close()


@pytest.mark.parametrize("drain", [True, False])
async def test_what_a_cut_off_look_did_not_reach_is_one_digest_and_no_flood(
    slack: SlackServer, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, drain: bool
) -> None:
    monkeypatch.setattr("alerting.slack.MOST_PAGES", 1)
    old = [an_alert(n, time=NOON - 50 * HOUR + n * SECOND) for n in range(12)]
    grave = an_alert(50, time=NOON - 50 * HOUR, severity="critical")
    slack.now = lambda: clock() / SECOND
    notifier = SlackNotifier(TOKEN, "C1", slack.url)
    await drained(await filled(MemoryAlertStore(), *old), notifier, clock)
    assert len(slack.posts) == 12
    store, stop = await filled(MemoryAlertStore(), *old, grave, an_alert(99, time=clock())), asyncio.Event()

    async def end_of_the_day() -> None:
        if clock() > NOON + 3 * HOUR:
            stop.set()

    clock.on_sleep = None if drain else end_of_the_day
    done = await run(store, notifier, clock=clock, sleep=clock.sleep, stop=stop, drain=drain)
    await notifier.close()
    shown = Counter(post["metadata"]["event_payload"]["alert_id"] for post in slack.posts)
    digests = [name for name in shown if name.startswith("digest:")]
    assert shown == Counter({one.id: 1 for one in (*old, grave, an_alert(99))} | dict.fromkeys(digests, 1))
    assert (len(digests), done.gathered) == (1, 7), "the newest five were found"
    assert await store.due(10, clock()) == []
    assert caplog.text.count("may be shown twice") == 1
    assert "channel C1" in caplog.text
