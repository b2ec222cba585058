"""Was this you? What a question to the person an alert is about goes through, without clock or network.

The people of an `Ask` are asked one after the other; each has `wait`. The first answer ends it. A yes closes what was
asked and nothing else; a no is worth hearing at any time, also after a yes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from alerting.alert import CHANGES, Alert
from audit.event import rfc3339
from audit.finding import SEVERITIES, Severity, stable_id

Word = Literal["yes", "no"]
End = Literal["", "yes", "no", "nobody", "noted"]
"""How it ended; "" while it runs. `noted`: a yes that came too late, or for less than the alert has become."""
Role = Literal["self", "manager", "owner"]

ANSWERS: dict[End, dict[Word, End]] = {
    "": {"yes": "yes", "no": "no"},
    "nobody": {"yes": "noted", "no": "no"},
    "noted": {"no": "no"},
    "yes": {"no": "no"},
    "no": {},
}
"""How it stood -> the word -> how it stands then."""


class Asked(msgspec.Struct, frozen=True):
    """Somebody to ask: the declared id, the Slack user who alone may answer, and as what."""

    person: str
    slack: str
    role: Role = "self"


class Ask(msgspec.Struct, frozen=True):
    """A question about an alert, as its case keeps it. Times are in microseconds (since the epoch).

    `covers` are the detections asked about, of `severity` at most: a yes says nothing of what joins later; it closes
    alerts of the severity `closes` at most. `doubt` says why the person's own account is not asked, if it is not.
    """

    people: tuple[Asked, ...]
    wait: int
    by: str
    at: int
    covers: tuple[str, ...] = ()
    severity: Severity = "critical"
    doubt: str = ""
    closes: Severity = "critical"
    end: End = ""
    said_by: str = ""
    said_at: int = 0

    @property
    def open(self) -> bool:
        """Whether an answer is still waited for."""
        return self.end == ""


NOT_YOURS = "This question is for somebody else: only the person it was put to can answer it."


class Refusal(msgspec.Struct, frozen=True):
    """Why an answer does not count, as a sentence for the one who gave it."""

    reason: str


def question_id(alert_id: str, ask: Ask, place: int) -> str:
    """The id of the question to the person at a place; another round of asking has other ids."""
    return f"ask:question:{stable_id(alert_id, ask.at, place)}"


def place_of(alert_id: str, ask: Ask, question: str) -> int | None:
    """Whose question it is; None where it is none of this round."""
    return next((n for n in range(len(ask.people)) if question_id(alert_id, ask, n) == question), None)


def answered(ask: Ask, place: int, user: str, word: Word, at: int) -> Ask | Refusal:
    """The question after the Slack `user` said `word` to what was put to the person at `place`."""
    person = ask.people[place]
    if user != person.slack:
        return Refusal(NOT_YOURS)
    end = ANSWERS[ask.end].get(word)
    if end is None:
        return Refusal(f"Already answered: {standing(ask)}.")
    return msgspec.structs.replace(ask, end=end, said_by=person.person, said_at=at)


def unanswered(ask: Ask, at: int) -> Ask:
    """The question after the last one's time is up."""
    return msgspec.structs.replace(ask, end="nobody", said_at=at) if ask.open else ask


def covered(ask: Ask, alert: Alert) -> bool:
    """Whether the alert is still what was asked about: no other detection has joined, and it is no graver.

    Of a quiet one only its changes were asked about.
    """
    found = {finding.detection: finding.severity for finding in alert.findings}
    grave = [alert.severity]
    if alert.quiet:
        found = {name: severity for name, severity in found.items() if name.startswith(CHANGES)}
        grave = [*found.values()]
    graver = any(SEVERITIES.index(one) > SEVERITIES.index(ask.severity) for one in grave)
    return not graver and found.keys() <= set(ask.covers)


def standing(ask: Ask) -> str:
    """Where it stands, for people: "alice said no at ..."."""
    if ask.open:
        return f"asked since {rfc3339(ask.at)}, no answer yet"
    if ask.end == "nobody":
        return f"nobody answered until {rfc3339(ask.said_at)}"
    return f"{ask.said_by} said {'no' if ask.end == 'no' else 'yes'} at {rfc3339(ask.said_at)}"
