"""A change without a ticket, all the way: event, finding, question in Slack, reason in a dialog, manager, ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from alerting.alert import Alert
from alerting.casework import Casework
from alerting.clicks import Clicks, Slack
from alerting.ledger_record import recorded, witnessed
from alerting.risk import fold
from alerting.route import Routes, Routing
from alerting.route_read import read_routes
from alerting.slack import SlackNotifier
from alerting.staff import Staff
from alerting.store import AlertStore
from alerting.when import Known
from audit.brief import EventBrief
from audit.context import Context
from audit.context_schema import Declared, End, Moment, Person, Ticket
from audit.event import AuditEvent, Principal, Resource
from audit.finding import Finding, Version
from rules.change import change_finding
from rules.paper import papers_of
from streams.clicks import handlers_of
from streams.commands.init import STARTER
from streams.settings import Settings
from tests.alerting.clicking import payload, submission
from tests.alerting.conftest import HOUR, NOON, redis_port, redis_store, store  # noqa: F401 - fixtures
from tests.alerting.slack_server import TOKEN, SlackServer
from tests.alerting.test_ledger_record import Kept
from tests.alerting.test_routed import MINUTE, Hurried, until

ADA, MIRA, LENA = "U0ADA", "U0MIRA", "U0LENA"
PEOPLE = (
    Person(id="ada", team="web", manager="mira", identities={"slack": (ADA,)}),
    Person(id="mira", team="web", identities={"slack": (MIRA,)}),
    Person(id="lena", team="it", identities={"slack": (LENA,)}),
    Person(id="bob", team="web"),
)
ELSEWHERE = Ticket(
    id="ACC-7", type="access", requester="bob", subject="bob", approver="lena", system="okta", resource="wiki",
    opened=Moment(NOON - HOUR), window_end=End(NOON + HOUR), status="approved",
)  # fmt: skip
COMPANY = Context(Declared(users=PEOPLE, tickets=(ELSEWHERE,)))


def grant() -> AuditEvent:
    """Ada lets bob into a group; the only ticket there is is about another one."""
    return AuditEvent(
        "e1", NOON, "okta", "group.user_membership.add", "success", Principal("ada", "ada", "human", "verified"),
        target=Principal("bob", "bob"), resource=Resource("UserGroup", "payroll-admins"),
    )  # fmt: skip


def transfer() -> AuditEvent:
    record = {"action": "repo.transfer_outgoing", "actor": "ada", "new_nwo": "elsewhere/pay"}
    return AuditEvent(
        "e2", NOON, "github", "repo.transfer_outgoing", "success", Principal("ada", "ada", "human", "verified"),
        resource=Resource("repo", "acorn/pay"), raw=orjson.dumps(record),
    )  # fmt: skip


def alert_of(event: AuditEvent, *beside: Finding) -> Alert:
    found = change_finding(event, papers_of(COMPANY).explain(event, {}), COMPANY, Version())
    assert found is not None
    what = event.resource.name if event.resource else ""
    brief = EventBrief(event.time, event.id, event.source, event.action, "success", "ada", "bob", what)
    state, last = None, list[Alert]()
    for finding in (found, *beside):
        state, alerts = fold(state, replace(finding, evidence=(brief,)))
        last += alerts
    return last[-1]


def starter() -> Routing:
    """The routes `auditwatch init` writes."""
    routes = read_routes((STARTER / "routes.yml").read_bytes(), "routes.yml", NOON)
    return Routing(Routes(default="C1", ask=routes.ask), Known(COMPANY))


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    places = {"C1": "C1", **{name: f"D{name[1:]}" for name in (ADA, MIRA, LENA)}}
    async with SlackServer(places | {f"D{name[1:]}": f"D{name[1:]}" for name in (ADA, MIRA, LENA)}) as slack:
        yield slack


class Desk:
    """A dispatcher's outbox, ledger and handlers before a Slack that can fail."""

    def __init__(self, outbox: AlertStore, server: SlackServer) -> None:
        self.server, self.clock, self.ledger = server, Hurried(), Kept()
        server.now = lambda: self.clock() / 1e6
        self.store = recorded(outbox, self.ledger, "dispatcher", self.clock)
        self.slack = SlackNotifier(TOKEN, "C1", server.url)
        self.slack.pace = 0.0
        staff = Staff(lambda: COMPANY)
        handlers = handlers_of(Settings(), Casework(self.store, staff), starter, self.slack.dialog)
        talk = Slack(self.slack.team, self.slack.whisper)
        self.clicks = Clicks(witnessed(handlers, self.ledger), staff.person, talk, self.clock)
        self._presses = 0

    async def until(self, minutes: int) -> None:
        await until(self.store, self.slack, self.clock, starter(), NOON + minutes * MINUTE)

    def said(self, place: str) -> list[str]:
        return [body["text"] for (channel, _), body in self.server.messages.items() if channel == place]

    async def press(self, action: str, who: str) -> None:
        """The button somebody sees in their direct messages."""
        blocks = [
            one
            for (channel, _), body in self.server.messages.items()
            for block in body.get("blocks", ())
            if channel == f"D{who[1:]}" and block["type"] == "actions"
            for one in block["elements"]
        ]
        [value] = {one["value"] for one in blocks if one["action_id"] == action}
        self._presses += 1
        self.clicks.accept(payload(action, who, value, trigger=f"t{self._presses}"))
        await self.clicks.finish()

    async def give(self, who: str, **inputs: str) -> None:
        """The dialog that opened last, filled in."""
        _, view = self.server.dialogs[-1]
        self.clicks.accept(submission(view, who, **inputs))
        await self.clicks.finish()

    def steps(self, alert: Alert) -> list[str]:
        return [
            one.details["action"]
            for one in self.ledger.decisions.values()
            if one.subject == alert.id and one.kind == "case"
        ]


@pytest.fixture
async def desk(store: AlertStore, server: SlackServer) -> AsyncIterator[Desk]:  # noqa: F811
    desk = Desk(store, server)
    yield desk
    await desk.slack.close()


@pytest.mark.parametrize("made", [grant, transfer])
@pytest.mark.parametrize("trouble", ["ok", "reset_done", "500"])
async def test_a_change_nobody_hears_of_is_asked_about_and_the_reason_reaches_those_who_answer(
    desk: Desk, made: Any, trouble: str
) -> None:
    alert = alert_of(made())
    assert alert.quiet
    desk.server.plan.append(trouble)
    await desk.store.put(alert)
    await desk.until(10)
    [question] = desk.said("D0ADA")
    assert "Was this you?" in question
    assert desk.said("C1") == [], "no alert"
    await desk.press("case.reason", ADA)
    await desk.give(ADA, ticket="acc-7", reason="Bob stands in for Carol <!here>")
    await desk.until(20)
    for place in ("D0MIRA", "D0LENA"):
        assert [text for text in desk.said(place) if "ada gave a reason" in text], place
    case = await desk.store.case(alert.id)
    assert case
    assert (case.status, case.note) == ("open", "ticket acc-7: Bob stands in for Carol <!here>")
    assert desk.steps(alert) == ["ask", "reason"]
    await desk.until(6 * 60)
    assert [text for text in desk.said("D0MIRA") if "Was this ada" in text], "a reason closes nothing"
    await desk.until(12 * 60)
    assert [text for text in desk.said("C1") if "No answer" in text]
    case = await desk.store.case(alert.id)
    assert case
    assert case.status == "open", "without a ticket it stays open"


async def test_the_manager_says_yes_and_a_medium_change_is_still_the_teams(desk: Desk) -> None:
    low, medium = alert_of(grant()), alert_of(transfer())
    assert (low.id, low.severity, medium.severity) == (medium.id, "low", "medium")
    await desk.store.put(medium)
    await desk.until(10)
    await desk.press("case.yes", ADA)
    await desk.until(20)
    case = await desk.store.case(medium.id)
    assert case
    assert (case.status, case.steps[-1].action) == ("open", "noted")
    assert case.note.endswith("a yes closes low alerts at most")
    assert "ada said yes" in desk.said("D0MIRA")[0]


async def test_of_what_is_an_alert_the_reason_stands_in_its_thread(desk: Desk) -> None:
    beside = Finding("x", NOON + 1, "rule", "r", "Odd", "high", 60, "ada", "user:ada", ("e2",), ("odd",))
    alert = alert_of(transfer(), beside)
    assert not alert.quiet
    await desk.store.put(alert)
    await desk.until(10)
    assert [text for text in desk.said("C1") if "asks ada" in text]
    await desk.press("case.reason", ADA)
    await desk.give(ADA, reason="Sold to Elsewhere")
    await desk.until(20)
    replies = [
        body["text"] for (channel, _), body in desk.server.messages.items() if channel == "C1" and body.get("thread_ts")
    ]
    assert any("ada gave a reason, which closes nothing" in text and "Sold to Elsewhere" in text for text in replies)
    assert "ada gave a reason" in desk.said("D0MIRA")[0]
    assert desk.steps(alert) == ["ask", "reason"]
