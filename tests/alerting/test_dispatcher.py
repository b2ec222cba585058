from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection
from io import StringIO
from typing import Any

import pytest

from alerting.alert import Alert, to_line
from alerting.console import ConsoleNotifier
from alerting.desk import SETTLE
from alerting.dispatcher import LONGEST_PAUSE, MEND, POLL, Delivered, enqueue_lines, run
from alerting.notifier import Begun, Gone, Notifier, Permanent, Receipt, Retry, WrongChannel
from alerting.slack import SlackNotifier
from alerting.store import AlertStore, Entries, Failure, MemoryAlertStore, StoreUnavailable
from tests.alerting.conftest import NOON, SECOND, Clock, an_alert
from tests.alerting.slack_server import TOKEN, SlackServer


class Seen(Retry):
    """An unsure answer to a delivery that people did see."""

    def __init__(self) -> None:
        super().__init__("the connection broke", unsure=True)


class Scripted:
    """A notifier that shows alerts unless its plan says otherwise."""

    def __init__(self, clock: Clock, *plan: BaseException | None, pace: float = 0.0) -> None:
        self.pace = pace
        self.plan = deque(plan)
        self.clock = clock
        self.shown: list[tuple[str, int, int]] = []  # (alert id, revision, microseconds since NOON)
        self.places: dict[str, str] = {}  # alert id -> channel
        self.looks = 0

    fallback = "a"

    def channel(self, alert: Alert) -> str:
        return "b" if alert.principal == "bob" else "a"

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        self.looks += 1
        return {
            alert_id: Receipt(revision, "high", channel, alert_id)
            for alert_id, revision, at in self.shown
            if alert_id in alert_ids and self.places[alert_id] == channel and NOON + at >= since
        }

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None) -> Receipt:
        problem = self.plan.popleft() if self.plan else None
        if problem is not None and not isinstance(problem, Seen):
            raise problem
        self.shown.append((alert.id, alert.revision, self.clock() - NOON))
        self.places[alert.id] = channel
        if problem is not None:
            raise problem
        return Receipt(alert.revision, alert.severity, channel, alert.id)


async def drained(store: AlertStore, notifier: Notifier, clock: Clock) -> Delivered:
    turn = run(store, notifier, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True)
    return await asyncio.wait_for(turn, 20)


async def filled(store: AlertStore, *alerts: Alert) -> AlertStore:
    for alert in alerts:
        await store.put(alert)
    return store


async def test_all_is_delivered_gravest_first_and_the_run_ends(store: AlertStore, clock: Clock) -> None:
    await filled(store, *(an_alert(n) for n in range(100)), an_alert(500, severity="critical"))
    notifier = Scripted(clock)
    assert await drained(store, notifier, clock) == Delivered(101, 0)
    assert [shown[0] for shown in notifier.shown] == [an_alert(n).id for n in (500, *range(100))]
    assert await drained(store, notifier, clock) == Delivered(0, 0), "nothing is delivered twice"


async def test_posts_to_one_channel_keep_their_pace_and_channels_do_not_wait_for_each_other(clock: Clock) -> None:
    bobs = [an_alert(n + 10, principal="bob") for n in range(3)]
    store = await filled(MemoryAlertStore(), *(an_alert(n) for n in range(3)), *bobs)
    notifier = Scripted(clock, pace=1.0)
    await drained(store, notifier, clock)
    assert [at // SECOND for _, _, at in notifier.shown] == [0, 0, 1, 1, 2, 2]


async def test_retry_after_is_obeyed_by_the_whole_channel(clock: Clock) -> None:
    store = await filled(MemoryAlertStore(), *(an_alert(n) for n in range(3)))
    notifier = Scripted(clock, Retry("rate limit", after=7))
    await drained(store, notifier, clock)
    assert [shown[0] for shown in notifier.shown] == [an_alert(n).id for n in range(3)]
    assert min(at for _, _, at in notifier.shown) >= 7 * SECOND


async def test_an_outage_is_asked_after_less_and_less_often(clock: Clock) -> None:
    store = await filled(MemoryAlertStore(), *(an_alert(n) for n in range(3)))
    notifier = Scripted(clock, *(Retry("down") for _ in range(12)))
    await drained(store, notifier, clock)
    waits = sum(min(2 ** (n - 2), LONGEST_PAUSE) for n in range(12))
    assert notifier.shown[0][2] >= waits * SECOND
    assert len(notifier.shown) == 3


async def test_a_success_ends_the_strikes_of_a_channel(clock: Clock) -> None:
    store = await filled(MemoryAlertStore(), *(an_alert(n) for n in range(10)))
    notifier = Scripted(clock, *[Retry("down"), None] * 9)
    await drained(store, notifier, clock)
    assert notifier.shown[-1][2] == 9 * SECOND // 4, "each failure cost as little as the first"


async def test_one_alert_slack_chokes_on_does_not_hold_up_the_others(clock: Clock) -> None:
    class Choking(Scripted):
        async def deliver(self, alert: Alert, channel: str, previous: Receipt | None) -> Receipt:
            if alert.severity == "critical" and self.clock() < NOON + 300 * SECOND:
                raise Retry("HTTP 500", unsure=True)
            return await super().deliver(alert, channel, previous)

    store = await filled(MemoryAlertStore(), an_alert(0, severity="critical"), *(an_alert(n) for n in range(1, 20)))
    notifier = Choking(clock, pace=1.0)
    await drained(store, notifier, clock)
    assert notifier.shown[-1][0] == an_alert(0).id
    assert notifier.shown[-2][2] < 60 * SECOND


async def test_what_is_refused_goes_to_stderr_and_is_kept(
    store: AlertStore, clock: Clock, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await filled(store, an_alert(1), an_alert(2, title="Second"))
    assert await drained(store, Scripted(clock, Permanent("token_revoked")), clock) == Delivered(1, 1)
    assert "Root login" in capsys.readouterr().err
    assert "token_revoked" in caplog.text
    (entry,) = await store.due(10, clock())
    assert (entry.error, entry.failures) == ("token_revoked", 1)
    assert entry.not_before >= clock() + (MEND - 1) * SECOND
    assert await drained(store, Scripted(clock), clock) == Delivered(1, 0), "a new run tries again at once"


async def test_a_fault_of_ours_in_one_alert_stops_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    store = await filled(MemoryAlertStore(), an_alert(1), an_alert(2))
    assert await drained(store, Scripted(clock, KeyError("oops")), clock) == Delivered(1, 1)
    assert "Root login" in capsys.readouterr().err


async def test_a_storm_is_one_post_and_few_edits(clock: Clock) -> None:
    store, notifier, stop = MemoryAlertStore(), Scripted(clock, pace=1.0), asyncio.Event()
    revision = 0

    async def storm() -> None:
        nonlocal revision
        revision += 1
        await store.put(an_alert(revision=revision))
        if clock() > NOON + 60 * SECOND:
            stop.set()

    clock.on_sleep = storm
    await filled(store, an_alert(revision=0))
    await run(store, notifier, clock=clock, sleep=clock.sleep, stop=stop)
    assert revision > 60 / POLL * 0.9
    assert 2 <= len(notifier.shown) <= 4


async def test_an_alert_that_becomes_graver_does_not_wait_for_its_next_edit(clock: Clock) -> None:
    store, notifier = await filled(MemoryAlertStore(), an_alert()), Scripted(clock, pace=1.0)
    await drained(store, notifier, clock)
    await filled(store, an_alert(revision=2, severity="critical"))
    await drained(store, notifier, clock)
    assert notifier.shown[-1][1:] == (2, 0), "a new run knows no pause, and a graver alert no wait"


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

    async def begin(self, alert_id: str, begun: Begun) -> None:
        self._perhaps("begin")
        await super().begin(alert_id, begun)
        self._perhaps("after begin")

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


async def test_a_message_that_is_gone_is_delivered_anew(store: AlertStore, clock: Clock) -> None:
    await filled(store, an_alert(1))
    await drained(store, Scripted(clock), clock)
    await filled(store, an_alert(1, revision=2))
    notifier = Scripted(clock, Gone("message_not_found"))
    assert await drained(store, notifier, clock) == Delivered(1, 0)
    assert [shown[:2] for shown in notifier.shown] == [(an_alert(1).id, 2)]


async def test_a_channel_that_takes_nothing_has_its_alerts_go_elsewhere(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Barred(Scripted):
        async def deliver(self, alert: Alert, channel: str, previous: Receipt | None) -> Receipt:
            if channel == "b":
                raise WrongChannel("is_archived")
            return await super().deliver(alert, channel, previous)

    store = await filled(MemoryAlertStore(), an_alert(1), *(an_alert(n, principal="bob") for n in (2, 3)))
    notifier = Barred(clock)
    assert await drained(store, notifier, clock) == Delivered(3, 0)
    assert set(notifier.places.values()) == {"a"}
    assert caplog.text.count("is_archived") == 1


async def test_a_channel_that_hangs_holds_up_no_other(clock: Clock) -> None:
    class Hanging(Scripted):
        async def deliver(self, alert: Alert, channel: str, previous: Receipt | None) -> Receipt:
            if channel == "b":
                await hang.wait()
            elif len(self.shown) == 4:
                hang.set()
            return await super().deliver(alert, channel, previous)

    hang = asyncio.Event()
    store = await filled(MemoryAlertStore(), an_alert(0, principal="bob"), *(an_alert(n) for n in range(1, 6)))
    notifier = Hanging(clock)
    assert await drained(store, notifier, clock) == Delivered(6, 0)
    assert notifier.places[an_alert(0).id] == "b"


async def test_stop_ends_the_run_after_the_delivery_at_hand(clock: Clock) -> None:
    store, stop = await filled(MemoryAlertStore(), an_alert(1), an_alert(2)), asyncio.Event()

    class Stopping(Scripted):
        async def deliver(self, alert: Alert, channel: str, previous: Receipt | None) -> Receipt:
            stop.set()
            return await super().deliver(alert, channel, previous)

    notifier = Stopping(clock)
    assert await run(store, notifier, clock=clock, sleep=clock.sleep, stop=stop) == Delivered(1, 0)
    assert [entry.alert for entry in await store.due(10, clock())] == [an_alert(2)]


class Away(MemoryAlertStore):
    """A store that is away for some calls."""

    def __init__(self, **away: int) -> None:
        super().__init__()
        self.away = away

    def _perhaps(self, call: str) -> None:
        if self.away.get(call, 0) > 0:
            self.away[call] -= 1
            raise StoreUnavailable("Redis is away")

    async def due(self, limit: int, now: int) -> Entries:
        self._perhaps("due")
        return await super().due(limit, now)

    async def receipt(self, alert_id: str, receipt: Receipt) -> None:
        self._perhaps("receipt")
        await super().receipt(alert_id, receipt)


async def test_a_store_that_goes_away_is_waited_for_and_nothing_is_shown_twice(clock: Clock) -> None:
    store, stop = Away(due=3, receipt=3), asyncio.Event()
    await filled(store, an_alert(1), an_alert(2))
    notifier = Scripted(clock)

    async def enough() -> None:
        if clock() > NOON + 30 * SECOND:
            stop.set()

    clock.on_sleep = enough
    assert await run(store, notifier, clock=clock, sleep=clock.sleep, stop=stop) == Delivered(2, 0)
    assert len(notifier.shown) == 2


async def test_draining_does_not_wait_for_a_store_that_is_away(clock: Clock) -> None:
    with pytest.raises(StoreUnavailable):
        await drained(Away(due=1), Scripted(clock), clock)


async def test_lines_go_through_the_outbox(store: AlertStore, clock: Clock) -> None:
    lines: list[bytes | str] = [to_line(an_alert(1)), b"", to_line(an_alert(2)).decode() + "\n", to_line(an_alert(1))]
    assert await enqueue_lines(store, lines) == 2
    stream = StringIO()
    assert await drained(store, ConsoleNotifier(stream), clock) == Delivered(2, 0)
    assert stream.getvalue().count("Root login") >= 2
    assert await enqueue_lines(store, lines) == 0


async def test_bad_lines_are_named_and_nothing_is_taken_in() -> None:
    store = MemoryAlertStore()
    with pytest.raises(ValueError, match=r"line 2: .*malformed(?s:.*)line 4: .*severity"):
        await enqueue_lines(store, (to_line(an_alert(1)), b"{nope", b"", b'{"id": "a", "time": "x", "title": "t"}'))
    assert await store.list(10) == []
    with pytest.raises(ValueError, match="and 2 more bad lines"):
        await enqueue_lines(store, [b"x"] * 12)


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
