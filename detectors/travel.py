"""Being in two places: how fast the principal would have travelled, and whether a session moved.

Places are only as good as geolocation is, and some exits stand anywhere: so the speed counts on a logarithmic scale,
short ways count for nothing, and a way between places that are both usual for the principal for nothing either.
"""

from __future__ import annotations

from math import asin, cos, log2, radians, sin, sqrt
from typing import NamedTuple

from detectors.baseline import ASN, COUNTRY, LATITUDE, LONGITUDE, NETWORK, PLACED_AT, Baseline
from detectors.lens import Place
from detectors.observation import Observation

EARTH = 6_371.0
"""Its mean radius, km."""
SLACK = 100.0
"""Kilometres that say nothing: people live around towns, and databases are off."""
PAUSE = 0.25
"""Hours added to every way, so that two events in one second are no infinite speed."""
STEADY = 100.0
"""km/h that count as one on the logarithmic scale."""

_HALF = 2**32 - 1


class Way(NamedTuple):
    """From the last place to this one."""

    kilometres: float
    hours: float

    @property
    def bits(self) -> float:
        """0 for a short way, 1 for 100 km/h, 3.3 for an airliner, 6 and more where nobody can travel so fast."""
        return log2(1.0 + max(0.0, self.kilometres - SLACK) / (self.hours + PAUSE) / STEADY)


def way(baseline: Baseline, obs: Observation) -> Way | None:
    """The way from the last place learnt to an observation's; None where one of them is unknown."""
    scalars, place = baseline.scalars, obs.place
    if place is None or not scalars[PLACED_AT]:
        return None
    last = scalars[LATITUDE], scalars[LONGITUDE]
    if last == place:
        return _STAYED
    return Way(distance(last, place), abs(obs.time - scalars[PLACED_AT]) / 3_600.0)


def distance(one: Place, other: Place) -> float:
    """Kilometres on a great circle (haversine: Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984)."""
    north, south = radians(one[0]), radians(other[0])
    half = sin((south - north) / 2.0) ** 2
    half += cos(north) * cos(south) * sin(radians(other[1] - one[1]) / 2.0) ** 2
    return 2.0 * EARTH * asin(min(1.0, sqrt(half)))


def began_elsewhere(baseline: Baseline, obs: Observation) -> bool:
    """Whether the event's session is known to have begun with another provider, or in another country."""
    began = baseline.sessions.get(obs.session)
    return began is not None and began != (origin_of(obs) or began)


def learn_place(baseline: Baseline, obs: Observation) -> None:
    """Remember where the principal is, and where its session began."""
    scalars, place = baseline.scalars, obs.place
    if place is not None and obs.time >= scalars[PLACED_AT]:
        scalars[LATITUDE], scalars[LONGITUDE] = place
        scalars[PLACED_AT] = obs.time
    if obs.session and obs.session not in baseline.sessions:
        origin = origin_of(obs)
        if origin:
            baseline.begin(obs.session, origin)


def origin_of(obs: Observation) -> int:
    """The provider, or else the country, or else the network an event comes from, as 32 bits; 0 where none is known."""
    tokens = obs.tokens
    return (tokens[ASN] or tokens[COUNTRY] or tokens[NETWORK]) & _HALF


_STAYED = Way(0.0, 0.0)
