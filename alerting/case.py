"""The life of an alert among people: one table says which action leads where."""

from __future__ import annotations

from typing import Literal

import msgspec

from alerting.alert import Status
from audit.event import rfc3339

Action = Literal["ack", "resolve", "benign", "false_positive", "reopen"]

TRANSITIONS: dict[Status, dict[Action, tuple[Status, str | None]]] = {
    "open": {
        "ack": ("acknowledged", None),
        "resolve": ("resolved", "true_positive"),
        "benign": ("resolved", "benign"),
        "false_positive": ("resolved", "false_positive"),
    },
    "acknowledged": {
        "resolve": ("resolved", "true_positive"),
        "benign": ("resolved", "benign"),
        "false_positive": ("resolved", "false_positive"),
    },
    "resolved": {"reopen": ("reopened", None)},
}
TRANSITIONS["reopened"] = TRANSITIONS["open"]


class Case(msgspec.Struct, frozen=True):
    """Where an alert stands. `version` counts the steps: who writes must have read the newest.

    `actor` took the last step at `at` (microseconds since the epoch) and may have left a `note`; all are empty in a new
    case.
    """

    alert_id: str
    status: Status = "open"
    resolution: str | None = None
    version: int = 0
    actor: str = ""
    at: int = 0
    note: str = ""


class Refused(msgspec.Struct, frozen=True):
    """Why a step was not taken, as a sentence for the one who asked."""

    reason: str


def transition(case: Case, action: Action, actor: str, at: int, note: str = "") -> Case | Refused:
    """The case after `actor` did `action` at `at` (microseconds), or why that cannot be."""
    step = TRANSITIONS[case.status].get(action)
    if step is None:
        who = f" by {case.actor} at {rfc3339(case.at)}" if case.actor else ""
        return Refused(f"{action} is not possible: the case is already {case.status}{who}")
    status, resolution = step
    return Case(case.alert_id, status, resolution, case.version + 1, actor, at, note)
