"""What a false positive offers: the exception that would have kept it quiet, or what is learnt of it and until when.

Only offered: nothing here writes a file. It is worked out from what alerts keep of their events (audit/brief.py), so it
needs neither logs nor the trail; `auditwatch rules tune` finds finer ones where there are logs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from alerting.alert import Alert
from alerting.plain import plain
from audit.brief import EventBrief
from audit.event import MICROSECONDS, AuditEvent, Principal, Resource, rfc3339
from audit.finding import Finding
from audit.redact import CUT, REDACTED
from detectors.baseline import HALF_LIFE
from rules.compile import RuleSet
from rules.correlation import Correlation
from rules.find import everything
from rules.rule import Rule
from rules.tune import Matches, NoProposal, Proposal, exception_yaml, propose
from rules.view import View

DAYS = 30
"""How long an offered exception lasts."""
FADED = 4
"""Half-lives after which a sixteenth of what was learnt is left."""


@dataclass(frozen=True, slots=True)
class Past:
    """Alerts to measure an exception by; `real` are the ids of those that must not be excused."""

    alerts: Sequence[Alert]
    real: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Asker:
    """Who would answer for the exception, why, and when that is (microseconds since the epoch)."""

    owner: str
    reason: str
    now: int


@dataclass(frozen=True, slots=True)
class Offer:
    """For one detection of an alert: the exception as YAML ("" where there is none), and what it would do, in words."""

    title: str
    exception: str
    effect: str


def offers(alert: Alert, past: Past, rules: RuleSet, asker: Asker) -> list[Offer]:
    """What can be offered for each detection of an alert that was a false positive."""
    known = {one.id: one for one in everything(rules)}
    made = []
    for finding in alert.findings:
        rule = known.get(finding.detection)
        if rule is not None:
            made.append(_exception(alert, finding, past, rule, asker))
        elif finding.kind == "anomaly":
            made.append(_learnt(alert, finding, asker.now))
    return made


def told(made: Iterable[Offer]) -> str:
    """The offers as one text: YAML to paste, everything else as comments. A document of its own for each exception."""
    parts = []
    for one in made:
        lines = "\n".join(f"# {line}" for line in (one.title, *one.effect.splitlines()))
        parts.append(f"{lines}\n{one.exception}")
    return "---\n".join(parts)


def _exception(alert: Alert, finding: Finding, past: Past, rule: Rule | Correlation, asker: Asker) -> Offer:
    title, finer = plain(finding.title, 120), f"auditwatch rules tune {rule.id} --since 30d"
    try:
        proposal = propose(_matches(alert, finding, past))
    except NoProposal as error:
        return Offer(
            title, "", f"No exception is offered: {plain(str(error), 400)}.\nWith logs one may be found: {finer}"
        )
    text = exception_yaml(rule, proposal, asker.owner, asker.reason, asker.now, DAYS)
    return Offer(title, text, f"{_effect(alert, finding, past, proposal)}\nA finer one, from logs: {finer}")


def _matches(alert: Alert, finding: Finding, past: Past) -> Matches:
    """The events known of this detection: those of the alert are false, of others real where people said so."""
    found = Matches(false=_views(alert, finding.detection))
    for one in past.alerts:
        if one.id != alert.id:
            (found.true if one.id in past.real else found.others).extend(_views(one, finding.detection))
    return found


def _views(alert: Alert, detection: str) -> list[View]:
    events = {event for finding in alert.findings if finding.detection == detection for event in finding.event_ids}
    return [_view(one) for one in alert.evidence if one.id in events]


def _view(one: EventBrief) -> View:
    """As much of the event as the brief has; what was cut, redacted or is fleeting is as good as not there."""
    kind, _, name = one.resource.partition(" ")
    actor, target, address, country = map(_whole, (one.actor, one.target, one.address, one.country))
    event = AuditEvent(
        id=one.id,
        time=one.time,
        source=one.source,
        action=_whole(one.action),
        outcome=one.outcome if one.outcome in ("success", "failure", "denied") else "unknown",  # type: ignore[arg-type]
        actor=Principal(actor, ""),
        target=Principal(target, "") if target else None,
        resource=Resource(_whole(kind), _whole(name)) if _whole(name) else None,
        source_ip=address or None,
        country=country or None,
    )
    return View(event, {})


def _whole(text: str) -> str:
    return "" if any(sign in text for sign in ("…", REDACTED, CUT)) or _FLEETING.search(text) else text


_FLEETING = re.compile(r"-[0-9a-z]{8,10}-[0-9a-z]{5}$")
"""A pod's name ends in what its deployment made up for it: it never comes again."""


def _effect(alert: Alert, finding: Finding, past: Past, proposal: Proposal) -> str:
    """How many of the alerts it would have excused, and how many of those would not have been alerts at all."""
    known = {alert.id: alert} | {one.id: one for one in past.alerts}
    hit = [(one, views) for one in known.values() if (views := _views(one, finding.detection))]
    excused = [one for one, views in hit if all(test.holds(view) for test in proposal.tests for view in views)]
    alone = sum(len(one.findings) == 1 for one in excused)
    real = sum(one.id in past.real for one, _ in hit)
    since = rfc3339(min(one.time for one, _ in hit))[:10]
    return (
        f"It would have excused {len(excused)} of the {len(hit)} alerts with this rule since {since}; "
        f"{alone} of them would not have been alerts at all.\n"
        f"{real} of the {len(hit)} were real: none of those is excused. It ends after {DAYS} days."
    )


def _learnt(alert: Alert, finding: Finding, now: int) -> Offer:
    """An anomaly has no exceptions: its baseline learns, and forgets again."""
    until = rfc3339(now + FADED * HALF_LIFE * MICROSECONDS)[:10]
    reasons = "; ".join(plain(one, 160) for one in finding.reasons[:5]) or "its events"
    return Offer(
        plain(finding.title, 120),
        "",
        f"Learnt as usual for {plain(finding.principal, 80)}, as far as it is still held: {reasons}.\n"
        f"It counts half after {HALF_LIFE // 86_400} days and a sixteenth on {until}, unless it happens again.\n"
        "Nobody else's usual changes. To take it back: auditwatch baseline forget.",
    )
