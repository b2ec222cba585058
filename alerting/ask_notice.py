"""What asking the user has to say, as notices in the outbox (alerting/notice.py): to people, and back to the channel.

Their ids follow from the alert, the round and the person, so that saying anything twice says it once.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from alerting.alert import CHANGES, Alert
from alerting.ask import Ask, Asked, Role, question_id
from alerting.case import Case
from alerting.plain import plain
from alerting.route_time import shown
from alerting.story import moment
from audit.brief import EventBrief
from audit.finding import stable_id

DEEDS = 5
"""Events a question shows."""


def is_ask(alert: Alert) -> bool:
    """Whether it is one of these notices."""
    return alert.id.startswith("ask:") and alert.entity.startswith("channel:")


def is_question(alert: Alert) -> bool:
    """Whether it is a question to a person about the alert whose id is its key."""
    return is_ask(alert) and alert.id.startswith("ask:question:")


def is_last_word(alert: Alert) -> bool:
    """Whether it says that nobody answered."""
    return is_ask(alert) and alert.id.startswith("ask:nobody:")


def is_denial(alert: Alert) -> bool:
    """Whether it tells a channel of a no."""
    return is_ask(alert) and alert.id.startswith("ask:denied:")


def question(alert: Alert, ask: Ask, place: int, due: int) -> Alert:
    """The question to the person at a place, to be put when it is `due` (microseconds)."""
    asked = ask.people[place]
    return _notice(
        alert,
        question_id(alert.id, ask, place),
        asked.slack,
        due,
        title=QUESTION[asked.role].format(_who(alert)),
        summary=f"{alert.title}. {_why(alert, ask, asked)}",
        reasons=tuple(_deeds(alert)),
    )


def closed(alert: Alert, case: Case, ask: Ask, place: int) -> Alert:
    """The same question once it has ended: what came of it, and which answers are still worth giving.

    After a yes one may still say no ("acknowledged" stands for that), after nobody's answer both.
    """
    put = question(alert, ask, place, ask.at)
    taken = case.status == "resolved" and ask.end != "yes"
    no_more = ask.end == "no" or taken
    status = "resolved" if no_more else "open" if ask.end == "nobody" else "acknowledged"
    return msgspec.structs.replace(put, summary=outcome(case, ask, place), status=status, revision=case.version + 1)


def outcome(case: Case, ask: Ask, place: int | None = None) -> str:
    """What came of a question, in words for the person at a place or for others."""
    by_you = place is not None and ask.said_by == ask.people[place].person
    who = "You" if by_you else ask.said_by
    if ask.open:
        told = "No answer is needed any more."
    elif ask.end == "nobody":
        told = "Nobody answered in time, so the security team looks at it."
    elif ask.end == "no":
        told = f"{who} said no at {moment(ask.said_at)}: the security team was told at once and looks at it now."
    elif ask.end == "yes":
        told = f"{who} said yes at {moment(ask.said_at)}: this alert is closed. Another one will be asked about anew."
    else:
        told = f"{who} said yes at {moment(ask.said_at)}. The security team knows, and still looks at it."
    if case.status == "resolved" and not (ask.end == "yes" and case.actor == ask.said_by):
        told += f" {case.actor or 'The security team'} closed it as {_CLOSED.get(case.resolution or '', 'resolved')}."
    return told


def heard(alert: Alert, case: Case, ask: Ask, place: int) -> Alert:
    """Word of the outcome to somebody who was asked and did not bring it about: an edit alone rings no bell."""
    name = f"ask:heard:{stable_id(alert.id, ask.at, place, ask.end, case.resolution or '')}"
    slack, due = ask.people[place].slack, case.at
    title = f"About the question of {moment(ask.at)}"
    return _notice(alert, name, slack, due, title=title, summary=outcome(case, ask, place), reasons=(alert.title,))


def agreed(alert: Alert, ask: Ask, to: Asked) -> Alert:
    """Tells whoever answers for somebody that they said yes to a change."""
    name = f"ask:heard:{stable_id(alert.id, ask.at, to.person, 'agreed')}"
    title = f"{ask.said_by} said yes at {moment(ask.said_at)}"
    summary = f"{alert.title}. If it should have had a ticket, or you know nothing of it, tell the security team."
    return _notice(alert, name, to.slack, ask.said_at, title=title, summary=summary, reasons=tuple(_deeds(alert)))


def reason(alert: Alert, case: Case, to: Asked) -> Alert:
    """Tells whoever answers for somebody which reason they gave."""
    name = f"ask:heard:{stable_id(alert.id, case.version, to.person, 'reason')}"
    title = f"{case.actor} gave a reason at {moment(case.at)}"
    summary = f"{alert.title}. If it is not true, or should have had a ticket, tell the security team."
    return _notice(alert, name, to.slack, case.at, title=title, summary=summary, reasons=(case.note,))


def nobody(alert: Alert, ask: Ask, channel: str, due: int) -> Alert:
    """Tells the channel, when it is `due`, that nobody has answered."""
    names = " and ".join(one.person for one in ask.people)
    each = " each" if len(ask.people) > 1 else ""
    why = f"{names} did not answer within {shown(ask.wait)}{each}, or could not be reached."
    return _back(alert, nobody_id(alert.id, ask), channel, due, f"No answer: {alert.title}", why)


def nobody_id(alert_id: str, ask: Ask) -> str:
    """The id of that notice."""
    return f"ask:nobody:{stable_id(alert_id, ask.at)}"


def denied(alert: Alert, ask: Ask, channel: str) -> Alert:
    """Tells a channel that a person said no."""
    name = f"ask:denied:{stable_id(alert.id, ask.at, channel)}"
    why = f"{ask.said_by} was asked and said no at {moment(ask.said_at)}: treat it as an attack until you know better."
    made = _back(alert, name, channel, ask.said_at, f"Not them: {alert.title}", why)
    return msgspec.structs.replace(made, severity="critical")


def _back(alert: Alert, name: str, channel: str, due: int, title: str, why: str) -> Alert:
    return _notice(alert, name, channel, due, title=title, summary=alert.summary, reasons=(why, *alert.reasons[:8]))


def _notice(alert: Alert, name: str, to: str, due: int, **said: str | tuple[str, ...]) -> Alert:
    about = msgspec.structs.replace(
        alert,
        id=name,
        time=due,
        entity=f"channel:{to}",
        key=alert.id,
        findings=(),
        event_ids=(),
        evidence=(),
        measures=(),
        revision=1,
        status="open",
        resolution=None,
        quiet=False,
    )
    return msgspec.structs.replace(about, **said)


def _why(alert: Alert, ask: Ask, asked: Asked) -> str:
    changes = any(finding.detection.startswith(CHANGES) for finding in alert.findings)
    if asked.role == "self" and changes:
        return "It was done in your name, and no ticket explains it. Was it you? Give the ticket, or the reason."
    if asked.role == "self":
        return "It was done in your name. Did you do it, or know why it was done?"
    unasked = f"{_who(alert)} is not asked: {ask.doubt}." if ask.doubt else f"You answer for {_who(alert)}."
    return f"It was done in the name of {_who(alert)}. {unasked} Do you know of it? Ask them by phone, not in Slack."


def _deeds(alert: Alert) -> Iterator[str]:
    """The events as the person would recognise them: when, what, from where; not what we measure, nor why it is odd."""
    if not alert.evidence:
        yield f"{moment(alert.time)}: {alert.title}"
    yield from map(_deed, alert.evidence[:DEEDS])
    more = len(alert.event_ids) - DEEDS
    if alert.evidence and more > 0:
        yield f"and {more} more"


def _deed(one: EventBrief) -> str:
    parts = [one.action or "an event", one.resource, f"on {one.target}" if one.target else ""]
    parts += [f"from {one.address}" if one.address else "", f"({one.country})" if one.country else ""]
    failed = f", {one.outcome}" if one.outcome in ("failure", "denied") else ""
    return f"{moment(one.time)}: {one.source} {' '.join(filter(None, parts))}{failed}"


def _who(alert: Alert) -> str:
    return plain(alert.principal or alert.entity, 80)


QUESTION: dict[Role, str] = {
    "self": "Was this you?",
    "manager": "Was this {}, and is it all right?",
    "owner": "Was this {} of yours?",
}
_CLOSED = {"true_positive": "an attack or a breach", "benign": "all right", "false_positive": "a false alarm"}
