"""Asking as it runs: payloads of Slack through the table of handlers, into the outbox and to the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alerting.ask import question_id
from alerting.casework import Casework
from alerting.clicks import Clicks, Slack
from alerting.interaction import Click, value_of
from alerting.route import Routing
from alerting.staff import Staff
from alerting.store import AlertStore
from streams import teach
from streams.clicks import handlers_of
from streams.packet import Control
from streams.routing import routing_of
from streams.settings import Settings
from tests.alerting.asked import ALICE, BOB, CAROL, COMPANY, MINUTE, an_event_alert, asking_routes
from tests.alerting.clicking import payload, submission
from tests.alerting.conftest import NOON, Clock, redis_port, redis_store, store  # noqa: F401 - fixtures
from tests.alerting.slack_server import TEAM
from tests.alerting.test_routed import Board, Hurried, filled, until

ALERT = an_event_alert()


class Desk:
    """The handlers as a dispatcher has them; what they whisper and send is kept."""

    def __init__(self, outbox: AlertStore, clock: Clock, routing: Routing, monkeypatch: pytest.MonkeyPatch) -> None:
        self.whispers: list[tuple[str, str]] = []
        self.dialogs: list[dict[str, Any]] = []
        self.sent: list[Control] = []
        self.triggers = iter(range(1_000))
        staff = Staff(lambda: COMPANY)
        handlers = handlers_of(Settings(), Casework(outbox, staff), lambda: routing, self._dialog)
        self.clicks = Clicks(handlers, staff.person, Slack(self._team, self._whisper), clock)
        monkeypatch.setattr(teach, "send", self._send)

    async def press(self, action: str, who: str, value: str, **more: Any) -> None:
        self.clicks.accept(payload(action, who, value, trigger=str(next(self.triggers)), **more))
        await self.clicks.finish()

    async def submit(self, view: dict[str, Any], who: str, **inputs: str) -> None:
        self.clicks.accept(submission(view, who, trigger=str(next(self.triggers)), **inputs))
        await self.clicks.finish()

    async def _team(self) -> str:
        return TEAM

    async def _dialog(self, trigger: str, view: dict[str, Any]) -> None:
        self.dialogs.append(view)

    async def _whisper(self, click: Click, text: str) -> None:
        self.whispers.append((click.user, text))

    async def _send(self, settings: Settings, controls: Sequence[Control]) -> None:
        self.sent += controls


async def question(outbox: AlertStore, place: int = 0) -> str:
    case = await outbox.case(ALERT.id)
    assert case
    assert case.ask
    return value_of(ALERT.id, 0, question=question_id(ALERT.id, case.ask, place))


@pytest.mark.parametrize(("word", "kind"), [("yes", "learn"), ("no", "drop")])
async def test_an_answer_reaches_case_people_label_and_baseline(
    store: AlertStore,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    word: str,
    kind: str,
) -> None:
    clock, routing = Hurried(), asking_routes()
    board, desk = Board(clock), Desk(store, clock, routing, monkeypatch)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await desk.press(f"case.{word}", BOB, await question(store))
    assert desk.whispers == [(BOB, "This question is for somebody else: only the person it was put to can answer it.")]
    assert desk.sent == []
    await desk.press(f"case.{word}", ALICE, await question(store))
    assert [(control.kind, control.principal, control.by) for control in desk.sent] == [(kind, "alice", "alice")]
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    assert [label.how for label in await store.labels()] == ["asked"]
    assert len(board.told("sec")) == (1 if word == "yes" else 2)


async def test_the_menu_of_the_alert_asks_and_the_teams_own_verdict_ends_it(
    store: AlertStore,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, routing = Hurried(), asking_routes()
    board, desk = Board(clock), Desk(store, clock, routing, monkeypatch)
    quiet = an_event_alert(severity="low")
    await filled(store, quiet)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await desk.press("case.more", CAROL, value_of(quiet.id, 0, do="ask"), do="ask")
    assert desk.whispers == [(CAROL, "Asking alice, then bob.")]
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    assert [place for _, place, _ in board.posts] == ["sec", ALICE]
    await desk.press("case.false_positive", CAROL, value_of(quiet.id, 1))
    await until(store, board, clock, routing, NOON + 15 * MINUTE)
    assert [place for _, place, _ in board.posts] == ["sec", ALICE, ALICE]
    assert "carol closed it as a false alarm" in board.told(ALICE)[1].summary
    assert [control.kind for control in desk.sent] == ["learn"]


async def test_a_reason_is_noted_closes_nothing_and_reaches_whoever_answers_for_the_person(
    store: AlertStore,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, routing = Hurried(), asking_routes()
    board, desk = Board(clock), Desk(store, clock, routing, monkeypatch)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await desk.press("case.reason", BOB, await question(store))
    assert desk.dialogs == []
    assert desk.whispers == [(BOB, "This question is for somebody else: only the person it was put to can answer it.")]
    await desk.press("case.reason", ALICE, await question(store))
    [view] = desk.dialogs
    await desk.submit(view, BOB, reason="I say so")
    assert len(desk.whispers) == 2
    await desk.submit(view, ALICE, ticket="CHG-12", reason="Root was needed for the <!channel> bill")
    case = await store.case(ALERT.id)
    assert case
    assert case.ask
    assert (case.status, case.resolution, case.ask.open, case.actor) == ("open", None, True, "alice")
    assert case.note == "ticket CHG-12: Root was needed for the <!channel> bill"
    assert desk.sent == [], "the baselines wait for a verdict"
    await until(store, board, clock, routing, NOON + 10 * MINUTE)
    [told] = board.told(BOB)
    assert told.title.startswith("alice gave a reason at")
    assert told.reasons == (case.note,)
    await until(store, board, clock, routing, NOON + 50 * MINUTE)
    assert board.told(BOB)[-1].id.startswith("ask:question:"), "a reason does not stop the clock"
    await desk.press("case.no", ALICE, await question(store))
    denied = await store.case(ALERT.id)
    assert denied
    assert denied.status == "reopened", "a no counts at any time"


async def test_a_reason_for_what_is_closed_is_not_needed(
    store: AlertStore,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, routing = Hurried(), asking_routes()
    board, desk = Board(clock), Desk(store, clock, routing, monkeypatch)
    await filled(store, ALERT)
    await until(store, board, clock, routing, NOON + 5 * MINUTE)
    await desk.press("case.reason", ALICE, await question(store))
    await desk.press("case.yes", ALICE, await question(store))
    await desk.submit(desk.dialogs[0], ALICE, reason="late")
    assert "has closed it already" in desk.whispers[-1][1]


ROUTES = "routes: [{channel: sec}]\nask: [{when: {severity: high}}]\n"


@pytest.mark.parametrize(
    ("given", "asks"),
    [
        ({"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1"}, 1),
        ({"slack_bot_token": "xoxb-1", "slack_http": "127.0.0.1:1"}, 1),
        ({"slack_bot_token": "xoxb-1"}, 0),
        ({"slack_app_token": "xapp-1"}, 0),
        ({}, 0),
    ],
)
def test_nobody_is_asked_where_no_answer_can_arrive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: dict[str, str], asks: int
) -> None:
    (tmp_path / "routes.yml").write_text(ROUTES)
    caplog.set_level("INFO")
    routing = routing_of(Settings(routes=tmp_path / "routes.yml", **given), NOON)  # type: ignore[arg-type]
    assert len(routing.routes.ask) == asks
    assert ("nobody is asked" in caplog.text) == (asks == 0)
    assert bool(routing.known.sources) == (asks == 1), "whose Slack is in doubt depends on what rules watch"


def test_without_routes_people_are_known_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "context.yml").write_text("users: [{id: alice, identities: {slack: [U0ALICE]}}]\n")
    routing = routing_of(Settings(context=tmp_path / "context.yml"), NOON)
    assert routing.known.context.person("alice")
