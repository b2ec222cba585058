from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from alerting.alert import Alert
from alerting.ask import Asked
from alerting.ask_who import STOLEN, THROUGH, WAIT, Asking, asking_of, doubt, overseers, people, slack_id
from alerting.route import Routing
from alerting.route_explain import explain
from alerting.route_read import RouteErrors, read_routes
from alerting.when import Known, When, facts_of
from audit.brief import EventBrief
from audit.context import Context
from audit.context_schema import Declared, Moment, Person, Ticket
from tests.alerting.asked import ALICE, BOB, CAROL, COMPANY, KNOWN, MINUTE, an_event_alert, asking_routes
from tests.alerting.conftest import NOON, a_finding


def brief(source: str, actor: str = "alice") -> EventBrief:
    return EventBrief(NOON, "e1", source, "act", "success", actor)


def test_the_person_and_then_the_manager() -> None:
    assert people(an_event_alert(), COMPANY, doubted=False) == (
        Asked("alice", ALICE, "self"),
        Asked("bob", BOB, "manager"),
    )


def test_a_person_in_doubt_is_not_asked() -> None:
    assert people(an_event_alert(), COMPANY, doubted=True) == (Asked("bob", BOB, "manager"),)


def test_a_service_has_an_owner() -> None:
    alert = an_event_alert(principal="ci", evidence=(brief("cloudtrail", "ci"),), findings=())
    assert people(alert, COMPANY, doubted=False) == (Asked("bob", BOB, "owner"),)


def test_without_a_slack_id_whoever_is_next_above() -> None:
    alert = an_event_alert(principal="dave", evidence=(), findings=())
    assert people(alert, COMPANY, doubted=False) == (Asked("bob", BOB, "manager"),)


def test_nobody_an_alert_is_about_answers_for_another() -> None:
    findings = (a_finding(), a_finding(id="f2", principal="bob"))
    assert people(an_event_alert(findings=findings), COMPANY, doubted=True) == (Asked("carol", CAROL, "manager"),)
    seen = an_event_alert(evidence=(brief("github", "bob"),))
    assert people(seen, COMPANY, doubted=True) == (Asked("carol", CAROL, "manager"),)


@pytest.mark.parametrize("principal", ["nobody", "", "loop", "carol"])
def test_who_has_nobody_is_not_asked_for(principal: str) -> None:
    assert people(an_event_alert(principal=principal, findings=(), evidence=()), COMPANY, doubted=True) == ()


def test_one_who_owns_himself_is_asked_once() -> None:
    both = Context(
        Declared(
            users=(
                Person(id="alice", manager="alice2", identities={"slack": (ALICE,)}),
                Person(id="alice2", identities={"slack": (ALICE.lower(),)}),
            )
        )
    )
    assert [one.slack for one in people(an_event_alert(), both, doubted=False)] == [ALICE]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("U0ALICE",), "U0ALICE"),
        (("w0123",), "W0123"),
        (("alice", "@alice", "alice@example.com"), ""),
        (("C0CHANNEL",), ""),
        (("U1><!channel>",), ""),
        ((), ""),
    ],
)
def test_only_a_user_id_will_do(names: tuple[str, ...], found: str) -> None:
    assert slack_id(Person(id="x", identities={"slack": names})) == found


def test_what_happens_elsewhere_leaves_slack_alone() -> None:
    assert doubt(an_event_alert(evidence=(brief("cloudtrail"),)), KNOWN) == ""
    assert doubt(an_event_alert(evidence=(brief("github"),)), KNOWN) == ""


@pytest.mark.parametrize("source", THROUGH)
def test_what_slack_is_reached_through_is_in_doubt(source: str) -> None:
    assert source in doubt(an_event_alert(evidence=(brief(source),)), KNOWN)


def test_one_event_is_enough() -> None:
    alert = an_event_alert(evidence=(brief("cloudtrail"), brief("okta")), event_ids=("e1", "e2"))
    assert doubt(alert, KNOWN) == "it rests on okta, through which Slack is reached"


@pytest.mark.parametrize("technique", [*STOLEN, "T1556.006", "T1539.001"])
def test_the_theft_of_a_session_is_in_doubt_wherever_it_is_seen(technique: str) -> None:
    assert technique in doubt(an_event_alert(attack=(technique,), evidence=(brief("github"),)), KNOWN)


def test_a_technique_that_only_begins_alike_is_another() -> None:
    alert = an_event_alert(attack=("T15390", "T1550.001"), evidence=(brief("github"),))
    assert doubt(alert, KNOWN) == ""


def test_what_its_rule_watches_counts_where_the_event_is_not_known() -> None:
    alert = an_event_alert(evidence=())
    assert doubt(alert, KNOWN) == ""
    assert "okta" in doubt(alert, Known(COMPANY, {"r-root-login": ("okta",)}))


def test_what_is_not_known_may_be_slack() -> None:
    nothing: dict[str, Any] = {"evidence": (), "attack": ()}
    assert "not known" in doubt(an_event_alert(**nothing), Known(COMPANY))
    assert "not known" in doubt(an_event_alert(findings=(), **nothing), KNOWN)
    partly = an_event_alert(evidence=(brief("cloudtrail"),), event_ids=("e1", "e2"))
    assert "not known" in doubt(partly, Known(COMPANY)), "an event nobody kept may come from anywhere"


def test_a_company_says_what_its_slack_is_reached_through() -> None:
    alert = an_event_alert(evidence=(brief("github"),))
    assert "github" in doubt(alert, KNOWN, ("slack", "github"))
    assert doubt(an_event_alert(evidence=(brief("okta"),)), KNOWN, ("slack",)) == ""


def test_the_first_rule_that_fits_decides() -> None:
    facts = facts_of(an_event_alert(), KNOWN)
    grave, tagged = Asking(When("critical")), Asking(When(tags=("T1098",)))
    assert asking_of((grave, tagged, Asking()), facts) is tagged
    assert asking_of((grave,), facts) is None
    assert Asking().wait == WAIT


def explained(alert: Alert, routing: Routing) -> list[tuple[str, str, str]]:
    return [(line.what, line.name, line.why) for line in explain(alert, routing, NOON) if "ask" in line.what]


def test_route_explain_says_who_would_be_asked() -> None:
    routing = asking_routes()
    assert explained(an_event_alert(), routing) == [
        ("ask", "alice", "self"),
        ("ask", "bob", "manager, 30m after it is shown"),
    ]
    okta = an_event_alert(evidence=(brief("okta"),))
    assert explained(okta, routing) == [
        ("not ask", "alice", "it rests on okta, through which Slack is reached"),
        ("ask", "bob", "manager"),
    ]
    assert explained(an_event_alert(severity="low"), routing) == []
    ((what, _, why),) = explained(an_event_alert(principal="nobody", findings=()), routing)
    assert (what, "Slack user id" in why) == ("not ask", True)


def test_the_routes_file_says_what_is_asked_about() -> None:
    text = b"""
routes: [{channel: sec}]
ask:
  - {name: admins, when: {severity: high, tags: [T1098]}, wait: 15m, through: [slack, okta], closes: high}
  - when: {teams: finance}
"""
    first, second = read_routes(text, "routes.yml", NOON).ask
    assert (first.name, first.when, first.wait) == ("admins", When("high", tags=("T1098",)), 15 * MINUTE)
    assert (first.through, first.closes, second.closes) == (("slack", "okta"), "high", "medium")
    assert (second.wait, second.through) == (WAIT, THROUGH)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("wait: 5s", "routes.yml:3:5: ask: each person has 1m to 7d to answer"),
        ("wait: 8d", "ask: each person has 1m to 7d to answer"),
        ("wiat: 5m", "unknown key 'wiat': did you mean 'wait'?"),
        ("when: {severity: huge}", "'huge' is not known"),
    ],
)
def test_mistakes_in_it_are_placed(line: str, complaint: str) -> None:
    with pytest.raises(RouteErrors, match=re.escape(complaint)):
        read_routes(f"routes: [{{channel: sec}}]\nask:\n  - {line}\n".encode(), "routes.yml", NOON)


def test_an_outbox_that_is_forgotten_asks_nobody() -> None:
    assert asking_routes().routes.at_once().ask == ()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("", ["bob"]),
        ("acc-1", ["bob", "carol"]),
        ("ACC-2", ["bob"]),
        ("ACC-3", ["bob"]),
        ("ACC-4", ["bob"]),
        ("ACC-9", ["bob"]),
    ],
)
def test_who_hears_what_was_said(named: str, told: list[str]) -> None:
    """The manager, and the approver of a declared ticket: another one than the person, whom Slack knows."""
    approvers = {"ACC-1": "carol", "ACC-2": "alice", "ACC-3": "erin", "ACC-4": "bob"}
    tickets = tuple(Ticket(id=id, type="access", opened=Moment(0), approver=who) for id, who in approvers.items())
    company = Context(msgspec.structs.replace(COMPANY.declared, tickets=tickets))
    assert [one.person for one in overseers(an_event_alert(), company, "alice", named)] == told
    assert "bob" not in [one.person for one in overseers(an_event_alert(), company, "bob", named)], "who said it"


def test_a_quiet_alert_is_asked_about_where_its_detections_are_named() -> None:
    facts = facts_of(an_event_alert(), KNOWN)
    broad, named = Asking(When("low")), Asking(When("low", detections=("r-*",)))
    assert asking_of([broad, named], facts) is broad
    assert asking_of([broad, named], facts, quiet=True) is named
    assert asking_of([broad], facts, quiet=True) is None
