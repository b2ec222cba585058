"""The time of the week in the principal's own time zone: 24 hours of working days, 24 of weekends, each in a circle."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from detectors.baseline import ACTIVE_HOURS, Baseline
from detectors.observation import Observation
from detectors.surprise import Groups

HOUR_DOUBT = 0.5
"""Hours with activity that a flat week, or the peers' week, counts for."""
SHARE = (5 / 168, 2 / 168)
"""Part of a week that one weekday hour bin and one weekend hour bin cover."""
LIKELIEST = 4.0
"""How much likelier than in a flat week the peers' custom can make an hour."""


def hour_bin(time: int) -> int:
    """Which of the 48 hour bins a time falls into: 0 to 23 from Monday to Friday, 24 to 47 at weekends.

    `time` is in seconds on the principal's own clock: seconds since the epoch, and its offset from UTC.
    """
    hours = time // 3600
    weekday = (hours // 24 + 3) % 7  # the epoch was a Thursday
    return hours % 24 + (24 if weekday >= 5 else 0)


def hour_surprise(baseline: Baseline, obs: Observation, weight: float, groups: Groups) -> float:
    """Bits: activity a flat week would have in this hour, over the own activity in it and half in its neighbours.

    The doubt is spread as the peers' week is: a night worked by the whole team is less of a surprise.
    """
    hour = hour_bin(obs.time + obs.offset)
    share, doubt = SHARE[hour // 24], HOUR_DOUBT * weight
    flat = baseline.scalars[ACTIVE_HOURS] * share + doubt
    usual = smoothed(baseline.hours, hour)
    if groups and usual + doubt < flat:
        group = groups[0]
        doubt *= min(LIKELIEST, max(1.0, smoothed(group.hours, hour) / (group.members * share)))
    return log2(flat / (usual + doubt))


def smoothed(hours: Sequence[float], hour: int) -> float:
    """Activity in an hour bin and half in its neighbours, round the clock."""
    first = hour // 24 * 24
    before, after = first + (hour - 1) % 24, first + (hour + 1) % 24
    return 0.5 * hours[hour] + 0.25 * (hours[before] + hours[after])


def learn_hour(baseline: Baseline, obs: Observation) -> None:
    """Count an hour with activity once, so that a burst at night does not make the night usual."""
    weight = baseline.weight(obs.time)
    baseline.hours[hour_bin(obs.time + obs.offset)] += weight
    baseline.scalars[ACTIVE_HOURS] += weight
