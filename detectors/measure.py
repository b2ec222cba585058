"""The numbers of a strange event that are beyond their usual, as pairs: what a bar chart of two bars shows."""

from __future__ import annotations

from math import expm1

from audit.brief import Measure
from detectors.baseline import ACTION, FAILED, FOLDS, RATE_MEAN, SPREAD_MEAN, TOTAL
from detectors.known import Known
from detectors.observation import Observation
from detectors.pace import short_counts

TIMES, ABOVE = 1.5, 3.0
"""A number is told of when it is so many times its usual and so much above it."""


def measures(known: Known, obs: Observation) -> tuple[Measure, ...]:
    """Events, resources and refusals in 15 minutes beside the usual; `known` as it was before the event."""
    events, resources, failures, denials = short_counts(known.baseline, obs)
    scalars = known.baseline.scalars
    if not scalars[FOLDS]:
        return ()
    usual_refused = scalars[FAILED] / max(scalars[TOTAL + ACTION], 1.0)
    found = (
        Measure("events in 15 min", _tenth(events), _tenth(expm1(scalars[RATE_MEAN]))),
        Measure("resources in 15 min", _tenth(resources), _tenth(expm1(scalars[SPREAD_MEAN]))),
        Measure("refused in 15 min", _tenth(failures + denials), _tenth(usual_refused * events)),
    )
    return tuple(one for one in found if one.now >= max(TIMES * one.usual, one.usual + ABOVE))


def _tenth(value: float) -> float:
    return round(max(value, 0.0), 1)
