"""How far one event is from what its principal usually does: the row a model scores.

Read `FEATURES` for what each column means. Everything is relative to the principal's own `Baseline`, backed by what its
peers do where a snapshot tells, so that one model serves everybody; and shrinks to zero while there is little history.
One idea, one file: `surprise`, `hours`, `travel`, `pace`; `learning` is how the usual comes about.
"""

from __future__ import annotations

from math import exp, log1p

import msgspec

from detectors.baseline import (
    ACTION,
    EVENTS,
    FAILED,
    FOLDS,
    NEW_DAY,
    NEW_HOUR,
    NEWEST,
    RATE_MEAN,
    RATE_TOP,
    RATE_VAR,
    SPREAD_MEAN,
    SPREAD_TOP,
    SPREAD_VAR,
    TOTAL,
    Baseline,
)
from detectors.hours import hour_bin, hour_surprise
from detectors.learning import learn, learn_held, notice
from detectors.observation import KINDS, Observation, observe
from detectors.pace import DAY, HOUR, beyond, deviation, record, short_counts
from detectors.surprise import DOUBT, Groups, surprises
from detectors.travel import began_elsewhere, way

__all__ = [
    "DOUBT",
    "FEATURES",
    "Feature",
    "Groups",
    "Observation",
    "features",
    "hour_bin",
    "learn",
    "learn_held",
    "notice",
    "observe",
    "short_counts",
]

SERVICE = KINDS.index("service")


class Feature(msgspec.Struct, frozen=True, gc=False):
    """One column of a row. Columns of one group rise together and count as one when rarities are added up."""

    name: str
    group: str
    meaning: str


FEATURES: tuple[Feature, ...] = (
    Feature("action_surprise", "action", "bits: log2((all + d) / (max(this, new) + d)), decayed counts, d = DOUBT"),
    Feature("privileged_surprise", "action", "action + origin bits where rights, secrets or logging are changed"),
    Feature("power_surprise", "power", "action_surprise + peer_action + org_action, of deeds with power likewise"),
    Feature("peer_action", "peers", "bits: how few of the narrowest speaking group of peers know the action"),
    Feature("org_action", "peers", "bits: how few of the organisation know it; both at most action_surprise unbacked"),
    Feature("peer_resource", "peers", "bits: how few of the peers know the resource, at most its own surprise"),
    Feature("resource_surprise", "resource", "bits, of the resource; 0 where there is none"),
    Feature("sensitive_surprise", "resource", "resource + peer_resource + action bits where it is declared sensitive"),
    Feature("country_surprise", "origin", "bits, of the country; 0 when not known"),
    Feature("asn_surprise", "origin", "bits, of the autonomous system; 0 when not known"),
    Feature("network_surprise", "origin", "bits, of the /24 or /48 of the source address; 0 when there is none"),
    Feature("origin_surprise", "origin", "bits: country + autonomous system + network + user agent"),
    Feature("service_origin", "origin", "the same for service accounts alone: they do not move"),
    Feature("agent_surprise", "agent", "bits, of the family of user agent; 0 when there is none"),
    Feature("travel", "travel", "bits: km/h from the last place, at most the bits of the place"),
    Feature("session_moved", "travel", "1 + country and provider bits where the session began elsewhere, else 0"),
    Feature("hour_surprise", "hour", "bits: flat week over own activity in the own hour of the week; 0 for services"),
    Feature("rate_z", "pace", "log1p(events in 15 min), standard deviations above the own usual peak"),
    Feature("spread_z", "pace", "log1p(distinct resources in 15 min), standard deviations above the own usual peak"),
    Feature(
        "rate_record", "record", "log1p((events in 15 min - t) / (t + r)), t = own highest with a margin; 0 below it"
    ),
    Feature(
        "spread_record", "record", "log1p((distinct resources in 15 min - t) / (t + r)), r = RECORD_DOUBT; 0 below it"
    ),
    Feature("failures", "failures", "log1p(failed events in 15 min beyond the expected, over sqrt(1 + expected))"),
    Feature(
        "denials", "failures", "log1p(different deeds denied in 15 min beyond the expected, over sqrt(1 + expected))"
    ),
    Feature("failure_excess", "failures", "share of both in 15 min beyond the own long-run share"),
    Feature("novelty_1h", "novelty", "log1p(bits of all first-seen tokens within an hour)"),
    Feature("novelty_24h", "novelty", "log1p(bits of all first-seen tokens within a day)"),
    Feature("gap", "gap", "log1p(hours since the principal was last seen)"),
)


def features(baseline: Baseline, obs: Observation, groups: Groups = ()) -> list[float]:
    """The event's row: one finite number for each of `FEATURES`, against what was learnt before it.

    A late event is judged as of the newest event learnt, with its own age. `groups` are the principal's peers.
    """
    scalars, time = baseline.scalars, obs.time
    newest = scalars[NEWEST]
    now = max(time, newest)
    idle, late = now - newest, now - time
    weight = baseline.weight(now)
    (action, resource, country, asn, agent, network), new, peer_action, peer_resource, org_action = surprises(
        baseline, obs.tokens, weight, groups
    )
    place = country + asn + network
    origin = place + agent
    travelled = way(baseline, obs) if place else None
    recent, spread, failures, denials = short_counts(baseline, obs)
    usual_failures = scalars[FAILED] / (scalars[TOTAL + ACTION] + 3.0 * weight)
    expected = usual_failures * recent
    folds, is_service = scalars[FOLDS], obs.kind == SERVICE
    return [
        action,
        action + origin if obs.privileged else 0.0,
        action + peer_action + org_action if obs.privileged else 0.0,
        peer_action,
        org_action,
        peer_resource,
        resource,
        resource + peer_resource + action if obs.sensitive else 0.0,
        country,
        asn,
        network,
        origin,
        origin if is_service else 0.0,
        agent,
        min(travelled.bits, place) if travelled else 0.0,
        1.0 + country + asn if began_elsewhere(baseline, obs) else 0.0,
        0.0 if is_service else hour_surprise(baseline, obs, weight, groups),
        deviation(log1p(recent), scalars[RATE_MEAN], scalars[RATE_VAR], folds),
        deviation(log1p(spread), scalars[SPREAD_MEAN], scalars[SPREAD_VAR], folds),
        record(recent, scalars[RATE_TOP], folds),
        record(spread, scalars[SPREAD_TOP], folds),
        beyond(failures, expected),
        beyond(denials, expected),
        max(0.0, (failures + denials) / (recent + 3.0) - usual_failures),
        log1p(scalars[NEW_HOUR] * exp(-idle / HOUR) + new * exp(-late / HOUR)),
        log1p(scalars[NEW_DAY] * exp(-idle / DAY) + new * exp(-late / DAY)),
        log1p(idle / HOUR) if scalars[EVENTS] else 0.0,
    ]
