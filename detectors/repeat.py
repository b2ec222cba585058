"""A change is told once: what is strange about an event only in what already waits for a verdict is no news.

A trip, a new laptop or a move to another team makes every event of a day strange. The first one is told; the others
are held like it, and told only where they would be strange without it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log1p

import msgspec

from detectors.baseline import NEWEST, Baseline
from detectors.features import FEATURES, features
from detectors.hours import hour_bin
from detectors.observation import Observation
from detectors.surprise import Groups, surprises
from detectors.travel import SLACK, distance

_PLACE = {feature.name: place for place, feature in enumerate(FEATURES)}


def beyond(baseline: Baseline, obs: Observation, pending: Sequence[Observation], groups: Groups) -> list[float]:
    """The row of an event as if what is pending were known: its tokens, place, session, hours and their novelty."""
    known = {token for other in pending for token in other.tokens}
    place = obs.place
    if place and any(other.place and distance(place, other.place) < SLACK for other in pending):
        place = None
    rest = msgspec.structs.replace(
        obs,
        tokens=tuple(0 if token in known else token for token in obs.tokens),
        place=place,
        session=0 if any(obs.session == other.session for other in pending) else obs.session,
    )
    row = features(baseline, rest, groups)
    weight = baseline.weight(max(obs.time, baseline.scalars[NEWEST]))
    row[_PLACE["novelty_1h"]] = row[_PLACE["novelty_24h"]] = log1p(surprises(baseline, rest.tokens, weight, ()).new)
    if any(_same_hours(obs, other) for other in pending):
        row[_PLACE["hour_surprise"]] = min(0.0, row[_PLACE["hour_surprise"]])
    return row


def _same_hours(obs: Observation, other: Observation) -> bool:
    """Whether two events fall within an hour or two on the clock, both on working days or both at weekends."""
    one, two = hour_bin(obs.time + obs.offset), hour_bin(other.time + other.offset)
    return one // 24 == two // 24 and min((one - two) % 24, (two - one) % 24) <= 2
