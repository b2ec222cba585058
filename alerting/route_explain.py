"""Why an alert goes where it goes: each route and why it fits or not, mutes, hours, digest, budget, escalation."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from alerting.alert import Alert
from alerting.ask_who import asking_of, question_about
from alerting.mute import Mute
from alerting.route import Plan, Routing
from alerting.route_time import shown
from alerting.when import Facts, When, facts_of, misfit
from audit.event import rfc3339


class Line(msgspec.Struct, frozen=True):
    """One thing said about an alert: "route", "not route", "mute", "quiet", "digest", "budget", "escalation"..."""

    what: str
    name: str
    why: str


def explain(alert: Alert, routing: Routing, now: int, spent: int | None = None) -> Iterator[Line]:
    """What the routes make of an alert at `now` (microseconds); `spent` is what its budget has paid for, if known."""
    facts, plan = facts_of(alert, routing.known), routing.plan(alert, now)
    yield from _known(facts)
    if alert.quiet:
        yield Line(
            "not told",
            alert.principal,
            "a change that nothing explains, and no more: who made it may be asked, nobody is told",
        )
    yield from _routes(routing, facts, plan)
    for mute in routing.routes.mutes:
        yield _mute(mute, facts, now)
    yield from _timing(alert, plan, spent)
    for step in plan.route.escalate:
        why = misfit(When(step.severity), facts) or f"{shown(step.after)} after it is shown, unless acknowledged"
        yield Line("escalation", step.to, why)
    yield from _asking(alert, routing, facts)


def _asking(alert: Alert, routing: Routing, facts: Facts) -> Iterator[Line]:
    """Who would be asked whether they know of it."""
    rule = asking_of(routing.routes.ask, facts, alert.quiet)
    if rule is None:
        return
    ask = question_about(alert, routing.known, rule, "", 0)
    if ask.doubt:
        yield Line("not ask", alert.principal, ask.doubt)
    for place, one in enumerate(ask.people):
        yield Line("ask", one.person, f"{one.role}, {shown(place * ask.wait)} after it is shown" if place else one.role)
    if not ask.people:
        yield Line("not ask", alert.principal or "nobody", "nobody who answers for it has a Slack user id declared")


def _known(facts: Facts) -> Iterator[Line]:
    for name in facts.__struct_fields__:
        value = getattr(facts, name)
        yield Line("alert", name, value if isinstance(value, str) else ", ".join(value) or "not known")


def _routes(routing: Routing, facts: Facts, plan: Plan) -> Iterator[Line]:
    for route in routing.routes.routes:
        why = misfit(route.when, facts)
        if not why:
            break
        yield Line("not route", route.name, why)
    yield Line("route", plan.route.name, f"goes to {plan.route.channel or 'the channel of the settings'}")


def _mute(mute: Mute, facts: Facts, now: int) -> Line:
    if now > mute.expires:
        return Line("not mute", mute.name, f"it ended {rfc3339(mute.expires)}")
    if why := misfit(mute.when, facts, wholly=True):
        return Line("not mute", mute.name, why)
    return Line("mute", mute.name, f"until {rfc3339(mute.expires)}, {mute.owner}: {mute.reason}")


def _timing(alert: Alert, plan: Plan, spent: int | None) -> Iterator[Line]:
    route = plan.route
    if route.quiet:
        until = f"waits until {rfc3339(plan.quiet_until)}" if plan.quiet_until else "not now, or too grave to wait"
        yield Line("quiet", f"below {route.quiet.below}", until)
    if plan.late:
        yield Line("late", rfc3339(alert.time), "too old for a message of its own: into the digest")
    if route.digest:
        gathered = "into the digest" if plan.gathered(alert.severity) else "too grave: a message of its own"
        yield Line("digest", f"below {route.digest.below}", f"{gathered}, every {shown(route.digest.every)}")
    if route.budget is not None:
        state = f"{spent} posted today" if spent is not None else "what is spent is not known without Redis"
        yield Line("budget", f"{route.budget} a day", f"{state}; critical alerts are never held back")
