from __future__ import annotations

import json

import pytest
from hypothesis import given

from alerting.alert import Alert
from alerting.ask import Ask, Asked
from alerting.ask_case import asking, explained
from alerting.ask_reason import GIVEN, LONGEST_REASON, note_of, view_of
from alerting.case import Case, Refused, transition
from alerting.interaction import Click, clicks
from alerting.slack import SlackNotifier
from tests.alerting.asked import ALICE, BOB, WAIT, an_event_alert
from tests.alerting.clicking import submission
from tests.alerting.conftest import NOON, SECOND
from tests.alerting.hostile import hostile_alerts
from tests.alerting.slack_server import TOKEN, SlackServer

ALERT = an_event_alert()
ASK = Ask((Asked("alice", ALICE), Asked("bob", BOB, "manager")), WAIT, "carol", NOON)
LATER = NOON + SECOND


def a_click(**inputs: str) -> Click:
    return Click(GIVEN, ALERT.id, 0, ALICE, value=inputs)


@pytest.mark.parametrize(
    ("inputs", "note"),
    [
        ({"reason": "The bill"}, "no ticket: The bill"),
        ({"ticket": " CHG-1 ", "reason": "The bill"}, "ticket CHG-1: The bill"),
        ({}, "no ticket: -"),
        ({"reason": "a\nb\u202ec"}, "no ticket: a bc"),
    ],
)
def test_what_is_written_is_noted_plainly(inputs: dict[str, str], note: str) -> None:
    assert " ".join(note_of(a_click(**inputs)).split()) == note


def test_a_long_reason_is_cut() -> None:
    assert len(note_of(a_click(reason="x" * 9_000))) < LONGEST_REASON + 20


def test_a_reason_is_noted_and_all_else_goes_on() -> None:
    case = asking(Case(ALERT.id), ALERT, ASK)
    assert isinstance(case, Case)
    after = explained(case, 0, ALICE, LATER, "no ticket: x")
    assert isinstance(after, Case)
    assert (after.status, after.version, after.steps[-1].action) == ("open", case.version + 1, "reason")
    assert after.ask == case.ask, "the clock runs on"
    closed = transition(case, "benign", "dan", LATER)
    assert isinstance(closed, Case)
    assert isinstance(explained(closed, 0, ALICE, LATER, "x"), Refused)
    assert isinstance(explained(Case(ALERT.id), 0, ALICE, LATER, "x"), Refused)
    assert isinstance(explained(case, 0, BOB, LATER, "x"), Refused)


@given(hostile_alerts)
def test_the_dialog_is_within_slacks_limits_and_comes_back_as_a_click(alert: Alert) -> None:
    view = view_of(alert, "ask:question:0123456789abcdef")
    assert len(view["title"]["text"]) <= 24
    assert len(view["private_metadata"]) <= 3_000
    assert len(view["blocks"][0]["text"]["text"]) <= 3_000
    assert "<" not in json.dumps([view["title"], view["blocks"]])
    [click] = clicks(submission(view, ALICE, ticket="T-1", reason="because"), NOON)
    assert (click.action, click.alert_id, click.dialog) == (GIVEN, alert.id, True)
    assert click.value == {"question": "ask:question:0123456789abcdef", "ticket": "T-1", "reason": "because"}


async def test_slack_opens_the_dialog_for_whoever_clicked() -> None:
    view = view_of(ALERT, "ask:question:1")
    async with SlackServer() as slack:
        notifier = SlackNotifier(TOKEN, "#security", slack.url)
        try:
            await notifier.dialog("1.2.a", view)
        finally:
            await notifier.close()
    assert slack.dialogs == [("1.2.a", view)]
