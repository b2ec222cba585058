"""How far one event is from what its principal usually does: the row a model scores, and how the usual is learnt.

Read `FEATURES` for what each column means. Everything is relative to the principal's own `Baseline`, so that one model
serves everybody, and shrinks to zero while there is little history. Seconds of event time, in UTC, throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log1p, log2, sqrt

import msgspec

from detectors.baseline import (
    ACTION,
    ACTIVE_HOURS,
    DENIALS,
    EVENTS,
    FAILED,
    FAILURES,
    FIRST,
    FOLDED_AT,
    FOLDS,
    HALF_LIFE,
    HELD_RECENT,
    HELD_SPREAD,
    LANDMARK,
    NEW_DAY,
    NEW_HOUR,
    NEWEST,
    NOVEL,
    RATE_MEAN,
    RATE_PEAK,
    RATE_TOP,
    RATE_VAR,
    REBASE_AFTER,
    RECENT,
    RESOURCE,
    SPREAD,
    SPREAD_MEAN,
    SPREAD_PEAK,
    SPREAD_TOP,
    SPREAD_VAR,
    TOTAL,
    Baseline,
)
from detectors.observation import Observation, observe

__all__ = ["FEATURES", "Feature", "Observation", "features", "hour_bin", "learn", "learn_held", "notice", "observe"]

SHORT, HOUR, DAY = 900.0, 3_600.0, 86_400.0
"""Time constants of the short counters, seconds."""
DOUBT = 2.0
"""Pseudo-events that say "anything is possible": what keeps a young baseline from being surprised."""
HOUR_DOUBT = 0.5
SHARE = (5 / 168, 2 / 168)
"""Part of a week that one weekday hour bin and one weekend hour bin cover."""
USUAL_DOUBT, USUAL_VAR = 5.0, 0.5
"""Pseudo-looks, and the variance of log counts they assume, in the z-scores of rate and spread."""
SLOWEST = 1 / 64
"""Smallest step with which a new look moves the usual rate and spread."""
RECORD_DOUBT, RECORD_MARGIN = 5.0, 1.1
"""Events, or resources, added to a record: from 1 to 4 is no feat; and what decay takes off a record in two days."""

_NOTICED = (RECENT, SPREAD, FAILURES, DENIALS, NEW_HOUR, NEW_DAY)
_USUAL = ((RATE_PEAK, RATE_MEAN, RATE_VAR, RATE_TOP), (SPREAD_PEAK, SPREAD_MEAN, SPREAD_VAR, SPREAD_TOP))


class Feature(msgspec.Struct, frozen=True, gc=False):
    """One column of a row. Columns of one group rise together and count as one when rarities are added up."""

    name: str
    group: str
    meaning: str


FEATURES: tuple[Feature, ...] = (
    Feature("action_surprise", "action", "bits: log2((all + d) / (max(this, new) + d)), decayed counts, d = DOUBT"),
    Feature("privileged_surprise", "action", "action + origin bits where rights, secrets or logging are changed"),
    Feature("resource_surprise", "resource", "bits, of the resource; 0 where there is none"),
    Feature("country_surprise", "origin", "bits, of the country; 0 when not known"),
    Feature("asn_surprise", "origin", "bits, of the autonomous system; 0 when not known"),
    Feature("network_surprise", "origin", "bits, of the /24 or /48 of the source address; 0 when there is none"),
    Feature("origin_surprise", "origin", "bits: country + autonomous system + network + user agent"),
    Feature("agent_surprise", "agent", "bits, of the family of user agent; 0 when there is none"),
    Feature("hour_surprise", "hour", "bits: activity of a flat week over own in this hour and half its neighbours"),
    Feature("rate_z", "pace", "log1p(events in 15 min), standard deviations above the own usual peak"),
    Feature("spread_z", "pace", "log1p(distinct resources in 15 min), standard deviations above the own usual peak"),
    Feature(
        "rate_record", "record", "log1p((events in 15 min - t) / (t + r)), t = own highest with a margin; 0 below it"
    ),
    Feature(
        "spread_record", "record", "log1p((distinct resources in 15 min - t) / (t + r)), r = RECORD_DOUBT; 0 below it"
    ),
    Feature("failures", "failures", "log1p(failed events in 15 min beyond the expected, over sqrt(1 + expected))"),
    Feature("denials", "failures", "log1p(denied events in 15 min beyond the expected, over sqrt(1 + expected))"),
    Feature("failure_excess", "failures", "share of both in 15 min beyond the own long-run share"),
    Feature("novelty_1h", "novelty", "log1p(bits of all first-seen tokens within an hour)"),
    Feature("novelty_24h", "novelty", "log1p(bits of all first-seen tokens within a day)"),
    Feature("gap", "gap", "log1p(hours since the principal was last seen)"),
)


def features(baseline: Baseline, obs: Observation) -> list[float]:
    """The event's row: one finite number for each of `FEATURES`, against what was learnt before it.

    A late event is judged as of the newest event learnt, with its own age.
    """
    scalars, time = baseline.scalars, obs.time
    newest = scalars[NEWEST]
    now = max(time, newest)
    idle, late = now - newest, now - time
    weight = baseline.weight(now)
    (action, resource, country, asn, agent, network), new = _surprises(baseline, obs.tokens, weight)
    origin = country + asn + network + agent
    recent, spread, failures, denials = short_counts(baseline, obs)
    usual_failures = scalars[FAILED] / (scalars[TOTAL + ACTION] + 3.0 * weight)
    expected = usual_failures * recent
    folds = scalars[FOLDS]
    return [
        action,
        action + origin if obs.privileged else 0.0,
        resource,
        country,
        asn,
        network,
        origin,
        agent,
        _hour_surprise(baseline, time, weight),
        _deviation(log1p(recent), scalars[RATE_MEAN], scalars[RATE_VAR], folds),
        _deviation(log1p(spread), scalars[SPREAD_MEAN], scalars[SPREAD_VAR], folds),
        _record(recent, scalars[RATE_TOP], folds),
        _record(spread, scalars[SPREAD_TOP], folds),
        _beyond(failures, expected),
        _beyond(denials, expected),
        max(0.0, (failures + denials) / (recent + 3.0) - usual_failures),
        log1p(scalars[NEW_HOUR] * exp(-idle / HOUR) + new * exp(-late / HOUR)),
        log1p(scalars[NEW_DAY] * exp(-idle / DAY) + new * exp(-late / DAY)),
        log1p(idle / HOUR) if scalars[EVENTS] else 0.0,
    ]


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
        _fade(baseline, now)
    if time // 3600 != int(newest) // 3600 or not scalars[EVENTS]:
        _learn_hour(baseline, time)
    late = now - time
    own = exp(-late / SHORT)
    weight = baseline.weight(time)
    scalars[SPREAD] += own * _is_fresh(baseline, obs, now)
    new = _learn_tokens(baseline, obs, weight, baseline.weight(now) if late else weight)
    scalars[RECENT] += own
    scalars[FAILURES] += own * obs.failed
    scalars[DENIALS] += own * obs.denied
    scalars[FAILED] += weight * (obs.failed or obs.denied)
    scalars[NEW_HOUR] += new * exp(-late / HOUR)
    scalars[NEW_DAY] += new * exp(-late / DAY)
    scalars[RATE_PEAK] = max(scalars[RATE_PEAK], scalars[RECENT] - scalars[HELD_RECENT])
    scalars[SPREAD_PEAK] = max(scalars[SPREAD_PEAK], scalars[SPREAD] - scalars[HELD_SPREAD])
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
    fresh = own * (obs.tokens[RESOURCE] not in known and _is_fresh(baseline, obs, now))
    unknown = tuple(0 if token in known else token for token in obs.tokens)
    new = _surprises(baseline, unknown, baseline.weight(now))[1]
    if now > scalars[NEWEST]:
        _fade(baseline, now)
    for counter, amount in (
        (RECENT, own),
        (HELD_RECENT, own),
        (SPREAD, fresh),
        (HELD_SPREAD, fresh),
        (FAILURES, own * obs.failed),
        (DENIALS, own * obs.denied),
        (NEW_HOUR, new * exp(-late / HOUR)),
        (NEW_DAY, new * exp(-late / DAY)),
    ):
        scalars[counter] += amount
    scalars[NEWEST] = now


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


def short_counts(baseline: Baseline, obs: Observation) -> tuple[float, float, float, float]:
    """Events, distinct resources, failures and denials in about 15 minutes, this event included."""
    scalars = baseline.scalars
    now = max(obs.time, scalars[NEWEST])
    fade, own = exp((scalars[NEWEST] - now) / SHORT), exp((obs.time - now) / SHORT)
    return (
        scalars[RECENT] * fade + own,
        scalars[SPREAD] * fade + own * _is_fresh(baseline, obs, now),
        scalars[FAILURES] * fade + own * obs.failed,
        scalars[DENIALS] * fade + own * obs.denied,
    )


def hour_bin(time: int) -> int:
    """Which of the 48 hour bins a time falls into: 0 to 23 from Monday to Friday, 24 to 47 at weekends (UTC)."""
    hours = time // 3600
    weekday = (hours // 24 + 3) % 7  # the epoch was a Thursday
    return hours % 24 + (24 if weekday >= 5 else 0)


def _surprises(baseline: Baseline, tokens: tuple[int, ...], weight: float) -> tuple[list[float], float]:
    """Bits for each kind of token, and the sum over those never seen.

    What is new is as likely as new things were so far (Good and Turing), and nothing seen is likelier to surprise.
    """
    scalars, slots, counts = baseline.scalars, baseline.slots, baseline.counts
    doubt, new = DOUBT * weight, 0.0
    bits = []
    for kind, token in enumerate(tokens):
        if not token:
            bits.append(0.0)
            continue
        slot = slots.get(token)
        usual = scalars[NOVEL + kind]
        if slot is None:
            surprise = log2((scalars[TOTAL + kind] + doubt) / (usual + doubt))
            new += surprise
        else:
            surprise = log2((scalars[TOTAL + kind] + doubt) / (max(counts[slot], usual) + doubt))
        bits.append(surprise if surprise > 0.0 else 0.0)
    return bits, new if new > 0.0 else 0.0


def _hour_surprise(baseline: Baseline, time: int, weight: float) -> float:
    """Bits: activity a flat week would have in this hour, over the own activity in it and half in its neighbours."""
    hours, hour = baseline.hours, hour_bin(time)
    first = hour // 24 * 24
    before, after = first + (hour - 1) % 24, first + (hour + 1) % 24
    usual = 0.5 * hours[hour] + 0.25 * (hours[before] + hours[after])
    flat = baseline.scalars[ACTIVE_HOURS] * SHARE[hour // 24]
    return log2((flat + HOUR_DOUBT * weight) / (usual + HOUR_DOUBT * weight))


def _deviation(height: float, mean: float, var: float, looks: float) -> float:
    """Standard deviations above the mean (0 below it), shrunk while there were few looks."""
    if height <= mean:
        return 0.0
    spread = sqrt((var * looks + USUAL_VAR * USUAL_DOUBT) / (looks + USUAL_DOUBT))
    return (height - mean) / spread * looks / (looks + USUAL_DOUBT)


def _record(height: float, top: float, looks: float) -> float:
    """How far above the own highest so far, as a logarithm, shrunk while there were few looks."""
    known = top * RECORD_MARGIN + 0.5
    if height <= known:
        return 0.0
    return log1p((height - known) / (known + RECORD_DOUBT)) * looks / (looks + USUAL_DOUBT)


def _beyond(failed: float, expected: float) -> float:
    """Logarithm of the excess in units of about a standard deviation: a Poisson count's variance is its mean."""
    return log1p(max(0.0, failed - expected) / sqrt(1.0 + expected))


def _is_fresh(baseline: Baseline, obs: Observation, now: float) -> bool:
    """Whether the event touches a resource that was not touched within the last 15 minutes."""
    token = obs.tokens[RESOURCE]
    slot = baseline.slots.get(token)
    return bool(token) and (slot is None or now - baseline.seen[slot] > SHORT)


def _fade(baseline: Baseline, now: float) -> None:
    """Bring the short counters from the newest event to `now`; look at their peaks every 15 minutes."""
    scalars = baseline.scalars
    idle = now - scalars[NEWEST]
    fade = exp(-idle / SHORT)
    for index in (RECENT, SPREAD, FAILURES, DENIALS, HELD_RECENT, HELD_SPREAD):
        scalars[index] *= fade
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
    fade = 2.0 ** (-(now - scalars[FOLDED_AT]) / HALF_LIFE)
    for peak, mean, var, top in _USUAL:
        difference = log1p(scalars[peak]) - scalars[mean]
        scalars[mean] += step * difference
        scalars[var] = (1.0 - step) * (scalars[var] + step * difference * difference)
        scalars[top] = max(scalars[peak], scalars[top] * fade)
        scalars[peak] = 0.0
    scalars[FOLDS] += 1.0
    scalars[FOLDED_AT] = now


def _learn_hour(baseline: Baseline, time: int) -> None:
    """Count an hour with activity once, so that a burst at night does not make the night usual."""
    weight = baseline.weight(time)
    baseline.hours[hour_bin(time)] += weight
    baseline.scalars[ACTIVE_HOURS] += weight


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
