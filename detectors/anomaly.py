"""An event that its principal's model finds strange, as a finding."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from audit.event import AuditEvent
from audit.finding import RISK, Finding, stable_id
from detectors.explain import explain, headline, whom
from detectors.features import observe
from detectors.known import Known
from detectors.measure import measures
from detectors.model import HIGH_ABOVE, Model
from detectors.travel import Way

DETECTION = "anomaly.forest"
TWO_PLACES = "anomaly.two_places"
PER_DECADE = 15
"""Risk that a strangeness of high severity gains each time it is ten times as rare."""

MAY_TRAVEL = "there was time to travel there, and the device is known"


def anomaly_finding(model: Model, known: Known, event: AuditEvent, row: Sequence[float], strangeness: float) -> Finding:
    """The finding for a strange event; `known` as it was when `row` was computed. The caller sets `version`.

    Its id follows from the event alone, so that another model's word on the same event is the same finding.
    """
    severity = model.severity(strangeness, known.baseline)
    obs = observe(event, known.context)
    return Finding(
        id=stable_id("anomaly", event.source, event.id),
        time=event.time,
        kind="anomaly",
        detection=DETECTION,
        title=headline(event, known.context),
        severity=severity,
        risk=RISK["low"] if severity == "low" else risk(round(strangeness - model.threshold, 6)),
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=explain(model, known, obs, event, row),
        measures=measures(known, obs),
    )


def as_journey(finding: Finding, model: Model, from_home: float) -> Finding:
    """The finding of an event of somebody who may have travelled there: medium, and no alert by itself.

    It counts for what it would from home, where its strangeness would be `from_home`, and for a medium one at least.
    """
    counts = min(finding.risk, max(RISK["medium"], risk(round(from_home - model.threshold, 6))))
    return msgspec.structs.replace(finding, severity="medium", risk=counts, reasons=(*finding.reasons, MAY_TRAVEL))


def two_places_finding(known: Known, event: AuditEvent, back: Way) -> Finding:
    """The finding for an event that comes too soon after one from elsewhere for both to be the same person's.

    Args:
        known: the principal as it was before the event.
        event: what happened where they were before.
        back: the way from the other place, and the time there was for it.
    """
    return Finding(
        id=stable_id(TWO_PLACES, event.source, event.id),
        time=event.time,
        kind="anomaly",
        detection=TWO_PLACES,
        title=f"{whom(event.actor, known.context)} is active in two places at once",
        severity="high",
        risk=RISK["high"],
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=(
            f"active as usual {back.hours:.1f} hours apart from {back.kilometres:.0f} km away, "
            "where they might have travelled",
        ),
        attack=("T1078",),
    )


def risk(beyond: float) -> int:
    """0 to 100 of strangeness beyond the threshold: from medium at it to high where high begins, then slowly on."""
    if beyond < HIGH_ABOVE:
        return max(0, int(RISK["medium"] + (RISK["high"] - RISK["medium"]) / HIGH_ABOVE * beyond))
    return min(100, int(RISK["high"] + PER_DECADE * (beyond - HIGH_ABOVE)))
