"""Changes that nothing explains and that deserve no alert: nobody is told of them, whoever made them is asked why."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from alerting.alert import EXPLAINED, Alert, from_line, to_line
from alerting.ask_answer import Asks
from alerting.ask_who import Asking
from alerting.case import Case, Step
from alerting.casework import advance
from alerting.desk import Ask, Deliver, Renew, Silence, decide
from alerting.mute import Mute
from alerting.notifier import Receipt
from alerting.risk import fold
from alerting.route import Routing
from alerting.route_time import Span
from alerting.staff import Staff
from alerting.store import AlertStore, Entry
from alerting.store_memory import MemoryAlertStore
from alerting.when import When
from audit.context_schema import DAY, End
from audit.finding import Finding
from tests.alerting.asked import ALICE, BOB, COMPANY, LOGIN, MINUTE, WAIT, a_click, asking_routes
from tests.alerting.conftest import HOUR, NOON, Clock, a_finding
from tests.alerting.test_ask_follow import _mortal
from tests.alerting.test_routed import Board, Hurried, Killed, filled, until

PAPER = "change CHG-1 approved by mira until 2026-01-31 14:00 UTC"
CHANGES = Asking(When(detections=("change.*",)), Span(WAIT), through=("slack",), closes="low")


def change(number: int = 1, **changes: Any) -> Finding:
    fields = {"id": f"c{number}", "detection": "change.unexplained", "severity": "low", "risk": 10}
    return a_finding(**fields | {"title": "Rights given", "evidence": (LOGIN,), "event_ids": ("e1",)} | changes)


def told(*findings: Finding) -> Alert | None:
    """The last revision, the same in both orders."""
    last = []
    for order in (findings, findings[::-1]):
        state, said = None, dict[int, Alert]()
        for finding in order:
            state, alerts = fold(state, finding)
            said |= {alert.revision: alert for alert in alerts}
        last.append(said[max(said)] if said else None)
    assert last[0] == last[1]
    return last[0]


def quiet(**changes: Any) -> Alert:
    alert = told(change())
    assert alert is not None
    return msgspec.structs.replace(alert, **changes)


class TestWhatIsQuiet:
    def test_a_change_that_deserves_no_alert(self) -> None:
        alert = quiet()
        assert (alert.quiet, alert.severity, alert.risk, alert.status, alert.title) == (
            True, "low", 10, "open", "Rights given",
        )  # fmt: skip
        assert from_line(to_line(alert)) == alert

    def test_other_small_things_are_none_and_do_not_speak_for_it(self) -> None:
        other = a_finding(id="x", detection="r", severity="medium", risk=20, title="Odd hour")
        assert told(other) is None
        alert = told(other, change())
        assert alert is not None
        assert (alert.quiet, alert.title, alert.severity) == (True, "Rights given", "medium")

    def test_it_is_told_once_it_adds_up(self) -> None:
        alert = told(change(), a_finding(id="x", detection="r", severity="high", risk=60))
        assert alert is not None
        assert not alert.quiet
        assert alert.severity == "high"

    def test_what_paper_explains_is_no_change_to_ask_about(self) -> None:
        assert told(change(explained=PAPER)) is None
        both = told(change(explained=PAPER), change(2))
        assert both is not None
        assert both.quiet
        closed = told(change(2), a_finding(id="x", detection="r", severity="high", explained=PAPER))
        assert closed is not None
        assert (closed.resolution, closed.quiet) == (EXPLAINED, False)


class TestWhatBecomesOfIt:
    def test_nobody_is_told(self) -> None:
        entry = Entry(quiet())
        assert decide([entry], NOON, asking_routes(CHANGES)) == decide([entry], NOON) == [Ask(entry)]

    def test_what_is_muted_is_not_asked_about(self) -> None:
        mute = Mute(When(detections=("change.*",)), "mira", "reorganisation", End(NOON + HOUR))
        routing = asking_routes(CHANGES)
        muted = msgspec.structs.replace(routing, routes=msgspec.structs.replace(routing.routes, mutes=(mute,)))
        entry = Entry(quiet())
        assert decide([entry], NOON, muted) == [Silence(entry, mute)]

    def test_what_people_reopen_or_what_adds_up_has_a_message(self) -> None:
        kept = Receipt(1, "low", "", "quiet")
        reopened = Entry(quiet(), moved=Case(quiet().id, "reopened", version=1))
        assert isinstance(decide([reopened], NOON, asking_routes())[0], Deliver)
        assert decide([Entry(quiet(quiet=False, revision=2), kept)], NOON, asking_routes()) == [
            Renew(Entry(quiet(quiet=False, revision=2), kept))
        ]


@pytest.fixture
def clock() -> Clock:
    return Hurried()


async def case_of(store: AlertStore) -> Case:
    case = await store.case(quiet().id)
    assert case
    return case


async def say(store: AlertStore, routing: Routing, clock: Clock, word: str, place: int = 0) -> None:
    click = a_click(quiet(), (await case_of(store)).ask, place, action=f"case.{word}", at=clock())
    assert (await Asks(store, lambda: routing, Staff(lambda: COMPANY), _unheard).answer(click)).text == ""


async def test_who_made_it_is_asked_and_the_channel_hears_nothing(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(CHANGES), Board(clock)
    await filled(store, quiet())
    done = await until(store, board, clock, routing, NOON + 5 * MINUTE)
    assert (done.quiet, done.explained) == (1, 0)
    assert [place for _, place, _ in board.posts] == [ALICE]
    assert board.told(ALICE)[0].summary.startswith("Rights given. It was done in your name, and no ticket explains it.")
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    await store.put(quiet(revision=2))
    await until(store, board, clock, routing, NOON + 15 * MINUTE)
    assert [place for _, place, _ in board.posts] == [ALICE], "more of the same is not asked again"


async def test_a_yes_closes_it_and_the_manager_hears_of_it(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(CHANGES), Board(clock)
    await filled(store, quiet())
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await say(store, routing, clock, "yes")
    await until(store, board, clock, routing, NOON + 2 * HOUR)
    case = await case_of(store)
    assert (case.status, case.resolution, case.actor) == ("resolved", "benign", "alice")
    assert [place for _, place, _ in board.posts] == [ALICE, BOB]
    assert board.told(BOB)[0].title.startswith("alice said yes at")
    await store.put(quiet(revision=3, severity="medium"))
    await until(store, board, clock, routing, NOON + 3 * HOUR)
    assert len(board.posts) == 2, "a rule's finding beside it is not what was asked"


async def test_a_manager_who_was_asked_too_hears_the_end_once(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(CHANGES), Board(clock)
    await filled(store, quiet())
    await until(store, board, clock, routing, NOON + 40 * MINUTE)
    assert [place for _, place, _ in board.posts] == [ALICE, BOB]
    await say(store, routing, clock, "yes")
    await until(store, board, clock, routing, NOON + 2 * HOUR)
    assert [place for _, place, _ in board.posts] == [ALICE, BOB, BOB]


async def test_when_nobody_answers_the_channel_hears_of_it(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(CHANGES), Board(clock)
    await filled(store, quiet())
    await until(store, board, clock, routing, NOON + 3 * HOUR)
    assert [place for _, place, _ in board.posts] == [ALICE, BOB, "main"]
    assert board.told("main")[0].title == "No answer: Rights given"
    assert (await case_of(store)).status == "open", "without a ticket it stays open"


async def test_a_no_is_told_at_once_and_the_alert_has_a_message(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(CHANGES), Board(clock)
    await filled(store, quiet())
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await say(store, routing, clock, "no")
    await until(store, board, clock, routing, NOON + 20 * MINUTE)
    assert sorted(one.title for one in board.told("sec")) == ["Not them: Rights given", "Rights given"]
    await advance(store, quiet().id, Step("resolve", "carol", clock()))
    await until(store, board, clock, routing, NOON + 2 * HOUR)
    assert len(board.told("sec")) == 2
    assert await store.due(10, clock()) == []


async def test_another_kind_of_change_after_a_yes_is_told(store: AlertStore, clock: Clock) -> None:
    routing, board = asking_routes(CHANGES), Board(clock)
    await filled(store, quiet())
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await say(store, routing, clock, "yes")
    more = told(change(), change(2, detection="change.handover", severity="medium", risk=30))
    assert more is not None
    assert more.quiet
    await store.put(more)
    await until(store, board, clock, routing, NOON + 30 * MINUTE)
    assert (await case_of(store)).note == "more has joined than alice said yes to"
    assert [one.id for one in board.told("sec")] == [more.id]


@pytest.mark.parametrize(
    ("rule", "age"),
    [
        (Asking(When("low")), 0),
        (Asking(When("medium", detections=("change.*",))), 0),
        (CHANGES, 8 * DAY),
    ],
)
async def test_who_is_not_asked(store: AlertStore, clock: Clock, rule: Asking, age: int) -> None:
    """Entries that name no detections are about alerts; and nobody remembers last month."""
    board = Board(clock)
    await filled(store, quiet(time=NOON - age))
    await until(store, board, clock, asking_routes(rule), NOON + 2 * HOUR)
    assert board.posts == []
    (listed,) = await store.list(10)
    assert listed.receipt
    assert listed.receipt.message_id == "quiet"


async def _life(word: str, end: float | None) -> tuple[list[tuple[str, str]], Case, int]:
    """One change, asked about and answered after ten minutes, in a process that dies once; what people saw."""
    clock, routing, store = Hurried(), asking_routes(CHANGES), MemoryAlertStore()
    board, calls = Board(clock), itertools.count()
    await filled(store, quiet())
    real = dict(vars(store))
    _mortal(store, calls, end)  # type: ignore[arg-type]
    for step in (10, 11, 90):
        for _ in range(2):
            try:
                if step == 11 and word != "nobody":
                    click = a_click(quiet(), (await case_of(store)).ask, action=f"case.{word}", at=clock())
                    await Asks(store, lambda: routing, Staff(lambda: COMPANY), _unheard).answer(click)
                await until(store, board, clock, routing, max(clock(), NOON + step * MINUTE))
                break
            except Killed:
                for name in [name for name in vars(store) if name not in real]:
                    delattr(store, name)
    seen = [(board.now_says[name].title, place) for name, place, _ in board.posts]
    return sorted(seen), await case_of(store), next(calls)


async def _unheard(alert: Alert, case: Case) -> None:
    """No hooks."""


@pytest.mark.parametrize("word", ["yes", "no", "nobody"])
async def test_killed_at_any_write_everything_is_said_once(word: str) -> None:
    whole, case, writes = await _life(word, None)
    assert writes > 5
    for end in range(writes):
        for moment in (end, end + 0.5):
            seen, after, _ = await _life(word, moment)
            assert seen == whole, moment
            assert (after.status, after.resolution) == (case.status, case.resolution), moment
