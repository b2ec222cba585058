"""How much goes on: events, resources, failures and denials in about 15 minutes, against the own usual peaks."""

from __future__ import annotations

from math import exp, log1p, sqrt

from detectors.baseline import (
    ACTION,
    DENIALS,
    FAILURES,
    FOLDED_AT,
    FOLDS,
    HALF_LIFE,
    HELD_RECENT,
    HELD_SPREAD,
    NEW_DAY,
    NEW_HOUR,
    NEWEST,
    RATE_MEAN,
    RATE_PEAK,
    RATE_TOP,
    RATE_VAR,
    RECENT,
    RESOURCE,
    SPREAD,
    SPREAD_MEAN,
    SPREAD_PEAK,
    SPREAD_TOP,
    SPREAD_VAR,
    Baseline,
)
from detectors.observation import Observation

SHORT, HOUR, DAY = 900.0, 3_600.0, 86_400.0
"""Time constants of the short counters, seconds."""
USUAL_DOUBT, USUAL_VAR = 5.0, 0.5
"""Pseudo-looks, and the variance of log counts they assume, in the z-scores of rate and spread."""
SLOWEST = 1 / 64
"""Smallest step with which a new look moves the usual rate and spread."""
RECORD_DOUBT, RECORD_MARGIN = 5.0, 1.1
"""Events, or resources, added to a record: from 1 to 4 is no feat; and what decay takes off a record in two days."""

_USUAL = ((RATE_PEAK, RATE_MEAN, RATE_VAR, RATE_TOP), (SPREAD_PEAK, SPREAD_MEAN, SPREAD_VAR, SPREAD_TOP))


def short_counts(baseline: Baseline, obs: Observation) -> tuple[float, float, float, float]:
    """Events, distinct resources, failures and denials in about 15 minutes, this event included."""
    scalars = baseline.scalars
    now = max(obs.time, scalars[NEWEST])
    fade, own = exp((scalars[NEWEST] - now) / SHORT), exp((obs.time - now) / SHORT)
    return (
        scalars[RECENT] * fade + own,
        scalars[SPREAD] * fade + own * is_fresh(baseline, obs, now),
        scalars[FAILURES] * fade + own * obs.failed,
        scalars[DENIALS] * fade + own * (obs.denied and is_fresh_deed(baseline, obs, now)),
    )


def deviation(height: float, mean: float, var: float, looks: float) -> float:
    """Standard deviations above the mean (0 below it), shrunk while there were few looks."""
    if height <= mean:
        return 0.0
    spread = sqrt((var * looks + USUAL_VAR * USUAL_DOUBT) / (looks + USUAL_DOUBT))
    return (height - mean) / spread * looks / (looks + USUAL_DOUBT)


def record(height: float, top: float, looks: float) -> float:
    """How far above the own highest so far, as a logarithm, shrunk while there were few looks."""
    known = top * RECORD_MARGIN + 0.5
    if height <= known:
        return 0.0
    return log1p((height - known) / (known + RECORD_DOUBT)) * looks / (looks + USUAL_DOUBT)


def beyond(failed: float, expected: float) -> float:
    """Logarithm of the excess in units of about a standard deviation: a Poisson count's variance is its mean."""
    return log1p(max(0.0, failed - expected) / sqrt(1.0 + expected))


def is_fresh(baseline: Baseline, obs: Observation, now: float) -> bool:
    """Whether the event touches a resource that was not touched within the last 15 minutes."""
    token = obs.tokens[RESOURCE]
    slot = baseline.slots.get(token)
    return bool(token) and (slot is None or now - baseline.seen[slot] > SHORT)


def is_fresh_deed(baseline: Baseline, obs: Observation, now: float) -> bool:
    """Whether the event's action or its resource was not seen within the last 15 minutes.

    Who is denied one door again and again was denied once; who tries many, often.
    """
    slot = baseline.slots.get(obs.tokens[ACTION])
    return slot is None or now - baseline.seen[slot] > SHORT or is_fresh(baseline, obs, now)


def fade(baseline: Baseline, now: float) -> None:
    """Bring the short counters from the newest event to `now`; look at their peaks every 15 minutes."""
    scalars = baseline.scalars
    idle = now - scalars[NEWEST]
    factor = exp(-idle / SHORT)
    for index in (RECENT, SPREAD, FAILURES, DENIALS, HELD_RECENT, HELD_SPREAD):
        scalars[index] *= factor
    scalars[NEW_HOUR] *= exp(-idle / HOUR)
    scalars[NEW_DAY] *= exp(-idle / DAY)
    if now - scalars[FOLDED_AT] >= SHORT:
        _look(baseline, now)


def _look(baseline: Baseline, now: float) -> None:
    """Fold the peaks since the last look into the usual: weighted mean and variance of their logs, and the highest."""
    scalars = baseline.scalars
    if not scalars[RATE_PEAK]:  # nothing but events under suspicion since the last look
        scalars[FOLDED_AT] = now
        return
    step = max(1.0 / (scalars[FOLDS] + 1.0), SLOWEST)
    factor = 2.0 ** (-(now - scalars[FOLDED_AT]) / HALF_LIFE)
    for peak, mean, var, top in _USUAL:
        difference = log1p(scalars[peak]) - scalars[mean]
        scalars[mean] += step * difference
        scalars[var] = (1.0 - step) * (scalars[var] + step * difference * difference)
        scalars[top] = max(scalars[peak], scalars[top] * factor)
        scalars[peak] = 0.0
    scalars[FOLDS] += 1.0
    scalars[FOLDED_AT] = now
