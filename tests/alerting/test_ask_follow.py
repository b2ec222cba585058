"""Asking in the dispatcher: who is asked when, answers, time that runs out; killed at any call, all is told once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

from alerting.alert import Alert
from alerting.ask import Ask
from alerting.ask_answer import Asks
from alerting.ask_notice import is_question
from alerting.ask_who import Asking
from alerting.case import Case, transition
from alerting.notifier import Receipt, WrongChannel
from alerting.route import Route, Routes, Routing, Step
from alerting.route_time import Span
from alerting.staff import Staff
from alerting.store import AlertStore
from alerting.store_memory import MemoryAlertStore
from alerting.when import When
from tests.alerting.asked import ALICE, BOB, CAROL, COMPANY, KNOWN, MINUTE, a_click, an_event_alert, asking_routes
from tests.alerting.conftest import NOON, Clock, an_alert
from tests.alerting.test_routed import Board, Hurried, Killed, filled, until

ALERT = an_event_alert()


@pytest.fixture
def clock() -> Clock:
    return Hurried()


def desk(store: AlertStore, routing: Routing, told: list[Case] | None = None) -> Asks:
    async def hook(alert: Alert, case: Case) -> None:
        if told is not None:
            told.append(case)

    return Asks(store, lambda: routing, Staff(lambda: COMPANY), hook)


async def ask_of(store: AlertStore, alert: Alert = ALERT) -> Ask:
    case = await store.case(alert.id)
    assert case
    assert case.ask
    return case.ask


async def say(store: AlertStore, routing: Routing, clock: Clock, word: str, place: int = 0, **changes: Any) -> str:
    click = a_click(ALERT, await ask_of(store), place, action=f"case.{word}", at=clock(), **changes)
    return (await desk(store, routing).answer(click)).text


def places(board: Board) -> list[tuple[str, int]]:
    """(whom, minutes after noon), in order."""
    return [(place, at // MINUTE) for _, place, at in board.posts]


def says(board: Board, place: str) -> list[tuple[str, str]]:
    """(title, summary) of what somebody sees now."""
    return [(alert.title, alert.summary) for alert in board.told(place)]


async def test_the_person_then_the_manager_then_the_channel_each_once_over_restarts(
    store: AlertStore, clock: Clock
) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    for minutes in range(1, 180, 7):
        await until(store, board, clock, routing, NOON + minutes * MINUTE)
    assert places(board)[:4] == [("sec", 0), (ALICE, 0), (BOB, 30), ("sec", 60)]
    assert sorted(places(board)[4:]) == [(ALICE, 60), (BOB, 60)], "they hear that time is up"
    case = await store.case(ALERT.id)
    assert case
    assert (case.status, case.steps[-1].action, case.steps[-1].actor) == ("open", "unanswered", "auditwatch")
    assert board.told("sec")[1].title == "No answer: Root login"
    assert board.told("sec")[1].reasons[0] == "alice and bob did not answer within 30m each, or could not be reached."
    assert says(board, ALICE)[0][1].startswith("Nobody answered in time")
    assert await store.due(10, clock()) == []


async def test_what_no_route_asks_about_is_not_asked(store: AlertStore, clock: Clock) -> None:
    board = Board(clock)
    await filled(store, an_event_alert(1, severity="medium"), an_event_alert(2, principal="nobody"))
    await until(store, board, clock, asking_routes(), NOON + MINUTE)
    await until(store, board, clock, asking_routes(Asking(When(tags=("T1110",)))), NOON + 2 * MINUTE)
    assert [place for place, _ in places(board)] == ["sec", "sec"]


async def test_a_yes_closes_and_is_told_to_all_who_were_asked(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 40 * MINUTE)
    assert await say(store, routing, clock, "yes") == ""
    await until(store, board, clock, routing, NOON + 200 * MINUTE)
    case = await store.case(ALERT.id)
    assert case
    assert (case.status, case.resolution, case.actor) == ("resolved", "benign", "alice")
    assert places(board) == [("sec", 0), (ALICE, 0), (BOB, 30), (BOB, 40)], "the channel hears of no silence"
    assert says(board, ALICE)[0][1].startswith("You said yes at 31 Jan 12:40 UTC: this alert is closed.")
    assert all("alice said yes at 31 Jan 12:40 UTC" in summary for _, summary in says(board, BOB))
    assert [alert.status for alert in board.told(ALICE)] == ["acknowledged"], "one may still say no"


async def test_who_was_not_asked_yet_hears_nothing(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await say(store, routing, clock, "yes")
    await until(store, board, clock, routing, NOON + 100 * MINUTE)
    assert [place for place, _ in places(board)] == ["sec", ALICE]
    assert await store.due(10, clock()) == []


async def test_a_no_goes_back_to_the_channel_as_critical_at_once(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await say(store, routing, clock, "no")
    await until(store, board, clock, routing, NOON + 6 * MINUTE)
    assert places(board) == [("sec", 0), (ALICE, 0), ("sec", 5)]
    told = board.told("sec")[1]
    assert (told.title, told.severity) == ("Not them: Root login", "critical")
    assert told.reasons[0].startswith("alice was asked and said no at 31 Jan 12:05 UTC")
    case = await store.case(ALERT.id)
    assert case
    assert case.status == "reopened"
    assert says(board, ALICE)[0][1].startswith("You said no at")
    assert board.told(ALICE)[0].status == "resolved", "nothing is left to answer"


async def test_a_no_that_nobody_takes_up_escalates_although_the_alert_was_taken_up(
    store: AlertStore, clock: Clock
) -> None:
    steps = (Step(Span(15 * MINUTE), "lead", "critical"),)
    routing, board = asking_routes(escalate=steps), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    case = await store.case(ALERT.id)
    assert case
    taken = transition(case, "ack", "carol", clock())
    assert isinstance(taken, Case)
    assert await store.save_case(taken)
    await say(store, routing, clock, "no")
    for minutes in (10, 30, 60):
        await until(store, board, clock, routing, NOON + minutes * MINUTE)
    assert [(place, at) for place, at in places(board) if place == "lead"] == [("lead", 20)]


async def test_a_no_also_reaches_where_critical_alerts_go(store: AlertStore, clock: Clock) -> None:
    pages = Routes((Route("pager", when=When("critical")), Route("sec")), ask=(Asking(),))
    routing, board = Routing(pages, KNOWN), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await say(store, routing, clock, "no")
    await until(store, board, clock, routing, NOON + 8 * MINUTE)
    assert sorted(place for place, _ in places(board)) == sorted(["sec", ALICE, "sec", "pager"])


async def test_when_the_team_closes_it_whoever_was_asked_hears_that(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    case = await store.case(ALERT.id)
    assert case
    closed = transition(case, "false_positive", "carol", clock())
    assert isinstance(closed, Case)
    assert await store.save_case(closed)
    await until(store, board, clock, routing, NOON + 100 * MINUTE)
    assert [place for place, _ in places(board)] == ["sec", ALICE, ALICE]
    assert all("carol closed it as a false alarm" in summary for _, summary in says(board, ALICE))


async def test_the_wrong_person_and_a_double_click_change_nothing(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    before = await store.case(ALERT.id)
    assert "somebody else" in await say(store, routing, clock, "yes", user=BOB)
    assert "somebody else" in await say(store, routing, clock, "no", user="U0MALLORY")
    assert await store.case(ALERT.id) == before
    assert await say(store, routing, clock, "yes") == ""
    after = await store.case(ALERT.id)
    assert "Already answered: alice said yes" in await say(store, routing, clock, "yes")
    assert await store.case(ALERT.id) == after


async def test_a_late_yes_closes_nothing_and_a_late_no_raises(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 70 * MINUTE)
    assert await say(store, routing, clock, "yes") == ""
    await until(store, board, clock, routing, NOON + 80 * MINUTE)
    case = await store.case(ALERT.id)
    assert case
    assert (case.status, case.steps[-1].action) == ("open", "noted")
    assert "The security team knows, and still looks at it." in says(board, ALICE)[0][1]
    assert await say(store, routing, clock, "no", place=1) == ""
    await until(store, board, clock, routing, NOON + 90 * MINUTE)
    assert board.told("sec")[-1].severity == "critical"


async def test_what_outgrows_a_yes_is_open_again(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await say(store, routing, clock, "yes")
    await filled(store, an_event_alert(revision=2))
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    case = await store.case(ALERT.id)
    assert case
    assert case.status == "resolved", "more of the same is what was said yes to"
    await filled(store, an_event_alert(revision=3, severity="critical"))
    await until(store, board, clock, routing, NOON + 15 * MINUTE)
    case = await store.case(ALERT.id)
    assert case
    assert (case.status, case.steps[-1].action) == ("reopened", "reopen")
    assert [place for place, _ in places(board)] == ["sec", ALICE, ALICE], "alice hears that it goes on"


class Deaf(Board):
    """A board some of whose people cannot be written to."""

    def __init__(self, clock: Clock, *deaf: str) -> None:
        super().__init__(clock)
        self.deaf = deaf

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        if channel in self.deaf:
            raise WrongChannel("channel_not_found")
        return await super().deliver(alert, channel, previous, case)


async def test_who_cannot_be_reached_is_passed_over_and_nobody_else_sees_the_question(
    store: AlertStore, clock: Clock
) -> None:
    routing, board = asking_routes(), Deaf(clock, ALICE)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    assert places(board) == [("sec", 0), (BOB, 0)]
    deaf = Deaf(clock, ALICE, BOB)
    await filled(store, an_event_alert(2))
    await until(store, deaf, clock, routing, NOON + 20 * MINUTE)
    assert [place for place, _ in places(deaf)] == ["sec", "sec"]
    assert not any(is_question(alert) for alert in deaf.told("sec"))


async def test_an_account_in_doubt_is_never_written_to(store: AlertStore, clock: Clock) -> None:
    okta = msgspec.structs.replace(ALERT.evidence[0], source="okta")
    routing, board = asking_routes(), Board(clock)
    await filled(store, an_event_alert(evidence=(okta,)))
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    assert "alice is not asked: it rests on okta" in board.told(BOB)[0].summary
    await until(store, board, clock, routing, NOON + 100 * MINUTE)
    assert [place for place, _ in places(board)] == ["sec", BOB, "sec", BOB]


async def test_the_team_asks_by_hand(store: AlertStore, clock: Clock) -> None:
    routing, board = Routing(Routes((Route("sec"),)), KNOWN), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    told: list[Case] = []
    asks = desk(store, routing, told)
    wish = a_click(ALERT, None, action="case.ask", user=CAROL, person="carol", at=clock())
    assert (await asks.begin(wish)).text == "Asking alice, then bob."
    assert "asked already" in (await asks.begin(wish)).text
    about_him = msgspec.structs.replace(wish, user=ALICE, person="alice")
    assert "about you" in (await asks.begin(about_him)).text
    assert [case.steps[-1].actor for case in told] == ["carol"]
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    assert places(board) == [("sec", 0), (ALICE, 5)]
    unknown = an_event_alert(7, principal="nobody")
    await filled(store, unknown)
    assert "Nobody can be asked" in (await asks.begin(a_click(unknown, None, user=CAROL, person="carol"))).text
    assert "no such alert" in (await asks.begin(a_click(an_alert(8), None))).text


async def test_clicks_on_questions_that_are_gone(store: AlertStore, clock: Clock) -> None:
    asks = desk(store, asking_routes())
    assert "no such alert" in (await asks.answer(a_click(ALERT, None))).text
    await filled(store, ALERT)
    assert "not current" in (await asks.answer(a_click(ALERT, None))).text
    assert "another version" in (await asks.answer(a_click(ALERT, None, action="case.maybe"))).text


async def test_two_answers_at_once_count_as_one(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(), Board(clock)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 40 * MINUTE)
    answers = await asyncio.gather(*(say(store, routing, clock, "yes", place) for place in (0, 1, 0, 1)))
    assert sorted(text == "" for text in answers) == [False, False, False, True]
    case = await store.case(ALERT.id)
    assert case
    assert [step.action for step in case.steps] == ["ask", "confirm"]


def _mortal(store: MemoryAlertStore, calls: Iterator[int], end: int) -> None:
    """Every write of the store counts; at number `end` the process dies, before or after it."""
    for name in ("put", "receipt", "begin", "save_case", "failed", "postpone", "lost"):
        method: Callable[..., Awaitable[Any]] = getattr(store, name)

        async def dying(*arguments: Any, _method: Callable[..., Awaitable[Any]] = method) -> Any:
            number = next(calls)
            if number == end:
                raise Killed
            result = await _method(*arguments)
            if number + 0.5 == end:
                raise Killed
            return result

        setattr(store, name, dying)


async def _life(word: str, end: float | None) -> tuple[list[tuple[str, str]], Case | None, int]:
    """One alert, asked about and answered after 40 minutes, in a process that dies once; what people saw."""
    clock, routing, store = Hurried(), asking_routes(), MemoryAlertStore()
    board, calls = Board(clock), itertools.count()
    await filled(store, ALERT)
    real = dict(vars(store))
    _mortal(store, calls, end)  # type: ignore[arg-type]
    for step in (40, 41, 100, 101):
        for _ in range(2):
            try:
                if step == 41 and word != "nobody":
                    await say(store, routing, clock, word)
                await until(store, board, clock, routing, max(clock(), NOON + step * MINUTE))
                break
            except Killed:
                for name in [name for name in vars(store) if name not in real]:
                    delattr(store, name)
    seen = [(board.now_says[name].title, place) for name, place, _ in board.posts]
    return sorted(seen), await store.case(ALERT.id), next(calls)


@pytest.mark.parametrize("word", ["yes", "no", "nobody"])
async def test_killed_at_any_write_everything_is_said_once(word: str) -> None:
    whole, case, writes = await _life(word, None)
    assert case
    assert writes > 10
    for end in range(writes):
        for moment in (end, end + 0.5):
            seen, after, _ = await _life(word, moment)
            assert seen == whole, moment
            assert after
            assert (after.status, after.resolution) == (case.status, case.resolution), moment
            assert [step.action for step in after.steps] == [step.action for step in case.steps], moment
