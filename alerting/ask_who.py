"""Who is asked about an alert: the person, unless the way to them is under suspicion; then who answers for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from alerting.alert import Alert
from alerting.ask import Ask, Asked, Role
from alerting.route_time import Span
from alerting.staff import subjects
from alerting.when import Facts, Known, Names, When, misfit
from audit.context import Context
from audit.context_schema import Person
from audit.event import MICROSECONDS
from audit.finding import Severity

WAIT = Span(30 * 60 * MICROSECONDS)
THROUGH: Names = (
    "slack", "okta", "entra", "google_workspace", "o365", "auth0", "duo", "jumpcloud", "keycloak", "onelogin",
)  # fmt: skip
"""Where a stolen session is a stolen Slack account: Slack, what one signs in with, and the mail that resets it."""
STOLEN: Names = ("T1111", "T1114", "T1185", "T1528", "T1539", "T1550.004", "T1556", "T1557", "T1606", "T1621")
"""Techniques that end in somebody's session or second factor, wherever they are seen."""
LEVELS = 5
"""Managers above each other that are looked through for one who can be reached."""

_USER = re.compile(r"[UW][A-Z0-9]{2,30}")


class Asking(msgspec.Struct, frozen=True):
    """Alerts that fit `when` are asked about. Each person has `wait`; `through` replaces the sources of THROUGH.

    A yes closes alerts of the severity `closes` at most; of graver ones it is only noted: who holds a stolen account
    says yes too.
    """

    when: When = When()
    wait: Span = WAIT
    through: Names = THROUGH
    closes: Severity = "medium"
    name: str = ""


def asking_of(rules: Sequence[Asking], facts: Facts, quiet: bool = False) -> Asking | None:
    """The first that fits an alert; a quiet one has to be named by its detections."""
    return next((one for one in rules if (one.when.detections or not quiet) and not misfit(one.when, facts)), None)


def question_about(alert: Alert, known: Known, rule: Asking, by: str, now: int) -> Ask:
    """Whom to ask about an alert, and how long each has; nobody where `people` is empty."""
    why = doubt(alert, known, rule.through)
    return Ask(people(alert, known.context, bool(why)), int(rule.wait), by, now, doubt=why, closes=rule.closes)


def doubt(alert: Alert, known: Known, through: Names = THROUGH) -> str:
    """Why the person's own Slack account may be in other hands, as far as the alert tells; empty where it may not.

    It rests on a source Slack is reached through, or shows the theft of a session or second factor; and where it is not
    known which sources an alert rests on, it may be such a one.
    """
    stolen = sorted(one for one in alert.attack if any(one == sign or one.startswith(f"{sign}.") for sign in STOLEN))
    if stolen:
        return f"it may be the theft of a session or second factor ({', '.join(stolen)})"
    sources = _sources(alert, known)
    if not sources:
        return "it is not known which systems it rests on"
    shared = sorted(sources & set(through))
    return f"it rests on {', '.join(shared)}, through which Slack is reached" if shared else ""


def _sources(alert: Alert, known: Known) -> set[str]:
    """What the alert's events come from; nothing where that is not known of all of them."""
    seen = {brief.source for brief in alert.evidence if brief.source}
    watched = [set(known.sources.get(finding.detection, ())) for finding in alert.findings]
    told_by_rules = bool(watched) and all(watched)
    if not told_by_rules and len(alert.evidence) < max(1, len(alert.event_ids)):
        return set()
    return seen.union(*watched)


def people(alert: Alert, context: Context, doubted: bool) -> tuple[Asked, ...]:
    """Whom to ask, in this order: the person (unless doubted, or no human), and the nearest one who answers for them.

    Nobody else the alert is about is asked, and nobody without a Slack user id among the declared identities.
    """
    person = context.person(alert.principal)
    if person is None:
        return ()
    accused = subjects(alert)
    chain: list[tuple[Role, Person]] = [("self", person)] if person.kind != "service" and not doubted else []
    chain += next(([one] for one in _above(person, context) if one[1].id not in accused and slack_id(one[1])), [])
    asked = (Asked(one.id, slack_id(one), role) for role, one in chain)
    return tuple({one.slack: one for one in asked if one.slack}.values())


def overseers(alert: Alert, context: Context, actor: str, ticket: str = "") -> tuple[Asked, ...]:
    """Who is told what `actor` said: whoever answers for the person of the alert, and the approver of a ticket."""
    declared = next((one for one in context.declared.tickets if ticket and one.id.lower() == ticket.lower()), None)
    approver = context.person(declared.approver) if declared else None
    told = {one.slack: one for one in people(alert, context, True)}
    if approver and approver.id not in subjects(alert) and slack_id(approver):
        told.setdefault(slack_id(approver), Asked(approver.id, slack_id(approver), "manager"))
    return tuple(one for one in told.values() if one.person != actor)


def _above(person: Person, context: Context) -> Iterator[tuple[Role, Person]]:
    """Who answers for a person, the nearest first: the owner of a service, then managers upwards."""
    seen = {person.id}
    names: list[tuple[Role, str]] = [("owner", person.owner), ("manager", person.manager)]
    for _ in range(LEVELS):
        found = [(role, one) for role, name in names if (one := context.person(name)) and one.id not in seen]
        if not found:
            return
        yield from found
        seen |= {one.id for _, one in found}
        names = [("manager", one.manager) for _, one in found]


def slack_id(person: Person) -> str:
    """The person's Slack user id (U...), "" where none is declared: a name or address would have to be looked up."""
    return next((name for name in map(str.upper, person.identities.get("slack", ())) if _USER.fullmatch(name)), "")
