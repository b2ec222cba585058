from __future__ import annotations

import asyncio

import pytest

from alerting import route
from alerting.case import Action, Case, Step
from alerting.casework import advance
from alerting.dispatcher import Delivered, run
from alerting.live import Live
from alerting.route_time import Span
from alerting.snooze import is_timer, ring, timer
from alerting.store import AlertStore
from tests.alerting.conftest import HOUR, NOON, SECOND, Clock, an_alert
from tests.alerting.scripted import Scripted, drained

ALERT = an_alert(1)


async def snoozed(store: AlertStore, until: int = NOON + HOUR) -> None:
    await store.put(ALERT)
    assert isinstance(await advance(store, ALERT.id, Step("snooze", "bob", NOON, until=until)), Case)


async def status(store: AlertStore) -> tuple[str, str, int]:
    case = await store.case(ALERT.id)
    assert case
    return case.status, case.actor, case.snoozed_until


async def test_a_snooze_ends_by_itself_whoever_runs_by_then(store: AlertStore, clock: Clock) -> None:
    await snoozed(store)
    notifier = Scripted(clock)
    assert await drained(store, notifier, clock) == Delivered(1, 0, waiting=1)
    clock.now = NOON + HOUR - SECOND
    await drained(store, Scripted(clock), clock)
    assert await status(store) == ("acknowledged", "bob", NOON + HOUR)
    clock.now = NOON + HOUR
    restarted = Scripted(clock)
    await drained(store, restarted, clock)
    assert await status(store) == ("open", "auditwatch", 0)
    assert [shown[0] for shown in restarted.shown] == [ALERT.id], "the message shows it, the timer is no message"
    assert await store.due(9, clock()) == []


@pytest.mark.parametrize("action", ["benign", "resolve", "ack"])
async def test_what_was_gone_on_with_is_left_alone(store: AlertStore, clock: Clock, action: Action) -> None:
    await snoozed(store)
    if action == "ack":
        await advance(store, ALERT.id, Step("snooze", "carol", NOON, until=NOON + 3 * HOUR))
    else:
        await advance(store, ALERT.id, Step(action, "carol", NOON))
    before = await store.case(ALERT.id)
    clock.now = NOON + 2 * HOUR
    await drained(store, Scripted(clock), clock)
    assert await store.case(ALERT.id) == before
    clock.now = NOON + 3 * HOUR
    await drained(store, Scripted(clock), clock)
    assert (await status(store))[0] == ("open" if action == "ack" else "resolved")


async def test_a_timer_whose_snooze_was_never_written_rings_for_nobody(store: AlertStore, clock: Clock) -> None:
    await store.put(ALERT)
    await store.put(timer(Case(ALERT.id), NOON + HOUR))
    await store.put(timer(Case("gone"), NOON + HOUR))
    clock.now = NOON + HOUR
    await drained(store, Scripted(clock), clock)
    assert await status(store) == ("open", "", 0)
    assert await store.due(9, clock()) == []


async def test_rung_twice_it_wakes_once(store: AlertStore, clock: Clock) -> None:
    await snoozed(store)
    bell = timer(Case(ALERT.id), NOON + HOUR)
    assert is_timer(bell)
    assert not is_timer(ALERT)
    for _ in range(2):
        await ring(store, bell, NOON + HOUR)
    case = await store.case(ALERT.id)
    assert case
    assert [step.action for step in case.steps] == ["snooze", "wake"]


async def test_what_comes_back_is_escalated_anew_if_nobody_takes_it_up(store: AlertStore, clock: Clock) -> None:
    await snoozed(store)
    step = route.Step(Span(10 * 60 * SECOND), "U9")
    live = Live(route.Routing(route.Routes((route.Route("a", escalate=(step,)),))))
    board = Scripted(clock)
    for minutes in (0, 20, 60, 61, 75, 90):
        clock.now = NOON + minutes * 60 * SECOND
        await run(store, board, clock=clock, sleep=clock.sleep, stop=asyncio.Event(), drain=True, live=live)
    told = [at // SECOND // 60 for name, _, at in board.shown if name.startswith("escalation:")]
    assert told == [75], "nobody while it is snoozed, and ten minutes after its end it is due"


async def test_a_timer_is_neither_listed_nor_shown(store: AlertStore, clock: Clock) -> None:
    await snoozed(store)
    assert [entry.alert.id for entry in await store.list(9)] == [ALERT.id]
    notifier = Scripted(clock)
    stop = asyncio.Event()

    async def end() -> None:
        if clock() > NOON + HOUR + 5 * SECOND:
            stop.set()
        clock.now += 60 * SECOND

    clock.on_sleep = end
    await run(store, notifier, clock=clock, sleep=clock.sleep, stop=stop)
    assert {shown[0] for shown in notifier.shown} == {ALERT.id}
    assert await status(store) == ("open", "auditwatch", 0)
