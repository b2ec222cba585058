"""Storms, outages, lost outboxes and kills against a Slack of real HTTP, in virtual time: hours of it in seconds."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from alerting.alert import Alert
from alerting.dispatcher import PAGE, Delivered, run
from alerting.live import Live
from alerting.notifier import Receipt
from alerting.route import Route, Routes, Routing
from alerting.slack import SlackNotifier
from alerting.store import AlertStore
from alerting.store_memory import MemoryAlertStore
from audit.finding import Severity
from tests.alerting.conftest import HOUR, NOON, SECOND, an_alert
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.test_delivery import ByOwner, Failing
from tests.alerting.virtual import lived, now

MINUTE = 60 * SECOND
CHANNELS = {f"C{n}": f"C{n}" for n in range(40)}


class Strict(SlackServer):
    """Limits as Slack does: a message a second and channel, fifty edits a minute; `answers` seconds late.

    While `closed(method)` says seconds, that method is refused for so long.
    """

    answers = 0.2

    def __init__(self, closed: Callable[[str], float] = lambda method: 0.0) -> None:
        super().__init__(channels=dict(CHANNELS), page=100, now=lambda: now() / SECOND)
        self.closed = closed
        self.log: list[tuple[float, str, str]] = []  # (seconds, method, channel)
        self.refused: Counter[str] = Counter()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.answers)
        method, at = request.match_info["method"], asyncio.get_running_loop().time()
        body = {} if request.method == "GET" else await request.json()
        channel = str(body.get("channel") or body.get("channel_id", ""))
        if after := self.closed(method) or self._too_many(method, channel, at):
            self.refused[method] += 1
            headers = {"Retry-After": f"{after:.0f}"}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        self.log.append((at, method, channel))
        return await super()._handle(request)

    async def _upload(self, request: web.Request) -> web.Response:
        self.log.append((asyncio.get_running_loop().time(), "upload", ""))
        return await super()._upload(request)

    def _too_many(self, method: str, channel: str, at: float) -> float:
        mine = [
            then for then, what, where in self.log if what == method and (where == channel or what == "chat.update")
        ]
        if method == "chat.postMessage":
            return 1.0 if any(at - then < 0.99 for then in mine) else 0.0
        return 30.0 if method == "chat.update" and sum(at - then < 60 for then in mine) >= 50 else 0.0

    def busiest_minute(self, channel: str = "") -> int:
        """The most calls any sixty seconds saw: whatever is asked, each step of a file; or what a channel was sent."""
        times = [at for at, _, where in self.log if channel in ("", where)]
        return max(sum(start <= at < start + 60 for at in times) for start in times)

    def order(self) -> list[str]:
        """Alerts in the order people saw them first."""
        return sorted(self.shown, key=lambda name: self.shown[name])


async def dispatched(
    server: SlackServer, store: AlertStore, meanwhile: Awaitable[object] | None = None, live: Live | None = None
) -> Delivered:
    """One dispatcher, until what happens meanwhile is over (or at once) and the outbox is empty."""
    notifier, stop = ByOwner(TOKEN, "C0", server.url), asyncio.Event()
    ways: dict[str, Any] = {"clock": now, "sleep": asyncio.sleep, "live": live or Live()}
    if meanwhile is not None:
        running = asyncio.create_task(run(store, notifier, stop=stop, **ways))
        await meanwhile
        stop.set()
        await running
    done = await run(store, notifier, stop=asyncio.Event(), drain=True, **ways)
    await notifier.close()
    return done


def alerts(count: int, owner: int = 0, severity: Severity = "high", start: int = 0, at: int = NOON) -> list[Alert]:
    return [
        an_alert(n, principal=str(owner), severity=severity, title=f"Title {n}", time=at + n)
        for n in range(start, start + count)
    ]


async def filled(store: AlertStore, *alerts: Alert) -> None:
    for alert in alerts:
        await store.put(alert)


def each_once(server: SlackServer, expected: list[Alert]) -> None:
    names = Counter(post["metadata"]["event_payload"]["alert_id"] for post in server.posts)
    assert names == Counter({alert.id: 1 for alert in expected})


def test_ten_thousand_hits_in_a_minute_cost_three_calls_a_minute_and_the_first_message_comes_at_once() -> None:
    async def storm(store: AlertStore) -> None:
        for hit in range(10_000):
            await store.put(an_alert(principal="1", count=hit + 1, revision=hit + 1, time=NOON))
            if hit % 10 == 0:
                await asyncio.sleep(60 / 1_000)
        await asyncio.sleep(120)

    async def life() -> None:
        async with Strict() as server:
            await dispatched(server, store := MemoryAlertStore(), storm(store))
            assert server.busiest_minute() <= 3
            calls = Counter(method for _, method, _ in server.log)
            file = dict.fromkeys(("files.getUploadURLExternal", "upload", "files.completeUploadExternal"), 1)
            assert calls == {"chat.postMessage": 1, "chat.update": 2} | file
            (post,) = server.posts
            assert post["metadata"]["event_payload"]["revision"] == 10_000, "the last edit counts all of them"
            assert server.log[0][0] < 1.0
            assert not server.refused

    lived(life())


def test_a_storm_that_lasts_has_its_file_within_five_minutes_and_one_minute_of_five_calls() -> None:
    async def storm(store: AlertStore) -> None:
        for hit in range(120):
            await store.put(an_alert(principal="1", count=hit + 1, revision=hit + 1, time=NOON))
            await asyncio.sleep(5)

    async def life() -> None:
        async with Strict() as server:
            await dispatched(server, store := MemoryAlertStore(), storm(store))
            assert server.busiest_minute() <= 5
            (when,) = [at for at, method, _ in server.log if method == "files.completeUploadExternal"]
            assert 300 <= when < 302
            server.log = [one for one in server.log if abs(one[0] - when) > 60]
            assert server.busiest_minute() <= 3

    lived(life())


def test_a_storm_over_many_people_never_meets_slacks_limit_of_edits_and_leaves_room_for_what_is_new() -> None:
    """Forty storms at once in ten channels, and a critical alert in the midst of them."""

    async def storm(store: AlertStore) -> None:
        for hit in range(1, 251):
            for owner in range(40):
                await store.put(an_alert(owner, principal=str(owner % 10), count=hit, revision=hit, time=NOON))
            if hit == 125:
                await store.put(an_alert(999, principal="3", severity="critical", time=now()))
            await asyncio.sleep(60 / 250)

    async def life() -> None:
        async with Strict() as server:
            await dispatched(server, store := MemoryAlertStore(), storm(store))
            each_once(server, [*(an_alert(n) for n in range(40)), an_alert(999)])
            assert server.refused["chat.update"] == 0
            edits = [at for at, method, _ in server.log if method == "chat.update"]
            assert max(sum(start <= at < start + 60 for at in edits) for start in edits) <= 50
            assert server.shown[an_alert(999).id] - NOON / SECOND < 30 + 2.5
            posted = {post["metadata"]["event_payload"]["revision"] for post in server.posts}
            assert posted == {250, 1}, "all are brought up to date in the end"

    lived(life())


def test_an_edit_slack_refuses_for_a_while_holds_up_no_new_message() -> None:
    async def storm(store: AlertStore) -> None:
        await store.put(an_alert(1, principal="1", time=NOON))
        await asyncio.sleep(25)
        await store.put(an_alert(1, principal="1", revision=2, time=NOON))
        await asyncio.sleep(5)
        await store.put(an_alert(2, principal="1", time=now()))
        await asyncio.sleep(60)

    def closed(method: str) -> float:
        return 600.0 if method == "chat.update" and now() < NOON + 300 * SECOND else 0.0

    async def life() -> None:
        async with Strict(closed) as server:
            await dispatched(server, store := MemoryAlertStore(), storm(store))
            assert server.refused["chat.update"] == 2, "what Slack asks for is obeyed: once by each of two dispatchers"
            assert server.shown[an_alert(2).id] - NOON / SECOND < 32
            assert server.posts[0]["metadata"]["event_payload"]["revision"] == 2
            assert server.log[-1][0] > 600

    lived(life())


def test_ten_minutes_of_429_lose_nothing_and_the_gravest_are_first_after_them() -> None:
    severities: tuple[Severity, ...] = ("low", "medium", "high", "critical")

    async def fill(store: AlertStore) -> None:
        for n in range(120):
            await store.put(an_alert(n, principal=str(n % 3), severity=severities[n % 4], time=now()))
            await asyncio.sleep(600 / 120)

    async def life() -> None:
        end = NOON + 600 * SECOND

        def closed(method: str) -> float:
            return 30.0 if now() < end else 0.0

        async with Strict(closed) as server:
            await dispatched(server, store := MemoryAlertStore(), fill(store))
            each_once(server, [an_alert(n) for n in range(120)])
            assert 60 <= server.refused["chat.postMessage"] <= 80, "each channel asks every thirty seconds"
            rank = {an_alert(n).id: n % 4 for n in range(120)}
            for channel in range(3):
                mine = [rank[name] for name in server.order() if _owner(name) == channel]
                assert mine == sorted(mine, reverse=True)
                assert len(mine) == 40
            assert max(server.shown.values()) - end / SECOND < 30 + 41 * 1.5

    lived(life())


def _owner(name: str) -> int:
    return next(n % 3 for n in range(120) if an_alert(n).id == name)


class OneShut(Strict):
    """One channel takes nothing for an hour."""

    def _too_many(self, method: str, channel: str, at: float) -> float:
        return 3600.0 if channel == "C2" else super()._too_many(method, channel, at)


def test_a_channel_under_a_storm_of_429_holds_up_no_other_even_behind_many_graver_alerts() -> None:
    async def life() -> None:
        behind = alerts(5, owner=3, severity="low", start=5_000)
        async with OneShut() as server:
            await filled(store := MemoryAlertStore(), *alerts(3 * PAGE, owner=2, severity="critical"), *behind)
            notifier, stop = ByOwner(TOKEN, "C0", server.url), asyncio.Event()
            running = asyncio.create_task(run(store, notifier, clock=now, sleep=asyncio.sleep, stop=stop))
            await asyncio.sleep(15)
            stop.set()
            await running
            await notifier.close()
            each_once(server, behind)
            assert server.refused["chat.postMessage"] == 1
            assert len(await store.due(10_000, now())) == 3 * PAGE

    lived(life())


def test_an_outbox_that_was_lost_shows_nothing_again_and_loses_nothing() -> None:
    """Redis and all it knew are gone: the alerts of two days come again, with some nobody ever saw."""

    async def life() -> None:
        old, unseen = alerts(150, at=NOON - 48 * HOUR), alerts(7, start=900, at=NOON - 24 * HOUR)
        async with Strict() as server:
            server.now = lambda: NOON / SECOND - 47 * 3600  # they were shown then
            await filled(first := MemoryAlertStore(), *old)
            await dispatched(server, first)
            server.now = lambda: now() / SECOND
            before = server.times("conversations.history")
            again = MemoryAlertStore()
            await filled(again, *old, *unseen)
            assert (await dispatched(server, again)).sent == len(unseen)
            each_once(server, [*old, *unseen])
            assert server.times("conversations.history") - before <= 4, "two pages a look, one look for all"
            entry = await again.get(old[0].id)
            assert entry
            assert entry.receipt
            assert entry.receipt.posted
            await filled(again, an_alert(0, principal="0", revision=2, title="Grew", time=old[0].time))
            await dispatched(server, again)
            assert sum("Grew" in post["text"] for post in server.posts) == 1

    lived(life())


def test_what_is_new_is_not_looked_for() -> None:
    async def life() -> None:
        async with Strict() as server:
            await filled(store := MemoryAlertStore(), *alerts(20))
            await dispatched(server, store)
            assert server.times("conversations.history") == 0

    lived(life())


def test_an_outbox_in_memory_shows_the_same_lines_once_however_often_it_is_filled() -> None:
    async def life() -> None:
        mine = alerts(30, at=NOON - 5 * SECOND)
        async with Strict() as server:
            for _ in range(3):
                await filled(store := MemoryAlertStore(), *mine)
                await dispatched(server, store, live=Live(doubt_after=0))
            each_once(server, mine)

    lived(life())


def test_a_restart_in_the_midst_of_a_storm_posts_nothing_again() -> None:
    async def life() -> None:
        store = MemoryAlertStore()
        async with Strict() as server:
            for revision in range(1, 200):
                await filled(store, an_alert(1, principal="1", revision=revision, time=NOON))
                notifier = ByOwner(TOKEN, "C0", server.url)
                task = asyncio.create_task(run(store, notifier, clock=now, sleep=asyncio.sleep, stop=asyncio.Event()))
                await asyncio.sleep(1.0 + revision % 7 / 7)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await notifier.close()
            await dispatched(server, store)
            each_once(server, [an_alert(1)])
            assert server.busiest_minute("C1") <= 4

    lived(life())


class Slow(Failing):
    """Three of ten calls fail; the others take a fifth of a second."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return await super()._handle(request)


async def through_faults(seed: int, over: float, down: float) -> tuple[SlackServer, list[Alert], list[float]]:
    """200 alerts over ten channels within `over` seconds, three kills at random, each `down` seconds long."""
    dice, store, put = random.Random(seed), MemoryAlertStore(), {}
    mine = [an_alert(n, principal=str(n % 10), time=NOON + n) for n in range(200)]
    async with Slow(channels=dict(CHANNELS), page=100, now=lambda: now() / SECOND) as server:
        server.dice = random.Random(seed)

        async def fill() -> None:
            for alert in mine:
                await store.put(alert)
                put[alert.id] = now() / SECOND
                await asyncio.sleep(over / len(mine))

        filling = asyncio.create_task(fill())
        ends = sorted(dice.uniform(0.5, max(over, 10.0)) for _ in range(3))
        for wait in [ends[0], *(after - before for before, after in pairwise(ends))]:
            notifier = ByOwner(TOKEN, "C0", server.url)
            task = asyncio.create_task(run(store, notifier, clock=now, sleep=asyncio.sleep, stop=asyncio.Event()))
            await asyncio.sleep(wait)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await notifier.close()
            await asyncio.sleep(down)
        await dispatched(server, store, filling)
        return server, mine, sorted(server.shown[name] - at for name, at in put.items())


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("over", "down", "limit"), [(0.0, 2.0, 60.0), (100.0, 2.0, 15.0), (100.0, 8.0, 15.0)])
def test_two_hundred_alerts_through_faults_and_kills(seed: int, over: float, down: float, limit: float) -> None:
    server, mine, took = lived(through_faults(seed, over, down))
    each_once(server, mine)
    p95 = took[int(0.95 * len(took))]
    sys.stdout.write(f"seed {seed}, over {over:.0f} s, away {down:.0f} s: p95 {p95:.1f} s, slowest {took[-1]:.1f} s\n")
    assert p95 <= limit


def test_the_receipts_of_a_lost_outbox_are_those_of_the_messages() -> None:
    async def life() -> None:
        async with SlackServer(now=lambda: NOON / SECOND) as server:
            notifier = SlackNotifier(TOKEN, "C1", server.url)
            shown = await notifier.deliver(an_alert(1, revision=3), "C1", None)
            found = await notifier.find([an_alert(1).id], "C1", NOON - HOUR)
            assert found == {an_alert(1).id: Receipt(3, "high", "C1", shown.message_id)}
            await notifier.close()

    lived(life())


def test_virtual_time_is_that_of_the_loop() -> None:
    async def life() -> dict[str, int]:
        times: defaultdict[str, int] = defaultdict(int)
        before = now()
        await asyncio.sleep(3600)
        times["slept"] = now() - before
        return times

    assert lived(life())["slept"] == HOUR


def test_what_a_lost_outbox_showed_costs_nothing_of_todays_budget() -> None:
    async def life() -> None:
        old, unseen = alerts(30, at=NOON - 48 * HOUR), alerts(3, start=900, at=NOON - 24 * HOUR)
        new = alerts(3, start=2_000)
        async with Strict() as server:
            server.now = lambda: NOON / SECOND - 47 * 3600
            await filled(first := MemoryAlertStore(), *old)
            await dispatched(server, first)
            server.now = lambda: now() / SECOND
            await filled(again := MemoryAlertStore(), *old, *unseen, *new)
            routing = Routing(Routes((Route("C0", budget=5),)))
            done = await dispatched(server, again, live=Live(routing))
            assert (done.sent, done.gathered) == (5, 1)
            each_once(server, [*old, *unseen, *new][:-1])

    lived(life())
