"""The life of an alert among people: one table says which action leads where."""

from __future__ import annotations

from typing import Literal

import msgspec

from alerting.alert import Alert, Status
from alerting.ask import Ask
from audit.event import rfc3339
from audit.finding import SEVERITIES, Severity

Action = Literal[
    "ack", "resolve", "benign", "false_positive", "snooze", "assign", "reopen", "wake",
    "ask", "confirm", "deny", "noted", "reason", "unanswered", "fell",
]  # fmt: skip
"""What can be done with a case. `wake` is what the end of a snooze does by itself; the second line is asking the user:
asked, yes, no, a yes that closes nothing, no answer in time (alerting/ask_case.py); and that paper which explained part
of it was withdrawn (streams/recheck.py)."""

_TAKE_UP: dict[Action, tuple[Status, str | None]] = {
    "snooze": ("acknowledged", None),
    "assign": ("acknowledged", None),
    "resolve": ("resolved", "true_positive"),
    "benign": ("resolved", "benign"),
    "false_positive": ("resolved", "false_positive"),
    "confirm": ("resolved", "benign"),
    "deny": ("reopened", None),
}
_BESIDE: tuple[Action, ...] = ("ask", "noted", "reason", "unanswered", "fell")
"""Steps that leave a case where it is: a click on a message from before them is not stale."""


def _stays(status: Status) -> dict[Action, tuple[Status, str | None]]:
    return dict.fromkeys(_BESIDE, (status, None))


TRANSITIONS: dict[Status, dict[Action, tuple[Status, str | None]]] = {
    "open": {"ack": ("acknowledged", None), **_TAKE_UP, **_stays("open")},
    "acknowledged": {"wake": ("open", None), **_TAKE_UP, **_stays("acknowledged")},
    "resolved": {"reopen": ("reopened", None), "deny": ("reopened", None), "fell": ("resolved", None)},
    "reopened": {"ack": ("acknowledged", None), **_TAKE_UP, **_stays("reopened")},
}
"""Status -> action -> (status, resolution) after it; _BESIDE leaves the resolution. Snoozed is acknowledged, with an
end."""

STEPS_KEPT = 50
"""Steps a case remembers; the message's thread holds all of them."""

_DONE: dict[Action, str] = {
    "ack": "acknowledged it",
    "resolve": "resolved it as true_positive",
    "benign": "resolved it as benign",
    "false_positive": "resolved it as false_positive",
    "snooze": "snoozed it",
    "assign": "took it",
    "reopen": "reopened it",
    "wake": "ended the snooze",
    "ask": "asked about it",
    "confirm": "said yes, it is all right",
    "deny": "said no",
    "noted": "said yes, which closes nothing",
    "reason": "gave a reason, which closes nothing",
    "unanswered": "got no answer",
    "fell": "found that less of it is explained",
}


class Step(msgspec.Struct, frozen=True):
    """`actor` did `action` at `at` (microseconds since the epoch); `until` ends a snooze, `note` says why.

    `version` is the case's after the step.
    """

    action: Action
    actor: str
    at: int
    note: str = ""
    until: int = 0
    version: int = 0

    def __str__(self) -> str:
        until = f" until {rfc3339(self.until)}" if self.until else ""
        return f"{self.actor or 'somebody'} {_DONE[self.action]}{until} at {rfc3339(self.at)}"


class Case(msgspec.Struct, frozen=True):
    """Where an alert stands. `version` counts the steps: who writes must have read the newest.

    `actor` took the last step at `at` (microseconds since the epoch) and may have left a `note`; all are empty in a new
    case. `assignee` has taken it; `snoozed_until` (microseconds) is 0 unless it is snoozed. `steps` are the last ones.
    `ask` is the newest question to a person about it; it is at least as grave as `raised`.
    """

    alert_id: str
    status: Status = "open"
    resolution: str | None = None
    version: int = 0
    actor: str = ""
    at: int = 0
    note: str = ""
    assignee: str = ""
    snoozed_until: int = 0
    steps: tuple[Step, ...] = ()
    ask: Ask | None = None
    raised: Severity = "low"


def round_of(case: Case) -> int:
    """The version at which it last came back to the team (a snooze ended, it was reopened); 0 where it never did."""
    return max((step.version for step in case.steps if step.action in ("wake", "reopen", "deny")), default=0)


class Refused(msgspec.Struct, frozen=True):
    """Why a step was not taken, as a sentence for the one who asked."""

    reason: str


def case_of(alert: Alert) -> Case:
    """The case of an alert nobody has touched: it stands as the alert says (resolution checks may have resolved it)."""
    return Case(alert.id, alert.status, alert.resolution)


def standing(alert: Alert, case: Case | None) -> Alert:
    """The alert with the status of its case, and as grave as that says; critical where the person asked said no."""
    if case is None:
        return alert
    severity = "critical" if denied(case) else max(alert.severity, case.raised, key=SEVERITIES.index)
    return msgspec.structs.replace(alert, status=case.status, resolution=case.resolution, severity=severity)


def denied(case: Case) -> bool:
    """Whether the person asked about it said no, and the team has not decided otherwise."""
    return case.ask is not None and case.ask.end == "no" and case.status != "resolved"


def transition(case: Case, action: Action, actor: str, at: int, note: str = "") -> Case | Refused:
    """The case after `actor` did `action` at `at` (microseconds), or why that cannot be."""
    return take(case, Step(action, actor, at, note))


def take(case: Case, step: Step, seen: int | None = None) -> Case | Refused:
    """The case after the step, or why that cannot be; `step.version` is filled in here.

    `seen` is the version the actor had in view: what others did since, or the same step of his own, makes it stale.
    """
    if overtaken := _overtaken(case, step, seen):
        return Refused(overtaken)
    after = TRANSITIONS.get(case.status, {}).get(step.action)
    if after is None or (step.action == "assign" and case.assignee == step.actor):
        who = f" by {case.actor} at {rfc3339(case.at)}" if case.actor else ""
        return Refused(f"{step.action} is not possible: the case is already {_state(case)}{who}")
    status, resolution = after[0], case.resolution if step.action in _BESIDE else after[1]
    step = msgspec.structs.replace(step, version=case.version + 1)
    return Case(
        case.alert_id,
        status,
        resolution,
        step.version,
        step.actor,
        step.at,
        step.note,
        step.actor if step.action == "assign" else case.assignee,
        case.snoozed_until if step.action in ("assign", *_BESIDE) else step.until,
        (*case.steps, step)[-STEPS_KEPT:],
        case.ask,
        case.raised,
    )


def left_by(case: Case) -> tuple[str, int, str]:
    """Who left the case as it stands, when, and the note; asking people changes nothing of that."""
    if not case.steps or case.steps[-1].action not in _BESIDE:
        return case.actor, case.at, case.note
    moves = [step for step in case.steps if step.action not in _BESIDE]
    return (moves[-1].actor, moves[-1].at, moves[-1].note) if moves else ("", 0, "")


def told_since(case: Case, version: int) -> tuple[Step, ...]:
    """The steps taken after a version, as far as the case remembers them."""
    return tuple(step for step in case.steps if step.version > version)


def _overtaken(case: Case, step: Step, seen: int | None) -> str:
    """What came between as a sentence, or nothing. A second step of one's own is fine, the same one twice is not."""
    if seen is None or seen == case.version:
        return ""
    since = told_since(case, seen)
    moves = [one for one in since if one.action not in _BESIDE]
    foreign = [one for one in moves if one.actor != step.actor or one.action == step.action]
    if foreign:
        return f"already done: {'; '.join(map(str, foreign[-3:]))}"
    forgotten = len(since) != case.version - seen
    return f"the message you see is not current: the case is {_state(case)} now" if forgotten else ""


def _state(case: Case) -> str:
    return f"with {case.assignee}" if case.assignee and case.status == "acknowledged" else case.status
