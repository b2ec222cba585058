"""What a stored baseline says, for people: shares, hours, what is held and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from string import ascii_uppercase

import msgspec

from audit.event import MICROSECONDS, AuditEvent, rfc3339
from detectors.baseline import FIRST, HOURS, NEWEST, REGIONS, SIZE, TOTAL, Baseline
from detectors.features import observe
from detectors.observation import agent_family, network, token
from detectors.terms import KINDS
from streams.principal import Held, Principal

TOP = 8
"""Tokens shown of each kind."""


class Share(msgspec.Struct, frozen=True):
    """A token's part of what was done lately: `name` where it is known, else its hash; `count` is decayed."""

    name: str
    share: float
    count: float
    last: str


class Kind(msgspec.Struct, frozen=True):
    """What is usual of one kind: how many different tokens are kept, and the most frequent."""

    kind: str
    distinct: int
    top: list[Share]


class Waiting(msgspec.Struct, frozen=True):
    """A held event: what it was, when it happened, and what its age will do, and when, unless a verdict comes."""

    time: str
    what: list[str]
    until: str
    then: str


class Usual(msgspec.Struct, frozen=True):
    """Everything `baseline show` says. Times are RFC 3339, empty where there is none; hours are shares of 1."""

    principal: str
    events: int
    since: str
    newest: str
    young: bool
    kinds: list[Kind]
    weekday_hours: list[float]
    weekend_hours: list[float]
    known_days: int
    held: list[Waiting]
    bytes: int
    budget_bytes: int = SIZE


def usual_of(principal: str, state: Principal, size: int, names: Mapping[int, str]) -> Usual:
    """A stored state in words; `size` is what it takes in Redis, `names` are those known of its tokens elsewhere."""
    baseline, names = state.baseline, {**_countries(), **state.names, **names}
    scalars = baseline.scalars
    newest = int(scalars[NEWEST])
    hours = list(baseline.hours)
    whole = sum(hours) or 1.0
    shares = [round(height / whole, 4) for height in hours]
    return Usual(
        principal=principal,
        events=baseline.events,
        since=_stamp(int(scalars[FIRST])),
        newest=_stamp(newest),
        young=baseline.young,
        kinds=[_kind(baseline, kind, newest, names) for kind in range(len(KINDS))] if baseline.events else [],
        weekday_hours=shares[: HOURS // 2],
        weekend_hours=shares[HOURS // 2 :],
        known_days=state.terms.history(newest),
        held=[_waiting(held, names) for held in state.held],
        bytes=size,
    )


def _kind(baseline: Baseline, kind: int, newest: int, names: Mapping[int, str]) -> Kind:
    start, end = REGIONS[kind]
    slots = [slot for slot in range(start, end) if baseline.keys[slot]]
    slots.sort(key=lambda slot: -baseline.counts[slot])
    total, weight = baseline.scalars[TOTAL + kind] or 1.0, baseline.weight(newest)
    top = [
        Share(
            _name(baseline.keys[slot], names),
            round(min(1.0, baseline.counts[slot] / total), 4),
            round(baseline.counts[slot] / weight, 2),
            _stamp(baseline.seen[slot]),
        )
        for slot in slots[:TOP]
    ]
    return Kind(KINDS[kind], len(slots), top)


def _waiting(held: Held, names: Mapping[int, str]) -> Waiting:
    observation = held.observation
    what = [_name(hashed, names) for hashed in observation.tokens if hashed]
    return Waiting(_stamp(observation.time), what, rfc3339(held.until), "learnt" if held.teaches else "dropped")


@lru_cache(maxsize=1)
def _countries() -> dict[int, str]:
    """Every code there can be: these hashes can be listed."""
    return {
        token(f"country {first}{second}"): first + second for first in ascii_uppercase for second in ascii_uppercase
    }


def _name(hashed: int, names: Mapping[int, str]) -> str:
    return names.get(hashed) or f"#{hashed:016x}"


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds > 0 else ""


def names_in(events: Iterable[AuditEvent], state: Principal) -> dict[int, str]:
    """What the tokens of a state stand for, as far as these events tell: a state keeps hashes only."""
    wanted = {*state.baseline.slots, *(each for held in state.held for each in held.observation.tokens)} - {0}
    names: dict[int, str] = {}
    for event in events:
        told = zip(observe(event).tokens, _words(event), strict=True)
        names |= {hashed: words for hashed, words in told if hashed in wanted}
        if len(names) == len(wanted):
            break
    return names


def _words(event: AuditEvent) -> tuple[str, ...]:
    """An event in the order of its tokens."""
    resource = event.resource
    return (
        f"{event.source} {event.action}",
        f"{resource.type} {resource.name}" if resource else "",
        event.country or "",
        f"AS{event.asn}",
        agent_family((event.user_agent or "")[:256]),
        network(event.source_ip) if event.source_ip else "",
    )


def since_of(state: Principal) -> int:
    """From when on events may still matter to a state, in microseconds: two half-lives before its newest."""
    return max(0, int(state.baseline.scalars[NEWEST]) - 28 * 86_400) * MICROSECONDS
