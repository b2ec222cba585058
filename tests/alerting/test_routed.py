"""Routes in the dispatcher: what waits, is gathered, muted, escalated; killed at any call, all is told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import msgspec
import pytest

from alerting.alert import Alert
from alerting.case import Case, transition
from alerting.dispatcher import Delivered, run
from alerting.mute import Mute
from alerting.notice import is_escalation, is_notice
from alerting.notifier import Receipt
from alerting.route import Digest, Route, Routes, Routing, Step
from alerting.route_time import DayTime, Quiet, Span, Zone
from alerting.slack import SlackNotifier
from alerting.store import AlertStore
from alerting.store_memory import MemoryAlertStore
from alerting.when import When
from audit.context_schema import End
from audit.finding import Severity
from tests.alerting.conftest import HOUR, NOON, SECOND, Clock, an_alert
from tests.alerting.slack_server import TOKEN, SlackServer

MINUTE = 60 * SECOND


class Killed(BaseException):
    """As good as SIGKILL: nothing after it runs."""


class Hurried(Clock):
    """A virtual clock that never moves less than 5 seconds."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(max(seconds, 5.0))


class Board:
    """A notifier whose messages can be looked at."""

    pace = edit_pace = post_pace = 0.0
    fallback = "main"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.posts: list[tuple[str, str, int]] = []  # (alert id, channel, microseconds since NOON)
        self.now_says: dict[str, Alert] = {}

    def channel(self, alert: Alert) -> str:
        return "main"

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        mine = [name for name, place, _ in self.posts if name in alert_ids and place == channel]
        return {name: self._receipt(self.now_says[name], channel) for name in mine}

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        if previous is None:
            self.posts.append((alert.id, channel, self.clock() - NOON))
        self.now_says[alert.id] = alert
        return self._receipt(alert, channel)

    def _receipt(self, alert: Alert, channel: str) -> Receipt:
        return Receipt(alert.revision, alert.severity, channel, f"m-{alert.id}")

    def told(self, channel: str) -> list[Alert]:
        return [self.now_says[name] for name, place, _ in self.posts if place == channel]


def routed(*routes: Route, mutes: tuple[Mute, ...] = ()) -> Routing:
    return Routing(Routes(routes, mutes))


async def until(store: AlertStore, board: Any, clock: Clock, routing: Routing, end: int) -> Delivered:
    """One dispatcher, from its start until the clock reaches `end`."""
    stop = asyncio.Event()

    async def enough() -> None:
        if clock() >= end:
            stop.set()

    clock.on_sleep = enough
    turn = run(store, board, clock=clock, sleep=clock.sleep, stop=stop, routing=routing)
    return await asyncio.wait_for(turn, 60)


async def filled(store: AlertStore, *alerts: Alert) -> None:
    for alert in alerts:
        await store.put(alert)


def alerts(number: int, severity: Severity = "low", start: int = 0) -> list[Alert]:
    return [an_alert(n, severity=severity, title=f"Title {n}") for n in range(start, start + number)]


@pytest.fixture
def clock() -> Clock:
    return Hurried()


async def test_quiet_hours_hold_back_what_is_not_grave_and_a_restart_does_not_end_them(
    store: AlertStore, clock: Clock
) -> None:
    quiet = Quiet(DayTime(11 * 60), DayTime(13 * 60), "high", Zone("UTC"))
    routing, board = routed(Route("sec", quiet=quiet)), Board(clock)
    await filled(store, an_alert(1, severity="low"), an_alert(2, severity="high"))
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    await until(store, board, clock, routing, NOON + 20 * MINUTE)
    assert [name for name, _, _ in board.posts] == [an_alert(2).id]
    await until(store, board, clock, routing, NOON + 2 * HOUR)
    assert [name for name, _, _ in board.posts] == [an_alert(2).id, an_alert(1).id]
    assert HOUR <= board.posts[1][2] < HOUR + MINUTE


async def test_what_becomes_grave_does_not_sleep_on(store: AlertStore, clock: Clock) -> None:
    quiet = Quiet(DayTime(11 * 60), DayTime(13 * 60), "high", Zone("UTC"))
    routing, board = routed(Route("sec", quiet=quiet)), Board(clock)
    await filled(store, an_alert(1, severity="low"))
    await until(store, board, clock, routing, NOON + MINUTE)
    await filled(store, an_alert(1, severity="critical", revision=2))
    await until(store, board, clock, routing, NOON + 2 * MINUTE)
    assert [name for name, _, _ in board.posts] == [an_alert(1).id]


async def test_low_severities_are_one_message(store: AlertStore, clock: Clock) -> None:
    routing, board = routed(Route("sec", digest=Digest("medium"))), Board(clock)
    await filled(store, *alerts(30), an_alert(99, severity="medium"))
    await until(store, board, clock, routing, NOON + 30 * MINUTE)
    await filled(store, *alerts(10, start=30))
    await until(store, board, clock, routing, NOON + 90 * MINUTE)
    own, digest = board.told("sec")
    assert own.id == an_alert(99).id
    assert {finding.id for finding in digest.findings} == {alert.id for alert in alerts(40)}
    assert digest.title == "Digest: 40 alerts"
    assert HOUR <= board.posts[1][2] < HOUR + MINUTE
    assert await store.due(10, clock()) == []
    assert len(await store.list(100)) == 41, "the digest is no alert"


async def test_what_was_gathered_and_becomes_grave_gets_its_own_message(store: AlertStore, clock: Clock) -> None:
    routing, board = routed(Route("sec", digest=Digest("medium"))), Board(clock)
    await filled(store, an_alert(1, severity="low"))
    await until(store, board, clock, routing, NOON + MINUTE)
    await filled(store, an_alert(1, severity="high", revision=2))
    await until(store, board, clock, routing, NOON + 2 * MINUTE)
    assert [name for name, _, _ in board.posts] == [an_alert(1).id]


async def test_a_digest_of_a_quiet_route_comes_when_the_quiet_hours_end(store: AlertStore, clock: Clock) -> None:
    quiet = Quiet(DayTime(11 * 60), DayTime(15 * 60), "high", Zone("UTC"))
    routing, board = routed(Route("sec", quiet=quiet, digest=Digest("medium"))), Board(clock)
    await filled(store, *alerts(3))
    await until(store, board, clock, routing, NOON + 4 * HOUR)
    ((_, _, at),) = board.posts
    assert 3 * HOUR <= at < 3 * HOUR + MINUTE


async def test_a_budget_is_kept_and_its_overflow_is_gathered(store: AlertStore, clock: Clock) -> None:
    routing, board = routed(Route("sec", budget=2)), Board(clock)
    await filled(store, *alerts(5, "medium"), *alerts(3, "critical", start=10))
    await until(store, board, clock, routing, NOON + MINUTE)
    await until(store, board, clock, routing, NOON + 2 * HOUR)
    told = board.told("sec")
    assert Counter(alert.severity for alert in told if not is_notice(alert)) == {"critical": 3}
    (digest,) = [alert for alert in told if is_notice(alert)]
    assert {finding.id for finding in digest.findings} == {alert.id for alert in alerts(5, "medium")}
    clock.now = NOON + 24 * HOUR
    await filled(store, *alerts(3, "medium", start=20))
    await until(store, board, clock, routing, NOON + 24 * HOUR + 10 * MINUTE)
    assert len(board.told("sec")) == len(told) + 2, "a new day, a new budget"


STEPS = (Step(Span(15 * MINUTE), "U1", "high"), Step(Span(HOUR), "page"))


async def test_nobody_acknowledges_and_each_step_is_taken_once_across_restarts(store: AlertStore, clock: Clock) -> None:
    routing, board = routed(Route("sec", escalate=STEPS)), Board(clock)
    await filled(store, an_alert(1, severity="high"), an_alert(2, severity="low"))
    for minutes in range(0, 180, 12):
        await until(store, board, clock, routing, NOON + minutes * MINUTE)
    places = [(place, at // MINUTE) for _, place, at in board.posts if place != "sec"]
    assert places == [("U1", 15), ("page", 60), ("page", 60)]
    assert Counter(alert.key for alert in board.told("page")) == {an_alert(1).id: 1, an_alert(2).id: 1}


async def test_who_acknowledges_stops_the_clock(store: AlertStore, clock: Clock) -> None:
    routing, board = routed(Route("sec", escalate=STEPS)), Board(clock)
    await filled(store, an_alert(1))
    await until(store, board, clock, routing, NOON + 30 * MINUTE)
    case = await store.case(an_alert(1).id)
    assert case
    await store.save_case(transition(case, "ack", "carol", clock()))  # type: ignore[arg-type]
    await until(store, board, clock, routing, NOON + 3 * HOUR)
    assert [place for _, place, _ in board.posts] == ["sec", "U1"]
    assert await store.due(10, clock()) == []


async def test_an_edit_starts_no_timer_anew(store: AlertStore, clock: Clock) -> None:
    routing, board = routed(Route("sec", escalate=STEPS)), Board(clock)
    for revision in range(1, 10):
        await filled(store, an_alert(1, revision=revision))
        await until(store, board, clock, routing, clock() + 5 * MINUTE)
    assert [place for _, place, _ in board.posts] == ["sec", "U1"]


async def test_what_becomes_grave_enough_for_another_channel_is_told_there(store: AlertStore, clock: Clock) -> None:
    routing, board = routed(Route("page", when=When("critical")), Route("sec")), Board(clock)
    await filled(store, an_alert(1, severity="low"))
    await until(store, board, clock, routing, NOON + MINUTE)
    await filled(store, an_alert(1, severity="critical", revision=2))
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await filled(store, an_alert(1, severity="critical", revision=3))
    await until(store, board, clock, routing, NOON + 9 * MINUTE)
    assert [place for _, place, _ in board.posts] == ["sec", "page"]
    assert board.now_says[an_alert(1).id].revision == 3


async def test_a_mute_keeps_and_counts_and_ends(
    store: AlertStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    mute = Mute(When(principals=("al*",)), "carol", "pentest", End(NOON + HOUR), "mute 1")
    routing, board = routed(Route("sec"), mutes=(mute,)), Board(clock)
    await filled(store, *alerts(2, "critical"), an_alert(9, principal="bob"))
    done = await until(store, board, clock, routing, NOON + MINUTE)
    assert (done.sent, done.muted) == (1, 2)
    entry = await store.get(alerts(1)[0].id)
    assert entry
    assert entry.receipt
    assert (entry.receipt.posted, entry.receipt.message_id) == (False, "muted: mute 1 by carol: pentest")
    assert len(await store.list(10)) == 3
    assert "has ended" not in caplog.text
    clock.now = NOON + 2 * HOUR
    await filled(store, an_alert(0, severity="critical", revision=2))
    await until(store, board, clock, routing, NOON + 2 * HOUR + MINUTE)
    assert caplog.text.count("mute 1 by carol: pentest has ended") == 1
    await until(store, board, clock, routing, NOON + 2 * HOUR + 2 * MINUTE)
    assert [(name, place) for name, place, _ in board.posts if place == "sec"] == [
        (an_alert(9).id, "sec"),
        (an_alert(0).id, "sec"),
    ]
    (ended,) = board.told("main")
    assert ended.title == "A mute has ended: mute 1"
    assert "carol muted it until 2026-01-31T13:00:00.000Z: pentest" in ended.reasons


async def test_an_alert_people_see_goes_on_being_edited_under_a_mute(store: AlertStore, clock: Clock) -> None:
    board = Board(clock)
    await filled(store, an_alert(1))
    await until(store, board, clock, routed(Route("sec")), NOON + MINUTE)
    mute = Mute(When(principals=("alice",)), "carol", "pentest", End(NOON + HOUR))
    await filled(store, an_alert(1, revision=2))
    await until(store, board, clock, routed(Route("sec"), mutes=(mute,)), NOON + 2 * MINUTE)
    assert board.now_says[an_alert(1).id].revision == 2


async def test_what_is_due_later_ends_no_drain(store: AlertStore, clock: Clock) -> None:
    quiet = Quiet(DayTime(0), DayTime(1439), "medium", Zone("UTC"))
    routing, board = routed(Route("sec", when=When("high"), escalate=STEPS), Route("sec", quiet=quiet)), Board(clock)
    await filled(store, an_alert(1, severity="low"), an_alert(2, severity="high"))
    stop = asyncio.Event()
    turn = run(store, board, clock=clock, sleep=clock.sleep, stop=stop, drain=True, routing=routing)
    assert await asyncio.wait_for(turn, 20) == Delivered(sent=1, waiting=3)
    assert clock() < NOON + MINUTE


class Mortal(MemoryAlertStore):
    """A store whose process is killed at one of its calls: just before it, or just after."""

    WATCHED = ("put", "due", "receipt", "begin", "lost", "failed", "postpone", "wake", "get", "case", "spend")

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.kill_at = -1
        for name in self.WATCHED:
            setattr(self, name, self._watched(getattr(self, name)))

    def _watched(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def watched(*values: Any) -> Any:
            self._perhaps()
            answer = await call(*values)
            self._perhaps()
            return answer

        return watched

    def _perhaps(self) -> None:
        self.calls += 1
        if self.calls == self.kill_at:
            raise Killed


class Long(Clock):
    """A virtual clock in long steps: few calls, so that each can be a last one."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(max(seconds, 300.0))


async def lived(kill_at: int, down: int = 0) -> tuple[Mortal, Board]:
    """A day with digest, budget, mute and escalation, killed at one call and begun again some time later."""
    clock, store = Long(), Mortal()
    mute = Mute(When(principals=("bob",)), "carol", "pentest", End(NOON + HOUR))
    digest = Route("sec", digest=Digest("medium"), budget=2, escalate=(Step(Span(15 * MINUTE), "U1", "high"),))
    routing, board = routed(digest, mutes=(mute,)), Board(clock)
    await filled(store, *alerts(3), *alerts(4, "high", start=10), an_alert(20, principal="bob"))
    store.calls, store.kill_at = 0, kill_at
    try:
        await until(store, board, clock, routing, NOON + 2 * HOUR)
    except Killed:
        clock.now += down
        await until(store, board, clock, routing, NOON + 4 * HOUR)
    return store, board


@pytest.mark.parametrize("down", [0, HOUR])
async def test_killed_at_any_call_nothing_is_lost_and_nothing_is_told_twice(down: int) -> None:
    whole, told = await lived(-1)
    assert Counter(place for _, place, _ in told.posts) == {"sec": 3, "U1": 2, "main": 1}
    for kill_at in range(1, whole.calls + 1):
        store, board = await lived(kill_at, down)
        names = Counter(name for name, _, _ in board.posts)
        assert set(names.values()) == {1}, f"told twice, killed at call {kill_at}"
        own = {name for name in names if not is_notice(board.now_says[name])}
        gathered = [one.id for alert in board.told("sec") if is_notice(alert) for one in alert.findings]
        wanted = {alert.id for alert in (*alerts(3), *alerts(4, "high", start=10))}
        assert own | set(gathered) == wanted, f"lost, killed at call {kill_at}"
        assert len(own) + len(gathered) == len(wanted), f"in a digest and out of it, killed at call {kill_at}"
        assert {alert.key for alert in board.told("U1")} == own, f"escalation, killed at call {kill_at}"
        assert await store.due(10, NOON + 9 * HOUR) == []


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer(channels={"C1": "C1", "C2": "C2", "U9": "D9", "D9": "D9"}) as running:
        yield running


async def test_slack_at_its_worst_sees_each_digest_and_escalation_once(
    store: AlertStore, slack: SlackServer, clock: Clock
) -> None:
    """Real HTTP, real slack-sdk."""
    slack.now = lambda: clock() / SECOND
    route = Route("C2", digest=Digest("medium"), escalate=(Step(Span(15 * MINUTE), "U9"),))
    await filled(store, *alerts(5), *alerts(3, "high", start=10))
    faults = ["reset_done", "429:3", "500_done", "ok", "reset", "502", "garbage", "ok"]
    for end in (1, 16, 61, 200):
        slack.plan.extend(faults)
        notifier = SlackNotifier(TOKEN, "C1", slack.url)
        await until(store, notifier, clock, routed(route), NOON + end * MINUTE)
        await notifier.close()
    places = Counter(place for place, _ in slack.messages)
    assert places == {"C2": 4, "D9": 3}
    names = Counter(post["metadata"]["event_payload"]["alert_id"] for post in slack.posts)
    assert set(names.values()) == {1}
    (digest,) = [post for post in slack.posts if "Digest" in post["text"]]
    assert "Digest: 5 alerts" in digest["text"]
    assert await store.due(10, clock()) == []


def test_a_notice_says_what_it_is() -> None:
    assert not is_notice(an_alert())
    assert not is_escalation(msgspec.structs.replace(an_alert(), id="escalation:x"))
