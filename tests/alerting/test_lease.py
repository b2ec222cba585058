"""Several dispatchers on one outbox: one delivers, whoever else there is waits for it or gives way."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from alerting import dispatcher, lease, slack, webhook
from alerting.alert import Alert
from alerting.case import Case
from alerting.dispatcher import run
from alerting.lease import CALL, LEASE, Lease
from alerting.live import Delivered
from alerting.notifier import Begun, Receipt
from alerting.route import Route, Routes, Routing
from alerting.route_time import DayTime, Quiet, Zone
from alerting.store import AlertStore, Entries, StoreUnavailable
from alerting.store_memory import MemoryAlertStore
from tests.alerting.conftest import NOON, SECOND, Clock, an_alert
from tests.alerting.scripted import Scripted, filled

ALERTS = [an_alert(n) for n in range(40)]
ONCE = Counter({alert.id: 1 for alert in ALERTS})


def now() -> int:
    """As real as the lease in Redis, at a time the alerts are new."""
    return NOON + round(time.monotonic() * SECOND) % (600 * SECOND)


class Slow(Scripted):
    """Each message takes a moment, so that two who deliver meet."""

    def __init__(self) -> None:
        super().__init__(Clock())

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        await asyncio.sleep(0.005)
        return await super().deliver(alert, channel, previous, case)

    def counts(self) -> Counter[str]:
        return Counter(name for name, _, _ in self.shown)


async def deliver(store: AlertStore, notifier: Scripted, owner: str, stop: asyncio.Event | None = None) -> Delivered:
    running = run(
        store, notifier, clock=now, sleep=asyncio.sleep, stop=stop or asyncio.Event(), drain=not stop, owner=owner
    )
    return await asyncio.wait_for(running, 20)


def test_no_call_outlasts_it() -> None:
    assert LEASE > CALL >= max(slack.TIMEOUT, webhook.TIMEOUT)


async def test_two_at_once_deliver_each_alert_once(store: AlertStore, caplog: pytest.LogCaptureFixture) -> None:
    await filled(store, *ALERTS)
    notifier = Slow()
    done = await asyncio.gather(*(deliver(store, notifier, owner) for owner in "ab"))
    assert notifier.counts() == ONCE
    assert sorted(one.sent for one in done) == [0, 40]
    assert await store.due(100, now()) == [], "who waited did so until all was delivered"
    assert caplog.text.count("another dispatcher delivers") == 1


async def test_without_a_lease_the_beginnings_alone_keep_two_apart(store: AlertStore) -> None:
    class Lax(Lease):
        async def hold(self) -> bool:
            self.until = self.clock() + 60 * SECOND
            return True

    await filled(store, *ALERTS)
    notifier, patch = Slow(), pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(dispatcher, "Lease", Lax)
        await asyncio.gather(*(deliver(store, notifier, owner) for owner in "ab"))
    assert notifier.counts() == ONCE


async def test_lines_given_beside_a_dispatcher_are_delivered_by_it(store: AlertStore) -> None:
    live, lines, stop = Slow(), Slow(), asyncio.Event()
    running = asyncio.create_task(deliver(store, live, "live", stop))
    await asyncio.sleep(0.05)
    await filled(store, *ALERTS)
    assert await deliver(store, lines, "lines") == Delivered()
    assert (live.counts(), lines.shown) == (ONCE, [])
    stop.set()
    assert (await running).sent == 40


async def test_what_has_to_wait_does_not_hold_up_who_gave_lines_to_another(store: AlertStore) -> None:
    quiet = Quiet(DayTime(0), DayTime(1439), "critical", Zone("UTC"))
    await filled(store, an_alert(1))
    assert await store.hold("live", 60, now())
    running = run(
        store,
        Slow(),
        clock=now,
        sleep=asyncio.sleep,
        stop=asyncio.Event(),
        drain=True,
        routing=Routing(Routes((Route("sec", quiet=quiet),))),
        owner="lines",
    )
    assert await asyncio.wait_for(running, 5) == Delivered(waiting=1)


async def test_who_ends_hands_over_at_once_and_who_is_killed_when_the_lease_runs_out(store: AlertStore) -> None:
    await filled(store, ALERTS[0])
    await deliver(store, Slow(), "ended")
    assert await store.hold("killed", 0.6, now())
    await filled(store, *ALERTS[1:])
    notifier, began = Slow(), time.monotonic()
    await deliver(store, notifier, "heir")
    assert sorted(notifier.counts()) == sorted(alert.id for alert in ALERTS[1:])
    assert 0.5 < time.monotonic() - began < 5


async def test_a_frozen_dispatcher_that_wakes_gives_way(clock: Clock) -> None:
    """Frozen between the look into the outbox and the delivery, and between its beginning and its message."""

    class Freezing(MemoryAlertStore):
        frozen = ""

        async def thaw(self, call: str) -> None:
            if self.frozen == call:
                self.frozen = ""
                clock.now += 60 * SECOND
                assert await self.hold("heir", LEASE, clock())
                other = Scripted(clock)
                await run(self, other, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True, owner="heir")
                shown.extend(name for name, _, _ in other.shown)

        async def due(self, limit: int, now: int) -> Entries:
            entries = await super().due(limit, now)
            await self.thaw("due")
            return entries

        async def begin(self, alert_id: str, begun: Begun, before: Begun | None) -> bool:
            began = await super().begin(alert_id, begun, before)
            await self.thaw("begin")
            return began

    for call in ("due", "begin"):
        shown: list[str] = []
        store, mine = Freezing(), Scripted(clock)
        await filled(store, *ALERTS[:5])
        store.frozen = call
        await run(store, mine, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True, owner="frozen")
        assert Counter(shown + [name for name, _, _ in mine.shown]) == Counter(alert.id for alert in ALERTS[:5]), call
        assert shown, "the heir delivered"


async def test_it_says_once_that_it_waits_and_once_that_it_is_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    store, clock = MemoryAlertStore(), Clock()
    mine = Lease(store, "me", clock)
    caplog.set_level("INFO")
    assert await store.hold("other", 3.0, clock())
    assert [await mine.hold(), await mine.hold(), await mine.sure()] == [False, False, False]
    clock.now += 3 * SECOND
    assert [await mine.hold(), await mine.hold(), await mine.sure()] == [True, True, True]
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "another dispatcher delivers from this outbox",
        "delivering now",
    ]
    clock.now += round(lease.LEASE * SECOND)
    assert not await mine.sure()


async def test_a_call_begins_only_where_the_lease_lasts_as_long_without_a_gap() -> None:
    clock = Clock()

    class Slow(MemoryAlertStore):
        asked, delay = 0, 0

        async def hold(self, owner: str, seconds: float, now: int) -> bool:
            self.asked += 1
            clock.now += self.delay
            return await super().hold(owner, seconds, now)

    store = Slow()
    mine = Lease(store, "me", clock)
    assert await mine.hold()
    clock.now += round((LEASE - CALL - 0.1) * SECOND)
    assert (await mine.sure(), store.asked) == (True, 1)
    clock.now += SECOND
    assert (await mine.sure(), store.asked) == (True, 2), "little was left: renewed"
    clock.now += round(LEASE * SECOND)
    assert (await mine.sure(), store.asked) == (False, 2), "it ran out: nobody knows who had it since"
    assert await mine.hold()
    clock.now += round((LEASE - 1) * SECOND)
    store.delay = 2 * SECOND
    assert not await mine.sure(), "it ran out before the answer was there"


async def test_a_frozen_dispatcher_writes_nothing_old_over_a_message(clock: Clock) -> None:
    """Frozen before an edit: the heir has shown a newer revision meanwhile."""

    class Freezing(MemoryAlertStore):
        frozen = False

        async def due(self, limit: int, now: int) -> Entries:
            entries = await super().due(limit, now)
            if self.frozen:
                self.frozen = False
                clock.now += 60 * SECOND
                await self.put(an_alert(0, revision=3))
                await run(self, heir, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True, owner="heir")
            return entries

    store, heir, mine = Freezing(), Scripted(clock), Scripted(clock)
    await filled(store, an_alert(0))
    turn = {"clock": clock, "sleep": clock.sleep, "stop": asyncio.Event(), "drain": True}
    await run(store, mine, owner="frozen", **turn)  # type: ignore[arg-type]
    await store.put(an_alert(0, revision=2))
    store.frozen = True
    await run(store, mine, owner="frozen", **turn)  # type: ignore[arg-type]
    assert [revision for _, revision, _ in mine.shown] == [1]
    assert [revision for _, revision, _ in heir.shown] == [3]


async def test_a_store_that_is_away_when_it_ends_is_no_trouble() -> None:
    class Away(MemoryAlertStore):
        async def release(self, owner: str) -> None:
            raise StoreUnavailable("away")

    await Lease(Away(), "me", Clock()).release()
