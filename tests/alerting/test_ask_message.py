"""What people see who are asked: within Slack's limits, dead to the log; and the whole way over real HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting import ask_notice as notices
from alerting.alert import Alert
from alerting.ask import Ask, Asked, question_id
from alerting.ask_answer import Asks
from alerting.ask_case import asking, said
from alerting.ask_message import render_ask
from alerting.case import Case
from alerting.interaction import clicks
from alerting.slack import SlackNotifier
from alerting.staff import Staff
from alerting.store import AlertStore
from alerting.store_memory import MemoryAlertStore
from tests.alerting.asked import ALICE, BOB, COMPANY, MINUTE, WAIT, an_event_alert, asking_routes
from tests.alerting.clicking import payload
from tests.alerting.conftest import NOON, Clock
from tests.alerting.hostile import hostile_alerts, hostile_cases
from tests.alerting.slack_server import TOKEN, SlackServer, complaints
from tests.alerting.test_routed import Hurried, filled, until
from tests.alerting.test_slack_message import texts

ALERT = an_event_alert()
ASK = Ask((Asked("alice", ALICE), Asked("bob", BOB, "manager")), WAIT, "carol", NOON, ("r-root-login",), "high")


def body_of(notice: Alert) -> dict[str, Any]:
    message = render_ask(notice)
    return {"text": message.text, "blocks": message.blocks, "metadata": message.metadata}


def actions(body: dict[str, Any]) -> list[str]:
    return [one["action_id"] for block in body["blocks"] if block["type"] == "actions" for one in block["elements"]]


def every_notice(alert: Alert, case: Case, ask: Ask) -> Iterator[Alert]:
    for place in (0, 1):
        yield notices.question(alert, ask, place, NOON)
        yield notices.closed(alert, case, ask, place)
        yield notices.heard(alert, case, ask, place)
    yield notices.nobody(alert, ask, "C1", NOON)
    yield notices.denied(alert, ask, "C1")


@settings(max_examples=60, deadline=None)
@given(hostile_alerts, st.sampled_from(["", "yes", "no", "nobody", "noted"]), hostile_cases)
def test_whatever_the_log_says_it_is_a_message_and_dead(alert: Alert, end: Any, case: Case | None) -> None:
    ask = msgspec.structs.replace(ASK, end=end, said_by="alice", said_at=NOON, doubt="it rests on okta")
    case = msgspec.structs.replace(case or Case("a"), alert_id=alert.id)
    for notice in every_notice(alert, case, ask):
        body = body_of(notice)
        assert complaints(body) == []
        assert len(body["text"].encode()) <= 4000
        json.dumps(body, ensure_ascii=False).encode()
        for text in (body["text"], *(part["text"] for part in texts(body))):
            assert not re.search(r"<|>|&(?!amp;|lt;|gt;)|https?://", text, re.IGNORECASE)
            assert text.replace("\n", "").isprintable()
        assert all(part.get("type") != "mrkdwn" for part in texts(body))


def test_the_question_says_what_was_done_in_the_words_of_the_person_and_not_why_we_noticed() -> None:
    body = body_of(notices.question(ALERT, ASK, 0, NOON))
    shown = json.dumps(body, ensure_ascii=False)
    assert body["text"].startswith("❓ Was this you? Root login. It was done in your name.")
    assert "31 Jan 12:00 UTC: cloudtrail ConsoleLogin account 1 from 198.51.100.7 (PT)" in shown
    for secret in ("risk", "r-root-login", "rules1", "new country", "T1098"):
        assert secret not in shown, "who is asked may be the attacker"
    assert actions(body) == ["case.yes", "case.no", "case.reason"]


def test_who_answers_for_somebody_hears_why_and_how_to_ask() -> None:
    doubted = msgspec.structs.replace(ASK, doubt="it rests on okta, through which Slack is reached")
    summary = notices.question(ALERT, doubted, 1, NOON).summary
    assert "alice is not asked: it rests on okta" in summary
    assert "by phone, not in Slack" in summary
    assert "You answer for alice." in notices.question(ALERT, ASK, 1, NOON).summary


def test_more_events_than_fit_are_counted_and_failures_are_named() -> None:
    failed = msgspec.structs.replace(ALERT.evidence[0], outcome="denied", target="bob")
    alert = an_event_alert(evidence=(failed,) * 5, event_ids=tuple("abcdefgh"))
    *deeds, last = notices.question(alert, ASK, 0, NOON).reasons
    assert last == "and 3 more"
    assert deeds[0].endswith("on bob from 198.51.100.7 (PT), denied")
    assert notices.question(an_event_alert(evidence=()), ASK, 0, NOON).reasons == ("31 Jan 12:00 UTC: Root login",)


@pytest.mark.parametrize(
    ("end", "status", "buttons"),
    [
        ("yes", "resolved", ["case.no"]),
        ("no", "reopened", []),
        ("nobody", "open", ["case.yes", "case.no", "case.reason"]),
        ("nobody", "resolved", []),
        ("noted", "open", ["case.no"]),
        ("", "resolved", []),
    ],
)
def test_only_answers_that_count_have_a_button(end: Any, status: Any, buttons: list[str]) -> None:
    ask = msgspec.structs.replace(ASK, end=end, said_by="alice", said_at=NOON)
    resolution = "benign" if status == "resolved" else None
    case = Case(ALERT.id, status, resolution, 3, "alice" if end == "yes" else "carol", NOON)
    assert actions(body_of(notices.closed(ALERT, case, ask, 0))) == buttons
    assert actions(body_of(notices.heard(ALERT, case, ask, 1))) == []


def labels(notice: Alert) -> list[str]:
    shown = [one for block in body_of(notice)["blocks"] for one in block.get("elements", ())]
    return [one["text"]["text"] for one in shown if "value" in one]


def test_the_buttons_speak_for_whom_they_are() -> None:
    assert labels(notices.question(ALERT, ASK, 0, NOON)) == ["Yes, it was me", "No, it was not me", "Give a reason"]
    assert labels(notices.question(ALERT, ASK, 1, NOON)) == ["Yes, I know of it", "No, I do not", "Give a reason"]


def test_the_button_says_which_question_it_answers() -> None:
    body = body_of(notices.question(ALERT, ASK, 1, NOON))
    [block] = [block for block in body["blocks"] if block["type"] == "actions"]
    value = block["elements"][1]["value"]
    [click] = clicks(payload("case.no", BOB, value), NOON)
    assert (click.action, click.alert_id, click.user) == ("case.no", ALERT.id, BOB)
    begun = asking(Case(ALERT.id), ALERT, ASK)
    assert isinstance(begun, Case)
    assert begun.ask
    place = {question_id(ALERT.id, begun.ask, place): place for place in (0, 1)}[click.value["question"]]
    assert isinstance(said(begun, ALERT, place, (click.user, "no", NOON)), Case)


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    places = {"C1": "C1", "sec": "C1", ALICE: "D0ALICE", "D0ALICE": "D0ALICE", BOB: "D0BOB", "D0BOB": "D0BOB"}
    async with SlackServer(places) as slack:
        yield slack


@pytest.fixture
async def notifier(server: SlackServer) -> AsyncIterator[SlackNotifier]:
    notifier = SlackNotifier(TOKEN, "C1", server.url)
    notifier.pace = 0.0
    yield notifier
    await notifier.close()


def direct(server: SlackServer, place: str) -> list[str]:
    return [body["text"] for (channel, _), body in server.messages.items() if channel == place]


async def _click(store: AlertStore, server: SlackServer, clock: Clock, who: str, place: str, action: str) -> str:
    """Presses the button that somebody sees; returns what only that person is told."""
    [body] = [body for (channel, _), body in server.messages.items() if channel == place and actions(body)]
    [value] = {one["value"] for block in body["blocks"] if block["type"] == "actions" for one in block["elements"]}

    async def told(alert: Alert, case: Case) -> None:
        """Nobody else."""

    asks = Asks(store, asking_routes, Staff(lambda: COMPANY), told)
    [click] = clicks(payload(action, who, value), clock())
    return (await asks.answer(click)).text


@pytest.mark.parametrize("trouble", ["ok", "reset_done", "500_done", "reset", "429:5"])
async def test_over_real_http_nothing_is_asked_twice(
    store: AlertStore, server: SlackServer, notifier: SlackNotifier, trouble: str
) -> None:
    clock, routing = Hurried(), asking_routes()
    server.now = lambda: clock() / 1e6
    server.plan.extend(["ok", trouble])
    await filled(store, ALERT)
    await until(store, notifier, clock, routing, NOON + 5 * MINUTE)
    assert len(direct(server, "D0ALICE")) == 1
    assert "somebody else" in await _click(store, server, clock, BOB, "D0ALICE", "case.yes")
    assert await _click(store, server, clock, ALICE, "D0ALICE", "case.no") == ""
    server.plan.append(trouble)
    await until(store, notifier, clock, routing, NOON + 20 * MINUTE)
    assert [text[:20] for text in direct(server, "D0ALICE")] == ["💬 Was this you? You "]
    assert sum("Not them: Root login" in text for text in direct(server, "C1")) == 1
    assert "Already" not in json.dumps(server.posts[-1])
    assert direct(server, "D0BOB") == []


async def test_who_left_slack_is_passed_over(server: SlackServer, notifier: SlackNotifier) -> None:
    clock, routing, store = Hurried(), asking_routes(), MemoryAlertStore()
    server.plan.extend(["ok", "user_disabled"])
    await filled(store, ALERT)
    await until(store, notifier, clock, routing, NOON + 5 * MINUTE)
    assert direct(server, "D0ALICE") == []
    assert len(direct(server, "D0BOB")) == 1
    assert not any("Was this" in text for text in direct(server, "C1"))
