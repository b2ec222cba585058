"""Trips told from thefts, as far as logs can: what is strange about a trip is the place, and one can have gone there.

Whoever is far from where they were last seen, after long enough to have gone there, with a device of theirs and in a
session that began there, may be travelling. That is worth a look and no alarm by itself. A thief seldom waits until the
person has been silent for as long as the way takes; and as soon as the person is active at home again, no way does.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from detectors.baseline import AGENT, ASN, COUNTRY, NETWORK, NEWEST, Baseline
from detectors.observation import KINDS, Observation
from detectors.repeat import beyond
from detectors.surprise import RARE, Groups
from detectors.travel import SLACK, Way, began_elsewhere, distance, way

FASTEST = 800.0
"""km/h from one airport to the other."""
OVERHEAD = 3.0
"""Hours that a way takes besides."""

_PLACE = frozenset((COUNTRY, ASN, NETWORK))
_PEOPLE = frozenset((KINDS.index("human"), KINDS.index("contractor")))


def may_travel(baseline: Baseline, obs: Observation) -> bool:
    """Whether somebody can have gone to where an event comes from, and everything else is as with a trip.

    A privileged deed from a place never seen is grave on a trip, too.
    """
    gone = way(baseline, obs)
    if gone is None or gone.kilometres <= SLACK or obs.kind not in _PEOPLE or obs.privileged:
        return False
    own_device = baseline.count(obs.tokens[AGENT], max(obs.time, baseline.scalars[NEWEST])) >= RARE
    return own_device and is_feasible(gone) and not began_elsewhere(baseline, obs)


def is_feasible(gone: Way) -> bool:
    """Whether a way can be gone in the time it took."""
    return gone.hours >= OVERHEAD + gone.kilometres / FASTEST


def contradicted(baseline: Baseline, obs: Observation, far: Observation) -> Way | None:
    """The way back from somewhere new, where an event comes from the last known place and nobody can be there by then.

    None where the two agree, or one of the places is unknown.
    """
    here, there = way(baseline, obs), far.place
    if here is None or obs.place is None or there is None or here.kilometres > SLACK:
        return None
    if obs.kind not in _PEOPLE or all(far.tokens[kind] in baseline.slots for kind in (COUNTRY, ASN)):
        return None
    back = Way(distance(there, obs.place), abs(obs.time - far.time) / 3_600.0)
    return back if back.kilometres > SLACK and not is_feasible(back) else None


def at_home(baseline: Baseline, obs: Observation, groups: Groups) -> Sequence[float]:
    """The row of an event as if its place, and the hours kept there, were known."""
    tokens = tuple(token if kind in _PLACE else 0 for kind, token in enumerate(obs.tokens))
    return beyond(baseline, obs, [msgspec.structs.replace(obs, tokens=tokens)], groups)
