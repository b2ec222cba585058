"""Verdicts as labels: what people, or a resolution check, said an alert was; for notebooks and rule health."""

from __future__ import annotations

from typing import Literal

import msgspec

from alerting.alert import Alert
from alerting.case import Case, denied
from audit.finding import Severity, Version

How = Literal["case", "asked", "check"]

KEPT = 400 * 86_400
"""Seconds a store keeps a label after its verdict."""
MOST = 50_000
"""Labels a store keeps; beyond that the oldest go."""
MOST_EVENTS = 200
"""Event ids a label names."""


class Label(msgspec.Struct, frozen=True):
    """One verdict. `time` is the alert's and `at` the verdict's, both in microseconds since the epoch.

    `verdict` is true_positive, benign or false_positive. `how`: by working the case, by the person who was asked (whose
    no counts as true_positive until the team says otherwise), or by a resolution check. `case_version` orders the
    verdicts on one alert: a later one replaces an earlier one, and reopening takes it back.
    """

    alert_id: str
    verdict: str
    by: str
    at: int
    how: How
    time: int
    principal: str
    severity: Severity
    title: str
    detections: tuple[str, ...]
    event_ids: tuple[str, ...]
    version: Version
    case_version: int = 0

    @property
    def true(self) -> bool:
        """Whether there was something to find."""
        return self.verdict == "true_positive"


def label_of(alert: Alert, case: Case) -> Label | None:
    """The verdict a case stands for; None while there is none, or none any more."""
    no = denied(case)
    verdict = case.resolution or ("true_positive" if no else "")
    if verdict not in VERDICTS or alert.entity.startswith("channel:"):
        return None
    step = case.steps[-1].action if case.steps else ""
    how: How = "check" if case.version == 0 else "asked" if no or step == "confirm" else "case"
    return Label(
        alert_id=alert.id,
        verdict=VERDICTS[verdict],
        by=case.ask.said_by if no and case.ask else case.actor,
        at=case.at or alert.time,
        how=how,
        time=alert.time,
        principal=alert.principal or alert.entity,
        severity=alert.severity,
        title=alert.title[:300],
        detections=tuple(dict.fromkeys(finding.detection for finding in alert.findings)),
        event_ids=alert.event_ids[:MOST_EVENTS],
        version=alert.version,
        case_version=case.version,
    )


VERDICTS = {
    "true_positive": "true_positive",
    "benign": "benign",
    "false_positive": "false_positive",
    "explained": "benign",
}
"""A case's resolution -> the verdict; what declared paper explains was real and harmless."""
