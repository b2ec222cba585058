"""Why an event is strange, in plain words with numbers: the features rarest among the training events, at most three.

Each says what was found, how often that was so before, what would have been usual and how many of the peers know it.
Reasons hold text from the log, cut and stripped of control characters; whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import expm1

import msgspec
import numpy as np

from audit.context import Context
from audit.event import AuditEvent, Principal
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
from detectors.known import Known
from detectors.model import Model
from detectors.names import usual
from detectors.observation import Observation, agent_family, network
from detectors.peers import Group, group_names
from detectors.travel import way

MOST = 3
HABIT = 0.04
"""Part of the activity of a day in an hour from which the hour is usual: a flat day has 1 in 24 in each."""
RARE = 1.3
"""-log10 of the share of events that have such a value: 1 in 20; what is more common explains nothing."""
TEXT_CHARS = 80


class Evidence(msgspec.Struct, frozen=True):
    """What a phrase may speak of; `value` is the feature's own."""

    known: Known
    obs: Observation
    event: AuditEvent
    value: float

    @property
    def baseline(self) -> Baseline:
        """The principal's usual."""
        return self.known.baseline

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


def explain(model: Model, known: Known, obs: Observation, event: AuditEvent, row: Sequence[float]) -> tuple[str, ...]:
    """At most three reasons, the rarest first; `known` as it was when `row` was computed."""
    rarities = model.tails.levels(np.array([row], dtype=np.float64))[0].tolist()
    reasons: dict[Callable[[Evidence], str], str] = {}
    for place in sorted(range(len(row)), key=rarities.__getitem__, reverse=True):
        phrase = _PHRASES.get(model.features[place], _other)
        if rarities[place] >= RARE and phrase not in reasons:
            reasons[phrase] = phrase(Evidence(known, obs, event, row[place]))
    return tuple(reasons.values())[:MOST] or ("an unusual combination of things that are each usual",)


def clip(text: str) -> str:
    """A log's text, short and printable."""
    return "".join(char if char.isprintable() else "?" for char in text[:TEXT_CHARS])


def headline(event: AuditEvent, context: Context) -> str:
    """Who did what, in a line."""
    return f"Unusual for {whom(event.actor, context)}: {_deed(event)}"


def whom(actor: Principal, context: Context) -> str:
    """What somebody is called: who is declared by their id, whatever role or account they acted through."""
    return clip(actor.id if context.person(actor.id) else actor.name)


def _deed(event: AuditEvent) -> str:
    deed, resource = clip(event.action), event.resource
    is_bare = deed.isalpha() and deed.islower()  # create, get
    return f"{deed} {clip(resource.type)}" if resource and is_bare else deed


def _action(evidence: Evidence) -> str:
    deed = _deed(evidence.event)
    if evidence.obs.privileged:
        deed = f"privileged {deed}"
    return _seen(f"first {deed} by this principal", deed, evidence, ACTION) + _peers(evidence, ACTION)


def _resource(evidence: Evidence) -> str:
    resource = evidence.event.resource
    name = clip(f"{resource.type} {resource.name}") if resource else "no resource"
    if evidence.obs.sensitive:
        name = f"sensitive {name}"
    return _seen(f"first time on {name}", f"on {name}", evidence, RESOURCE) + _peers(evidence, RESOURCE)


def _origin(evidence: Evidence) -> str:
    place, kind = _place(evidence)
    found = _seen(f"first time from {place}", f"from {place}", evidence, kind)
    return found + _usual(evidence, COUNTRY, ASN, NETWORK) + _peers(evidence, kind)


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
    found = _seen(f"first time with {family}", f"with {family}", evidence, AGENT)
    return found + _usual(evidence, AGENT) + _peers(evidence, AGENT)


def _seen(first: str, again: str, evidence: Evidence, kind: int) -> str:
    times = evidence.times(kind)
    if times:
        return f"{again}: {_number(times)} of {_number(evidence.total(TOTAL + kind))} recent events"
    return f"{first} ({_number(evidence.total(TOTAL + kind))} events known)"


def _usual(evidence: Evidence, *kinds: int) -> str:
    """What would have been usual, as far as it has names."""
    known = evidence.known
    names = [name for kind in kinds for name in usual(known.baseline, known.names, kind, known.context)]
    return f"; usual: {clip(', '.join(names))}" if names else ""


def _peers(evidence: Evidence, kind: int) -> str:
    """How many of the narrowest group of peers know the event's token."""
    token, (name, group) = evidence.obs.tokens[kind], _narrowest(evidence)
    if group is None or not token:
        return ""
    baseline = evidence.baseline
    member = not baseline.young
    others = group.members - member
    share = group.share(kind, token, token in baseline.slots, member)
    return f"; {round(share * others)} of {others} others in {name} do"


def _narrowest(evidence: Evidence) -> tuple[str, Group | None]:
    """The name, for people, and the usual of the narrowest group that can speak."""
    context, snapshot, actor = evidence.known.context, evidence.known.snapshot, evidence.event.actor
    for name in group_names(context.person(actor.id), actor.kind):
        if name in snapshot.groups:
            kind, _, which = name.partition(":")
            people = {"team": f"team {clip(which)}", "kind": f"the {which}s"}
            return people.get(kind, "the organisation"), snapshot.groups[name]
    return "", None


def _hour(evidence: Evidence) -> str:
    known, obs = evidence.known, evidence.obs
    place = hour_bin(obs.time + obs.offset)
    day = "at the weekend" if place >= 24 else "on a weekday"
    person = known.context.person(evidence.event.actor.id)
    zone = person.timezone if person and person.timezone else "UTC"
    seen = evidence.baseline.hours[place] / evidence.baseline.weight(evidence.now)
    active = evidence.total(ACTIVE_HOURS)
    habit = _hours_of(evidence.baseline.hours[place // 24 * 24 :][:24])
    usually = f"; usual {day}: {habit}" if habit else ""
    return f"active {day} at {place % 24:02d} h {zone}: {_number(seen)} of {_number(active)} active hours{usually}"


def _hours_of(hours: Sequence[float]) -> str:
    """The hours of the day in which most happens, "8 to 12 h and 14 to 18 h"; at most three runs."""
    floor = HABIT * sum(hours)
    runs: list[list[int]] = []
    for hour, height in enumerate(hours):
        if height > floor:
            if runs and runs[-1][1] == hour:
                runs[-1][1] = hour + 1
            else:
                runs.append([hour, hour + 1])
    return " and ".join(f"{start} to {end} h" for start, end in runs[:3])


def _travel(evidence: Evidence) -> str:
    gone = way(evidence.baseline, evidence.obs)
    if gone is None or gone.kilometres < 1.0:
        return _origin(evidence)
    hours = f"{gone.hours * 60:.0f} min" if gone.hours < 2 else f"{_number(gone.hours)} hours"
    speed = gone.kilometres / max(gone.hours, 1 / 60)
    return f"{gone.kilometres:.0f} km from where it was {hours} before: {speed:.0f} km/h" + _usual(evidence, COUNTRY)


def _session(evidence: Evidence) -> str:
    began = evidence.baseline.sessions.get(evidence.obs.session)
    names = [name for token, name in evidence.known.names.items() if token & (2**32 - 1) == began]
    where = f" from {names[0]}" if names else ""
    return f"its session began elsewhere{where}, now from {_place(evidence)[0]}"


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
    "power_surprise": _action,
    "peer_action": _action,
    "org_action": _action,
    "peer_resource": _resource,
    "resource_surprise": _resource,
    "sensitive_surprise": _resource,
    "country_surprise": _origin,
    "asn_surprise": _origin,
    "network_surprise": _origin,
    "origin_surprise": _origin,
    "service_origin": _origin,
    "agent_surprise": _agent,
    "travel": _travel,
    "session_moved": _session,
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
