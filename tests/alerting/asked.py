"""A company small enough to ask, for the tests of asking."""

from __future__ import annotations

from typing import Any

import msgspec

from alerting.alert import Alert
from alerting.ask import Ask, question_id
from alerting.ask_who import Asking
from alerting.interaction import Click
from alerting.route import Route, Routes, Routing
from alerting.route_time import Span
from alerting.when import Known, When
from audit.brief import EventBrief
from audit.context import Context
from audit.context_schema import Declared, Person
from tests.alerting.conftest import NOON, SECOND, an_alert

MINUTE = 60 * SECOND
WAIT = 30 * MINUTE
ALICE, BOB, CAROL = "U0ALICE", "U0BOB", "U0CAROL"

COMPANY = Context(
    Declared(
        users=(
            Person(id="alice", manager="bob", identities={"slack": ("alice@example.com", ALICE)}),
            Person(id="bob", manager="carol", identities={"slack": (BOB,)}),
            Person(id="carol", identities={"slack": (CAROL,)}),
            Person(id="dave", manager="erin", identities={"slack": ("dave",)}),
            Person(id="erin", manager="bob"),
            Person(id="ci", kind="service", owner="bob", identities={"slack": ("U0CI",)}),
            Person(id="loop", manager="loop"),
        )
    )
)
KNOWN = Known(COMPANY, {"r-root-login": ("cloudtrail",)})
LOGIN = EventBrief(NOON, "e1", "cloudtrail", "ConsoleLogin", "success", "alice", "", "account 1", "198.51.100.7", "PT")


def an_event_alert(number: int = 1, **changes: Any) -> Alert:
    """An alert whose one event is known."""
    return an_alert(number, **{"evidence": (LOGIN,), "event_ids": ("e1",), "attack": ("T1098",)} | changes)


def asking_routes(*rules: Asking, channel: str = "sec", **more: Any) -> Routing:
    """One channel for all, and what is asked about (high ones, which a yes closes, unless rules are given)."""
    ask = rules or (Asking(When("high"), Span(WAIT), closes="critical"),)
    return Routing(Routes((Route(channel, **more),), ask=ask), KNOWN)


def a_click(alert: Alert, ask: Ask | None, place: int = 0, **changes: Any) -> Click:
    """The click of the person at a place."""
    user = ask.people[place].slack if ask and place < len(ask.people) else ALICE
    question = question_id(alert.id, ask, place) if ask else "ask:question:none"
    click = Click("case.yes", alert.id, 0, user, at=NOON + MINUTE, value={"question": question})
    return msgspec.structs.replace(click, **changes)
