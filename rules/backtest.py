"""What rules did to a stretch of logs: how often, to whom, and whether what they hit was an attack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import msgspec

from audit.event import MICROSECONDS, AuditEvent
from audit.finding import Finding

DAY = 86_400 * MICROSECONDS
MOST_RESOURCES = 10_000
"""Distinct resources counted for one rule; the log decides how many there are."""


class Attack(msgspec.Struct, frozen=True):
    """A labelled attack, as `auditwatch simulate` writes them: the vendor ids of the events that belong to it."""

    id: str
    kind: str = ""
    technique: str = ""
    event_ids: tuple[str, ...] = ()


def read_attacks(lines: Iterable[bytes]) -> list[Attack]:
    """The attacks of JSON lines with id and event_ids.

    Raises:
        ValueError: a line is none; the text names its number.
    """
    attacks: list[Attack] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            attacks.append(_ATTACKS.decode(line))
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"line {number}: no attack ({error}); each needs an id and its event_ids") from error
    return attacks


_ATTACKS = msgspec.json.Decoder(Attack)


@dataclass(slots=True)
class Tally:
    """What one rule or correlation did. `fires` counts matches somebody may hear of or that correlations count;
    `excused` those an exception took away, which are in nothing else. `days` are counted from the epoch."""

    fires: int = 0
    excused: int = 0
    first: int = 0
    last: int = 0
    days: Counter[int] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    resources: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)

    def add(self, event: AuditEvent) -> None:
        """One more match of a rule."""
        self._count(event.time, event.actor.id, (event.id,))
        if event.resource and len(self.resources) < MOST_RESOURCES:
            self.resources.add(f"{event.resource.type}:{event.resource.name}")

    def add_finding(self, finding: Finding) -> None:
        """One more finding of a correlation: whom it is about, and the events it rests on."""
        self._count(finding.time, finding.principal or finding.entity, finding.event_ids)

    def _count(self, time: int, user: str, event_ids: Sequence[str]) -> None:
        self.first = min(self.first, time) if self.fires else time
        self.last = max(self.last, time)
        self.fires += 1
        self.days[time // DAY] += 1
        self.users[user] += 1
        self.events.update(event_ids)


@dataclass(slots=True)
class Span:
    """The stretch of event time that was looked at. `events` per source."""

    first: int = 0
    last: int = 0
    events: Counter[str] = field(default_factory=Counter)

    def see(self, events: Iterable[AuditEvent]) -> None:
        """Takes in the next events."""
        for event in events:
            if not self.first or event.time < self.first:
                self.first = event.time
            self.last = max(self.last, event.time)
            self.events[event.source] += 1

    @property
    def days(self) -> int:
        """Days from the first event to the last, begun ones counted whole; at least one."""
        return max(1, ceil((self.last - self.first + 1) / DAY))


@dataclass(frozen=True, slots=True)
class Difference:
    """Events that only the old rule, only the new one, or both hit."""

    only_old: frozenset[str]
    only_new: frozenset[str]
    both: frozenset[str]


def difference(old: Tally | None, new: Tally | None) -> Difference:
    """What a change of a rule changes; None where there is no such rule."""
    before = frozenset(old.events if old else ())
    after = frozenset(new.events if new else ())
    return Difference(before - after, after - before, before & after)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Labelled events a rule hit and others, and the attacks it hit at all."""

    true: int
    false: int
    attacks: tuple[str, ...]

    @property
    def precision(self) -> float | None:
        """The share of labelled events among those hit; None where nothing was hit."""
        hit = self.true + self.false
        return self.true / hit if hit else None


def judged(hit: Iterable[str], labels: Mapping[str, str]) -> Judgement:
    """How events that were hit compare with labels (event id -> attack id)."""
    ids = set(hit)
    true = {event_id: labels[event_id] for event_id in ids if event_id in labels}
    return Judgement(len(true), len(ids) - len(true), tuple(sorted(set(true.values()))))


def labels_of(attacks: Iterable[Attack]) -> dict[str, str]:
    """Event id -> attack id."""
    return {event_id: attack.id for attack in attacks for event_id in attack.event_ids}
