"""What asking does to a case: steps of the one transition table, with the question kept in the case."""

from __future__ import annotations

import msgspec

from alerting.alert import Alert
from alerting.ask import NOT_YOURS, Ask, Asked, Refusal, Word, answered, covered, standing, unanswered
from alerting.case import Action, Case, Refused, Step, take
from audit.finding import at_least

US = "auditwatch"
"""Who takes the steps that nobody takes: time ran out, an alert outgrew a yes."""

_WHO = {"self": "", "manager": ", who answers for {}", "owner": ", who owns {}"}


def asking(case: Case, alert: Alert, ask: Ask) -> Case | Refused:
    """The case with a question begun; what it covers is the alert as it is now."""
    if case.ask and case.ask.open:
        return Refused(f"Somebody has asked already: {standing(case.ask)}.")
    if not ask.people:
        return Refused("Nobody can be asked: no person with a Slack user id is declared for it, or for its manager.")
    covers = tuple(dict.fromkeys(finding.detection for finding in alert.findings))
    ask = msgspec.structs.replace(ask, covers=covers, severity=alert.severity)
    return _with(case, "ask", (ask.by, ask.at, f"asks {_named(ask.people[0], alert)}"), ask)


def said(case: Case, alert: Alert, place: int, click: tuple[str, Word, int]) -> Case | Refused:
    """The case after the answer (Slack user, word, time in microseconds) to the question at a place.

    A yes resolves this episode as benign where it covers all the alert has become, a no reopens and raises it. What the
    team has closed stays closed but for a no, and a known attack for good.
    """
    user, word, at = click
    if case.ask is None:
        return Refused("Nobody is asked about this any more.")
    ask = answered(case.ask, place, user, word, at)
    if isinstance(ask, Refusal):
        return Refused(ask.reason)
    if case.status == "resolved" and (word == "yes" or case.resolution == "true_positive"):
        return Refused(f"Thank you. {case.actor or 'The security team'} has closed it already, as {case.resolution}.")
    but = _in_the_way(case.ask, alert) if word == "yes" else ""
    if but:
        ask = msgspec.structs.replace(ask, end="noted")
    action: Action = "deny" if ask.end == "no" else "confirm" if ask.end == "yes" else "noted"
    return _with(case, action, (ask.said_by, at, f"asked whether it was known: {word}{but}"), ask)


def _in_the_way(ask: Ask, alert: Alert) -> str:
    """Why a yes closes nothing; empty where it does."""
    if ask.end == "nobody":
        return ", after time was up"
    if not covered(ask, alert):
        return ", but more has joined since the question"
    return "" if at_least(ask.closes, alert.severity) else f", and a yes closes {ask.closes} alerts at most"


def explained(case: Case, place: int, user: str, at: int, note: str) -> Case | Refused:
    """The case after the person at a place gave a reason: noted, and all else goes on. Free text closes nothing, and
    whoever holds somebody's account must not stop the clock with it."""
    if case.ask is None:
        return Refused("Nobody is asked about this any more.")
    if user != case.ask.people[place].slack:
        return Refused(NOT_YOURS)
    if case.status == "resolved":
        return Refused(f"Thank you. {case.actor or 'The security team'} has closed it already, as {case.resolution}.")
    return _with(case, "reason", (case.ask.people[place].person, at, note), case.ask)


def timed_out(case: Case, at: int) -> Case | Refused:
    """The case after the last one asked let time run out."""
    if case.ask is None or not case.ask.open:
        return Refused("no question is open")
    named = ", ".join(one.person for one in case.ask.people)
    return _with(case, "unanswered", (US, at, f"asked {named}"), unanswered(case.ask, at))


def outgrown(case: Case, alert: Alert, at: int) -> Case | None:
    """The case reopened where it was closed by a yes to less than the alert is now; None where it stays as it is."""
    moves = [step.action for step in case.steps if step.action != "fell"]
    by_yes = case.status == "resolved" and moves[-1:] == ["confirm"]
    if not by_yes or case.ask is None or covered(case.ask, alert):
        return None
    ask = msgspec.structs.replace(case.ask, end="noted")
    after = _with(case, "reopen", (US, at, f"more has joined than {ask.said_by} said yes to"), ask)
    return after if isinstance(after, Case) else None


def _with(case: Case, action: Action, step: tuple[str, int, str], ask: Ask) -> Case | Refused:
    after = take(case, Step(action, *step))
    return after if isinstance(after, Refused) else msgspec.structs.replace(after, ask=ask)


def _named(asked: Asked, alert: Alert) -> str:
    return asked.person + _WHO[asked.role].format(alert.principal)
