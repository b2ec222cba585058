"""Why an event is strange, in plain words with numbers: the features rarest among the training events, at most three.

Reasons hold text from the log, cut and stripped of control characters; whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import expm1

import msgspec
import numpy as np

from audit.event import AuditEvent
from detectors.baseline import (
    ACTION,
    ACTIVE_HOURS,
    AGENT,
    ASN,
    COUNTRY,
    FAILED,
    NETWORK,
    NEWEST,
    RATE_MEAN,
    RATE_TOP,
    RESOURCE,
    SPREAD_MEAN,
    SPREAD_TOP,
    TOTAL,
    Baseline,
)
from detectors.features import hour_bin, short_counts
from detectors.model import Model
from detectors.observation import Observation, agent_family, network

MOST = 3
RARE = 1.3
"""-log10 of the share of events that have such a value: 1 in 20; what is more common explains nothing."""
TEXT_CHARS = 80


class Evidence(msgspec.Struct, frozen=True):
    """What a phrase may speak of; `value` is the feature's own."""

    baseline: Baseline
    obs: Observation
    event: AuditEvent
    value: float

    def times(self, kind: int) -> float:
        """Decayed number of times the event's token of this kind was seen before."""
        return self.baseline.count(self.obs.tokens[kind], self.now)

    def total(self, scalar: int) -> float:
        """A decayed total, as of now."""
        return self.baseline.scalars[scalar] / self.baseline.weight(self.now)

    @property
    def now(self) -> float:
        """The event's time, or the newest learnt where the event is late."""
        return max(self.obs.time, self.baseline.scalars[NEWEST])


def explain(
    model: Model, baseline: Baseline, obs: Observation, event: AuditEvent, row: Sequence[float]
) -> tuple[str, ...]:
    """At most three reasons, the rarest first; `baseline` as it was when `row` was computed."""
    rarities = model.tails.levels(np.array([row], dtype=np.float64))[0].tolist()
    reasons: dict[Callable[[Evidence], str], str] = {}
    for place in sorted(range(len(row)), key=rarities.__getitem__, reverse=True):
        phrase = _PHRASES.get(model.features[place], _other)
        if rarities[place] >= RARE and phrase not in reasons:
            reasons[phrase] = phrase(Evidence(baseline, obs, event, row[place]))
    return tuple(reasons.values())[:MOST] or ("an unusual combination of things that are each usual",)


def clip(text: str) -> str:
    """A log's text, short and printable."""
    return "".join(char if char.isprintable() else "?" for char in text[:TEXT_CHARS])


def _action(evidence: Evidence) -> str:
    deed = clip(evidence.event.action)
    if evidence.obs.privileged:
        deed = f"privileged {deed}"
    return _seen(f"first {deed} by this principal", deed, evidence, ACTION)


def _resource(evidence: Evidence) -> str:
    resource = evidence.event.resource
    name = clip(f"{resource.type} {resource.name}") if resource else "no resource"
    return _seen(f"first time on {name}", f"on {name}", evidence, RESOURCE)


def _origin(evidence: Evidence) -> str:
    place, kind = _place(evidence)
    return _seen(f"first time from {place}", f"from {place}", evidence, kind)


def _place(evidence: Evidence) -> tuple[str, int]:
    """Where the event came from, as widely as it is new: the country, the provider, the network."""
    event, tokens = evidence.event, evidence.obs.tokens
    country = clip(event.country or "country unknown")
    places = (
        (f"{country} (AS{event.asn})" if event.asn is not None else country, COUNTRY),
        (f"AS{event.asn} ({country})", ASN),
        (clip(network(event.source_ip)) if event.source_ip else "", NETWORK),
    )
    known = [(text, kind) for text, kind in places if tokens[kind]]
    new = [(text, kind) for text, kind in known if not evidence.times(kind)]
    return (new or sorted(known, key=lambda place: evidence.times(place[1])) or [("an unknown place", COUNTRY)])[0]


def _agent(evidence: Evidence) -> str:
    family = clip(agent_family(evidence.event.user_agent or ""))
    return _seen(f"first time with {family}", f"with {family}", evidence, AGENT)


def _seen(first: str, again: str, evidence: Evidence, kind: int) -> str:
    times = evidence.times(kind)
    if times:
        return f"{again}: {_number(times)} of {_number(evidence.total(TOTAL + kind))} recent events"
    return f"{first} ({_number(evidence.total(TOTAL + kind))} events known)"


def _hour(evidence: Evidence) -> str:
    place = hour_bin(evidence.obs.time)
    day = "at the weekend" if place >= 24 else "on a weekday"
    usual = evidence.baseline.hours[place] / evidence.baseline.weight(evidence.now)
    active = evidence.total(ACTIVE_HOURS)
    return f"active {day} at {place % 24:02d} h UTC: {_number(usual)} of {_number(active)} active hours"


def _rate(evidence: Evidence) -> str:
    events = short_counts(evidence.baseline, evidence.obs)[0]
    return f"about {_number(events)} events in 15 min, {_peaks(evidence, RATE_MEAN, RATE_TOP)}"


def _spread(evidence: Evidence) -> str:
    resources = short_counts(evidence.baseline, evidence.obs)[1]
    return f"about {_number(resources)} resources in 15 min, {_peaks(evidence, SPREAD_MEAN, SPREAD_TOP)}"


def _failures(evidence: Evidence) -> str:
    events, _, failures, denials = short_counts(evidence.baseline, evidence.obs)
    usual = evidence.total(FAILED) / max(evidence.total(TOTAL + ACTION), 1.0)
    bad = f"about {_number(failures)} failed and {_number(denials)} denied of {_number(events)} events in 15 min"
    return f"{bad}, usual {usual:.0%}"


def _novelty(evidence: Evidence) -> str:
    kinds = ((ACTION, "action"), (RESOURCE, "resource"), (COUNTRY, "country"), (ASN, "provider"), (AGENT, "user agent"))
    tokens = evidence.obs.tokens
    new = [name for kind, name in kinds if tokens[kind] and not evidence.times(kind)]
    return "many firsts in a short time" + (f", now a new {', '.join(new)}" if new else "")


def _gap(evidence: Evidence) -> str:
    hours = expm1(evidence.value)
    return f"seen again after {_number(hours / 24)} days" if hours >= 48 else f"seen again after {_number(hours)} hours"


def _other(evidence: Evidence) -> str:
    return f"unusual value {evidence.value:.2f}"


def _peaks(evidence: Evidence, mean: int, top: int) -> str:
    scalars = evidence.baseline.scalars
    return f"usual peak {_number(expm1(scalars[mean]))}, highest {_number(scalars[top])}"


def _number(value: float) -> str:
    return f"{value:.1f}" if 0.05 <= value < 9.95 and abs(value - round(value)) >= 0.05 else f"{value:.0f}"


_PHRASES: dict[str, Callable[[Evidence], str]] = {
    "action_surprise": _action,
    "privileged_surprise": _action,
    "resource_surprise": _resource,
    "country_surprise": _origin,
    "asn_surprise": _origin,
    "network_surprise": _origin,
    "origin_surprise": _origin,
    "agent_surprise": _agent,
    "hour_surprise": _hour,
    "rate_z": _rate,
    "spread_z": _spread,
    "rate_record": _rate,
    "spread_record": _spread,
    "failures": _failures,
    "denials": _failures,
    "failure_excess": _failures,
    "novelty_1h": _novelty,
    "novelty_24h": _novelty,
    "gap": _gap,
}
