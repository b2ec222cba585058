"""From findings to alerts: risk adds up per entity and episode, whatever order the findings come in.

An episode is four hours of event time. Everything kept of it is a minimum, a maximum, a union or a count, so the
state after a set of findings does not depend on their order. Sets are bounded by keeping their smallest members,
which does not depend on order either. Nor does it show how often a correlation told the same finding while it grew.

Findings that declared paper explains are tallied apart. An episode that deserves an alert only with them becomes one
that is resolved already; it is told of once the others alone deserve it.

One that deserves none, but holds a change of rights or responsibility that nothing explains, becomes a quiet alert.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from alerting.alert import CHANGES, EXPLAINED, Alert, Status
from alerting.risk_words import reasons, summary
from audit.brief import EventBrief, Measure, ends
from audit.event import MICROSECONDS, rfc3339
from audit.finding import SEVERITIES, Finding, Severity, at_least, stable_id

EPISODE = 4 * 3600 * MICROSECONDS
THRESHOLD = 60
GRAVE = 80
"""An episode of this risk is at least of high severity."""
EPISODES = 12
"""Episodes kept per entity: a finding up to 40 hours late finds its episode and the one before."""
EVENTS = 1000
"""Event ids kept per episode."""
SEEN = 500
"""Finding ids kept per episode, to count a finding that is delivered twice only once."""
MEASURES = 8
"""Numbers beyond their usual kept per episode, each with its highest value."""
PAPERS = 50
"""Pieces of paper kept per episode."""
_FINDING_EVENTS, _FINDING_REASONS = 100, 20


class Tally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one detection said in an episode; `gravest` stands for the others, the earliest of its gravest findings.

    All of them are explained by paper, or none. `first` is the time of the earliest (µs), 0 where an older version of
    this program kept no such time, and the gravest was the earliest.
    """

    detection: str
    count: int
    risk: int
    severity: Severity
    gravest: Finding
    first: int = 0

    @property
    def since(self) -> int:
        """The time of the earliest finding (µs)."""
        return self.first or self.gravest.time


class Episode(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Four hours of one entity. `index` is event time // EPISODE, `first` the time (microseconds) of its first finding.

    `seen` and `event_ids` are the smallest ids in order. A rule's finding delivered twice is recognised while its id
    is in `seen`: always up to SEEN findings, beyond that it may be counted again (only `count` and `weight` show it).
    `weight` is the number of findings and of the matches that correlations' findings rest on; `before` and `carry`
    are the weight and half the unexplained risk of an episode before this one that is no longer kept. `papers` is what
    explained any of it, the first PAPERS by name.
    """

    index: int
    count: int = 0
    first: int = 0
    tallies: tuple[Tally, ...] = ()
    seen: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    attack: tuple[str, ...] = ()
    weight: int = 0
    before: int = 0
    carry: int = 0
    evidence: tuple[EventBrief, ...] = ()
    measures: tuple[Measure, ...] = ()
    papers: tuple[str, ...] = ()


class RiskState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest episodes of one entity, oldest first; `late` counts the findings too old for them."""

    entity: str
    episodes: tuple[Episode, ...] = ()
    late: int = 0


def fold(
    state: RiskState | None,
    finding: Finding,
    told: int = 0,
    size: int = 1,
    newest: int = 0,
    fresh: Sequence[str] | None = None,
) -> tuple[RiskState, tuple[Alert, ...]]:
    """The state with the finding in it, and the alerts it raises or changes (none, one or two).

    Two, because risk carries over a border: a late finding also changes the alert of the episode after its own. A
    correlation tells the same finding again when more matches join it: it rests on `size` of them, on `told` when it
    was told before, and `fresh` are the ids of its events that are new since (None: any may be). `newest` is the newest
    episode the entity has heard of, if that was not by a finding.
    """
    index = finding.time // EPISODE
    state = state or RiskState(finding.entity)
    newest = max(index, newest, state.episodes[-1].index if state.episodes else index)
    state = _forgotten(state, newest - EPISODES)
    if index <= newest - EPISODES:
        return msgspec.structs.replace(state, late=state.late + (not told)), ()
    kept = {episode.index: episode for episode in state.episodes}
    episode = kept.get(index) or Episode(index)
    kept[index] = _with(episode, finding, (told, size), finding.event_ids if fresh is None else fresh)
    if kept[index] is episode:
        return state, ()
    state = RiskState(state.entity, tuple(kept[number] for number in sorted(kept)), state.late)
    alerts = (alert_of(state, number) for number in (index, index + 1))
    return state, tuple(alert for alert in alerts if alert)


def _forgotten(state: RiskState, until: int) -> RiskState:
    """The state without the episodes up to `until`; what one means for the next stays with that."""
    episodes, late = state.episodes, state.late
    while episodes and episodes[0].index <= until:
        gone, *kept = episodes
        if kept and kept[0].index == gone.index + 1:
            kept[0] = msgspec.structs.replace(kept[0], before=gone.weight, carry=_carry(gone))
        episodes, late = tuple(kept), late + gone.count
    return state if episodes is state.episodes else RiskState(state.entity, episodes, late)


def alert_of(state: RiskState, index: int) -> Alert | None:
    """The alert of one episode, or None while it does not deserve one.

    A user's episode alerts with a finding of high severity or a risk of THRESHOLD; other entities (an address,
    a session, a resource) get findings from correlations only and alert at once. One that does so only with what paper
    explains is resolved; whether it was before what is left came is read off the times, not off the order of arrival.
    """
    by_index = {episode.index: episode for episode in state.episodes}
    episode, previous = by_index.get(index), by_index.get(index - 1)
    if episode is None:
        return None
    carry = _carry(previous) if previous else episode.carry
    verdict = _verdict(state.entity, episode, carry)
    if verdict is None:
        return None
    tallies, status, (risk, severity), quiet = verdict
    findings = tuple(tally.gravest for tally in tallies)
    return Alert(
        id=stable_id(state.entity, index),
        time=findings[0].time,
        severity=severity,
        risk=risk,
        principal=findings[0].principal,
        entity=state.entity,
        title=findings[0].title,
        summary=summary(state.entity, findings, _extent(episode), status),
        findings=findings,
        event_ids=episode.event_ids,
        reasons=reasons(_riskiest(tallies), status),
        attack=episode.attack,
        version=findings[0].version,
        key=state.entity,
        count=episode.count,
        revision=episode.weight + (previous.weight if previous else episode.before),
        evidence=episode.evidence,
        measures=episode.measures,
        papers=episode.papers,
        status=status,
        resolution=EXPLAINED if status == "resolved" else None,
        quiet=quiet,
    )


class _Verdict(NamedTuple):
    """What an alert tells, the title first; where it stands; risk and severity; whether nobody is to be told."""

    tallies: list[Tally]
    status: Status
    weight: tuple[int, Severity]
    quiet: bool = False


def _verdict(entity: str, episode: Episode, carry: int) -> _Verdict | None:
    """What an episode amounts to; None while it deserves no alert, nor holds a change to ask about."""
    left, spared = _left(episode), sorted((tally for tally in episode.tallies if tally.gravest.explained), key=_gravest)
    status = _status(entity, left, spared, carry)
    told = sorted([*left, *spared], key=_gravest) if status == "resolved" else left
    if weight := _weighed(entity, told, carry):
        return _Verdict(told if status == "resolved" else [*left, *spared], status, weight)
    if any(map(_is_change, left)):
        changes_first = sorted(left, key=_is_change, reverse=True)
        return _Verdict([*changes_first, *spared], "open", _weight(left, carry), quiet=True)
    return None


def _is_change(tally: Tally) -> bool:
    return tally.detection.startswith(CHANGES)


def _left(episode: Episode) -> list[Tally]:
    """What no paper explains, gravest first."""
    return sorted((tally for tally in episode.tallies if not tally.gravest.explained), key=_gravest)


def _status(entity: str, left: Sequence[Tally], spared: Sequence[Tally], carry: int) -> Status:
    """Resolved where what is left deserves no alert; reopened where it does and came after one that was resolved."""
    if not spared:
        return "open"
    if _weighed(entity, left, carry) is None:
        return "resolved"
    closed_before = _earliest(spared) < _earliest(left) and _weighed(entity, spared, carry)
    return "reopened" if closed_before else "open"


def _earliest(tallies: Iterable[Tally]) -> int:
    return min(tally.since for tally in tallies)


def _weighed(entity: str, tallies: Sequence[Tally], carry: int) -> tuple[int, Severity] | None:
    """Risk and severity of the alert that these deserve; None while they deserve none."""
    if not tallies:
        return None
    risk, severity = _weight(tallies, carry)
    if entity.startswith("user:") and risk < THRESHOLD and not at_least(severity, "high"):
        return None
    return risk, severity


def _weight(tallies: Sequence[Tally], carry: int) -> tuple[int, Severity]:
    risk = min(100, _own_risk(tallies) + carry)
    return risk, _severity(tallies, risk)


def _with(episode: Episode, finding: Finding, grown: tuple[int, int], event_ids: Sequence[str]) -> Episode:
    """The episode with the finding in it; the same object when it changes nothing."""
    told, size = grown
    seen = episode.seen
    if finding.kind != "correlation":
        seen, beyond = _smallest(seen, finding.id, SEEN)
        if seen is episode.seen and not beyond:
            return episode
    tallies = _tallied(episode.tallies, finding, bool(told))
    return Episode(
        index=episode.index,
        count=episode.count + (not told),
        first=_earliest(tallies),
        tallies=tallies,
        seen=seen,
        event_ids=_merged(episode.event_ids, event_ids, EVENTS),
        attack=tuple(sorted({*episode.attack, *finding.attack})),
        weight=episode.weight + (not told) + (size - told if finding.kind == "correlation" else 0),
        before=episode.before,
        carry=episode.carry,
        evidence=ends((*episode.evidence, *finding.evidence)) if finding.evidence else episode.evidence,
        measures=_highest((*episode.measures, *finding.measures)) if finding.measures else episode.measures,
        papers=_merged(episode.papers, [finding.explained], PAPERS) if finding.explained else episode.papers,
    )


def _highest(measures: Iterable[Measure]) -> tuple[Measure, ...]:
    """Of each number its highest value; were there too many, the first by name stay."""
    highest: dict[str, Measure] = {}
    for one in sorted(measures):
        highest[one.what] = one
    return tuple(highest.values())[:MEASURES]


def _tallied(tallies: tuple[Tally, ...], finding: Finding, known: bool) -> tuple[Tally, ...]:
    place = finding.detection, finding.explained != ""
    at = bisect_left(tallies, place, key=_place)
    found = at < len(tallies) and _place(tallies[at]) == place
    new = _trimmed(finding)
    old = tallies[at] if found else Tally(finding.detection, 0, 0, "low", new)
    tally = Tally(
        detection=finding.detection,
        count=old.count + (not known),
        risk=max(old.risk, finding.risk),
        severity=max(old.severity, finding.severity, key=SEVERITIES.index),
        gravest=min(new, old.gravest, key=_rank),  # the newer one of two versions
        first=min(finding.time, old.since),
    )
    return (*tallies[:at], tally, *tallies[at + found :])


def _rank(finding: Finding) -> tuple[int, int, int, str]:
    return -SEVERITIES.index(finding.severity), -finding.risk, finding.time, finding.id


def _place(tally: Tally) -> tuple[str, bool]:
    return tally.detection, tally.gravest.explained != ""


def _trimmed(finding: Finding) -> Finding:
    """Bounded: a correlation's finding may name thousands of events. The episode keeps ids, briefs and numbers."""
    if finding.evidence or finding.measures:
        finding = msgspec.structs.replace(finding, evidence=(), measures=())
    if len(finding.event_ids) <= _FINDING_EVENTS and len(finding.reasons) <= _FINDING_REASONS:
        return finding
    return msgspec.structs.replace(
        finding, event_ids=finding.event_ids[:_FINDING_EVENTS], reasons=finding.reasons[:_FINDING_REASONS]
    )


def _smallest(ids: tuple[str, ...], new: str, limit: int) -> tuple[tuple[str, ...], bool]:
    """The `limit` smallest of the ids and a new one, and whether one had to go."""
    at = bisect_left(ids, new)
    if at < len(ids) and ids[at] == new:
        return ids, False
    if at == limit:
        return ids, True
    return (*ids[:at], new, *ids[at:])[:limit], len(ids) == limit


def _merged(ids: tuple[str, ...], more: Sequence[str], limit: int) -> tuple[str, ...]:
    """The `limit` smallest of the ids and of more."""
    kept = list(ids)
    for one in more:
        if len(kept) < limit or one < kept[-1]:
            at = bisect_left(kept, one)
            if at == len(kept) or kept[at] != one:
                kept.insert(at, one)
                del kept[limit:]
    return tuple(kept)


def _own_risk(tallies: Iterable[Tally]) -> int:
    """Each detection counts once, with the highest risk it gave: a loop of one deed is not ten deeds."""
    return min(100, sum(tally.risk for tally in tallies))


def _carry(previous: Episode) -> int:
    """Half the unexplained risk of the episode before, capped below half the threshold.

    So an attack over the border is not missed, one medium finding after an alert stays quiet, and the carry only ever
    grows: were it to fall to nothing when the previous episode alerts, alerts would depend on the order of findings.
    """
    return min(_own_risk(_left(previous)), THRESHOLD - 1) // 2


def _severity(tallies: Iterable[Tally], risk: int) -> Severity:
    gravest = max((tally.severity for tally in tallies), key=SEVERITIES.index)
    return "high" if risk >= GRAVE and not at_least(gravest, "high") else gravest


def _gravest(tally: Tally) -> tuple[int, int, int, str]:
    return -SEVERITIES.index(tally.severity), -tally.risk, tally.gravest.time, tally.detection


def _riskiest(tallies: Iterable[Tally]) -> list[Finding]:
    """Their representatives, the riskiest first, then the oldest, what paper explains last."""
    ordered = sorted(tallies, key=lambda tally: (tally.gravest.explained != "", -tally.risk, tally.gravest.time))
    return [tally.gravest for tally in ordered]


def _extent(episode: Episode) -> str:
    times = "once" if episode.count == 1 else f"{episode.count} times"
    events = f", {EVENTS} events or more" if len(episode.event_ids) == EVENTS else ""
    return f"{times} since {rfc3339(episode.first)}{events}"
