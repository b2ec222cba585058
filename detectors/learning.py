"""How the usual is learnt, event by event; what is under suspicion is counted among what happens now and no more."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log2

from detectors.baseline import (
    DENIALS,
    EVENTS,
    FAILED,
    FAILURES,
    FIRST,
    FOLDED_AT,
    HALF_LIFE,
    HELD_RECENT,
    HELD_SPREAD,
    LANDMARK,
    NEW_DAY,
    NEW_HOUR,
    NEWEST,
    NOVEL,
    RATE_PEAK,
    REBASE_AFTER,
    RECENT,
    RESOURCE,
    SPREAD,
    SPREAD_PEAK,
    TOTAL,
    Baseline,
)
from detectors.hours import learn_hour
from detectors.observation import Observation
from detectors.pace import DAY, HOUR, SHORT, fade, is_fresh, is_fresh_deed
from detectors.surprise import DOUBT, surprises
from detectors.travel import learn_place

_NOTICED = (RECENT, SPREAD, FAILURES, DENIALS, NEW_HOUR, NEW_DAY)


def learn(baseline: Baseline, obs: Observation) -> None:
    """Fold one event into the baseline, in place. A late event weighs what it would have weighed in time."""
    scalars, time = baseline.scalars, obs.time
    if not scalars[EVENTS]:
        scalars[LANDMARK] = scalars[FIRST] = scalars[NEWEST] = scalars[FOLDED_AT] = time
    newest = scalars[NEWEST]
    now = max(time, newest)
    if now - scalars[LANDMARK] > REBASE_AFTER * HALF_LIFE:
        baseline.rebase(now)
    if now > newest:
        fade(baseline, now)
    if time // 3600 != int(newest) // 3600 or not scalars[EVENTS]:
        learn_hour(baseline, obs)
    late = now - time
    own = exp(-late / SHORT)
    weight = baseline.weight(time)
    scalars[SPREAD] += own * is_fresh(baseline, obs, now)
    if obs.denied:
        scalars[DENIALS] += own * is_fresh_deed(baseline, obs, now)
    new = _learn_tokens(baseline, obs, weight, baseline.weight(now) if late else weight)
    scalars[RECENT] += own
    scalars[FAILURES] += own * obs.failed
    scalars[FAILED] += weight * (obs.failed or obs.denied)
    scalars[NEW_HOUR] += new * exp(-late / HOUR)
    scalars[NEW_DAY] += new * exp(-late / DAY)
    scalars[RATE_PEAK] = max(scalars[RATE_PEAK], scalars[RECENT] - scalars[HELD_RECENT])
    scalars[SPREAD_PEAK] = max(scalars[SPREAD_PEAK], scalars[SPREAD] - scalars[HELD_SPREAD])
    learn_place(baseline, obs)
    scalars[NEWEST] = now
    scalars[EVENTS] += 1


def notice(baseline: Baseline, obs: Observation, held: Sequence[Observation]) -> None:
    """Count an event under suspicion among what happens now and teach nothing: a burst goes on while it is held.

    `held` are the observations under suspicion already: what they touched is not new a second time.
    """
    scalars = baseline.scalars
    if not scalars[EVENTS]:
        return
    now = max(obs.time, scalars[NEWEST])
    late = now - obs.time
    own = exp(-late / SHORT)
    known = {token for other in held for token in other.tokens}
    fresh = own * (obs.tokens[RESOURCE] not in known and is_fresh(baseline, obs, now))
    unknown = tuple(0 if token in known else token for token in obs.tokens)
    new = surprises(baseline, unknown, baseline.weight(now), ()).new
    if now > scalars[NEWEST]:
        fade(baseline, now)
    for counter, amount in (
        (RECENT, own),
        (HELD_RECENT, own),
        (SPREAD, fresh),
        (HELD_SPREAD, fresh),
        (FAILURES, own * obs.failed),
        (DENIALS, own * (obs.denied and is_fresh_deed(baseline, obs, now) and not _again(obs, held))),
        (NEW_HOUR, new * exp(-late / HOUR)),
        (NEW_DAY, new * exp(-late / DAY)),
    ):
        scalars[counter] += amount
    scalars[NEWEST] = now


def _again(obs: Observation, held: Sequence[Observation]) -> bool:
    """Whether the same deed on the same thing is under suspicion already."""
    return any(obs.tokens[:2] == other.tokens[:2] for other in held)


def learn_held(baseline: Baseline, obs: Observation) -> None:
    """Make what was held part of the usual: `notice` has counted it among what happens now, once is enough."""
    scalars = baseline.scalars
    if not scalars[EVENTS] or obs.time > scalars[NEWEST]:  # held before there was a usual: nobody took notice
        learn(baseline, obs)
        return
    own = exp((obs.time - scalars[NEWEST]) / SHORT)
    counted = [scalars[counter] for counter in _NOTICED]
    learn(baseline, obs)
    for counter, height in zip(_NOTICED, counted, strict=True):
        scalars[counter] = height
    for counter in (HELD_RECENT, HELD_SPREAD):
        scalars[counter] = max(0.0, scalars[counter] - own)


def _learn_tokens(baseline: Baseline, obs: Observation, weight: float, doubt_weight: float) -> float:
    """Count the event's tokens; returns the bits of those seen for the first time."""
    scalars, doubt, new = baseline.scalars, DOUBT * doubt_weight, 0.0
    for kind, token in enumerate(obs.tokens):
        if not token:
            continue
        if baseline.record(kind, token, weight, obs.time):
            new += log2((scalars[TOTAL + kind] + doubt) / (scalars[NOVEL + kind] + doubt))
            scalars[NOVEL + kind] += weight
        scalars[TOTAL + kind] += weight
    return new if new > 0.0 else 0.0
