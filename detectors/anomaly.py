"""An event that its principal's model finds strange, as a finding."""

from __future__ import annotations

from collections.abc import Sequence

from audit.event import AuditEvent
from audit.finding import RISK, Finding, stable_id
from detectors.explain import clip, explain
from detectors.features import observe
from detectors.known import Known
from detectors.measure import measures
from detectors.model import HIGH_ABOVE, Model

DETECTION = "anomaly.forest"
PER_DECADE = 15
"""Risk that a strangeness of high severity gains each time it is ten times as rare."""


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
        title=f"Unusual for {clip(event.actor.name)}: {clip(event.action)}",
        severity=severity,
        risk=RISK["low"] if severity == "low" else risk(strangeness - model.threshold),
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=explain(model, known, obs, event, row),
        measures=measures(known, obs),
    )


def risk(beyond: float) -> int:
    """0 to 100 of strangeness beyond the threshold: from medium at it to high where high begins, then slowly on."""
    if beyond < HIGH_ABOVE:
        return max(0, int(RISK["medium"] + (RISK["high"] - RISK["medium"]) / HIGH_ABOVE * beyond))
    return min(100, int(RISK["high"] + PER_DECADE * (beyond - HIGH_ABOVE)))
