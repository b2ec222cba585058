from __future__ import annotations

import asyncio

import pytest

from alerting.alert import Alert
from alerting.case import Case
from alerting.courier import MEND
from alerting.dispatcher import POLL, run
from alerting.live import Delivered
from alerting.notifier import Gone, Permanent, Receipt, Retry, WrongChannel
from alerting.pauses import LONGEST
from alerting.store import AlertStore, Entries, StoreUnavailable
from alerting.store_memory import MemoryAlertStore
from tests.alerting.conftest import NOON, SECOND, Clock, an_alert
from tests.alerting.scripted import Scripted, drained, filled


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
    waits = sum(min(2 ** (n - 2), LONGEST) for n in range(12))
    assert notifier.shown[0][2] >= waits * SECOND
    assert len(notifier.shown) == 3


async def test_a_success_ends_the_strikes_of_a_channel(clock: Clock) -> None:
    store = await filled(MemoryAlertStore(), *(an_alert(n) for n in range(10)))
    notifier = Scripted(clock, *[Retry("down"), None] * 9)
    await drained(store, notifier, clock)
    assert notifier.shown[-1][2] == 9 * SECOND // 4, "each failure cost as little as the first"


async def test_one_alert_slack_chokes_on_does_not_hold_up_the_others(clock: Clock) -> None:
    class Choking(Scripted):
        async def deliver(
            self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None
        ) -> Receipt:
            if alert.severity == "critical" and self.clock() < NOON + 300 * SECOND:
                raise Retry("HTTP 500", unsure=True)
            return await super().deliver(alert, channel, previous, case)

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
        async def deliver(
            self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None
        ) -> Receipt:
            if channel == "b":
                raise WrongChannel("is_archived")
            return await super().deliver(alert, channel, previous, case)

    store = await filled(MemoryAlertStore(), an_alert(1), *(an_alert(n, principal="bob") for n in (2, 3)))
    notifier = Barred(clock)
    assert await drained(store, notifier, clock) == Delivered(3, 0)
    assert set(notifier.places.values()) == {"a"}
    assert caplog.text.count("is_archived") == 1


async def test_a_channel_that_hangs_holds_up_no_other(clock: Clock) -> None:
    class Hanging(Scripted):
        async def deliver(
            self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None
        ) -> Receipt:
            if channel == "b":
                await hang.wait()
            elif len(self.shown) == 4:
                hang.set()
            return await super().deliver(alert, channel, previous, case)

    hang = asyncio.Event()
    store = await filled(MemoryAlertStore(), an_alert(0, principal="bob"), *(an_alert(n) for n in range(1, 6)))
    notifier = Hanging(clock)
    assert await drained(store, notifier, clock) == Delivered(6, 0)
    assert notifier.places[an_alert(0).id] == "b"


async def test_stop_ends_the_run_after_the_delivery_at_hand(clock: Clock) -> None:
    store, stop = await filled(MemoryAlertStore(), an_alert(1), an_alert(2)), asyncio.Event()

    class Stopping(Scripted):
        async def deliver(
            self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None
        ) -> Receipt:
            stop.set()
            return await super().deliver(alert, channel, previous, case)

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
