"""Which events belong to one session, who opened it, and which other session it was issued from.

A role session bears the name of its role, whoever works in it. Who that is stands in the record that issued it
(`audit.sessions`), and in the one that issued that one. A tie by session says who opened a session; whoever got hold of
its key may work in it, so that events tied like this are shown beside a person's own and never become theirs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import msgspec

from audit.context_people import system_of
from audit.event import MICROSECONDS, AuditEvent, Identity, rfc3339
from audit.sessions import ends, issued

MOST_SESSIONS = 100_000
"""Sessions kept, and as many records that issued one; events of those beyond are counted only."""
MOST_SEEN = 16
"""Principals, addresses, countries, providers and programs told of one session."""
MOST_HOPS = 16
"""Sessions followed back. AWS allows any number of roles one after the other; people use two or three."""
MOST_BESIDE = 5
SLACK = 60 * MICROSECONDS
"""How much later than a sign-out its session's last event may be stamped."""
_SURE: tuple[Identity, ...] = ("verified", "asserted", "ambiguous", "anonymous")
_COUNTED_ANEW = frozenset({"linux"})
"""Systems that give the number of a session again, after a restart, to somebody else's."""


T = TypeVar("T")


class Key(NamedTuple):
    """A session: systems choose ids of their own."""

    system: str
    id: str


class Link(msgspec.Struct, frozen=True):
    """A session was issued: by whose deed, and from which session of theirs ("" from a key or a first sign-in)."""

    session: str
    source: str
    by: str
    name: str
    parent: str
    action: str
    time: str
    event: str
    country: str = ""
    asn: int = 0


class Session(msgspec.Struct, frozen=True):
    """A session as its events tell it; `first` and `last` are RFC 3339.

    `chain` goes back from the record that issued it; `opened_by` is the principal at its end, "" where no record says.
    `beside` are sessions of the same person at the same time in other countries: context, no proof of anything.
    """

    id: str
    sources: tuple[str, ...]
    principals: tuple[str, ...]
    identity: Identity
    first: str
    last: str
    events: int
    addresses: tuple[str, ...]
    countries: tuple[str, ...]
    asns: tuple[int, ...]
    user_agents: tuple[str, ...]
    ended: str
    chain: tuple[Link, ...]
    opened_by: str
    beside: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def person(self) -> str:
        """Who opened it where that is known, else whose name it was used under."""
        return self.opened_by or next(iter(self.principals), "")


class _Issue(NamedTuple):
    """The earliest record that issued a session, and whether another contradicts it."""

    time: int
    link: Link
    disputed: bool = False


@dataclass(slots=True)
class _Kept:
    key: Key
    first: int
    last: int
    used: int = 0
    """The latest success that is no sign-out."""
    ended: int = 0
    events: int = 0
    sure: int = len(_SURE) - 1
    sources: set[str] = field(default_factory=set)
    principals: dict[str, int] = field(default_factory=dict)
    """Each with the time it was seen first."""
    addresses: set[str] = field(default_factory=set)
    countries: set[str] = field(default_factory=set)
    asns: set[int] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)


class Sessions:
    """The sessions of a log, told event by event; the order of events does not matter below the bounds."""

    def __init__(self) -> None:
        self.left_out = 0
        self._kept: dict[Key, _Kept] = {}
        self._issues: dict[Key, _Issue] = {}

    def add(self, event: AuditEvent) -> None:
        """Count an event in, and the session it hands out."""
        if event.session_id:
            self._use(key_of(event), event)
        if new := issued(event):
            self._issue(Key(system_of(event.source), new), event)

    def chain(self, key: Key) -> tuple[Link, ...]:
        """How a session came to be, backwards; one that comes back to itself ends there."""
        links: list[Link] = []
        seen: set[Key] = set()
        while key not in seen and len(seen) < MOST_HOPS and (issue := self._issues.get(key)):
            seen.add(key)
            links.append(issue.link)
            key = named(issue.link.source, issue.link.parent)
        return tuple(links)

    def opened(self, key: Key, who: str) -> Link | None:
        """The deed of a principal by which a session, or one it was issued from, came to be."""
        return next((link for link in self.chain(key) if link.by == who), None) if key in self._issues else None

    def opened_by(self, who: str) -> list[str]:
        """The ids of all sessions a principal opened, and of those issued from them."""
        return [key.id for key in self._issues if self.opened(key, who)]

    def within(self, key: Key, session: str) -> bool:
        """Whether a session is the one of this id, or was issued from it."""
        return key.id == session or any(link.parent == session for link in self.chain(key))

    def told(self) -> list[Session]:
        """All sessions, by person and time."""
        made = [self._session(kept) for kept in self._kept.values()]
        return sorted(_with_beside(made), key=lambda one: (one.person, one.first, one.id))

    def _use(self, key: Key, event: AuditEvent) -> None:
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= MOST_SESSIONS:
                self.left_out += 1
                return
            kept = self._kept[key] = _Kept(key, event.time, event.time)
        kept.events += 1
        kept.first, kept.last = min(kept.first, event.time), max(kept.last, event.time)
        kept.sources.add(event.source)
        _note(kept, event)
        if ends(event):
            kept.ended = min(kept.ended or event.time, event.time)
        elif event.outcome == "success":
            kept.used = max(kept.used, event.time)

    def _issue(self, key: Key, event: AuditEvent) -> None:
        """The earliest record stands; one of other people or from another session is a dispute."""
        known = self._issues.get(key)
        if known is None and len(self._issues) >= MOST_SESSIONS:
            self.left_out += 1
            return
        new = _Issue(event.time, _link(key, event))
        if known is None:
            self._issues[key] = new
            return
        agree = (known.link.by, known.link.parent) == (new.link.by, new.link.parent)
        earliest = min(known, new, key=lambda issue: (issue.time, issue.link.event))
        self._issues[key] = earliest._replace(disputed=known.disputed or not agree)

    def _session(self, kept: _Kept) -> Session:
        chain = self.chain(kept.key)
        issue = self._issues.get(kept.key)
        return Session(
            id=kept.key.id,
            sources=tuple(sorted(kept.sources)),
            principals=tuple(sorted(kept.principals, key=lambda one: (kept.principals[one], one))),
            identity=_SURE[kept.sure],
            first=rfc3339(kept.first),
            last=rfc3339(kept.last),
            events=kept.events,
            addresses=tuple(sorted(kept.addresses)),
            countries=tuple(sorted(kept.countries)),
            asns=tuple(sorted(kept.asns)),
            user_agents=tuple(sorted(kept.agents)),
            ended=rfc3339(kept.ended) if kept.ended else "",
            chain=chain,
            opened_by=_opener(chain),
            beside=(),
            flags=tuple(_flags(kept, chain, issue is not None and issue.disputed)),
        )


def key_of(event: AuditEvent) -> Key:
    """The session an event belongs to; its id is "" for none."""
    return named(event.source, event.session_id or "")


def named(source: str, session: str) -> Key:
    """The session that a source's records call so. EKS names the AWS session by which somebody came to a cluster."""
    return Key("aws" if source == "kubernetes" and session.startswith("ASIA") else system_of(source), session)


def sessions_of(events: Iterable[AuditEvent]) -> Sessions:
    """The sessions of these events."""
    made = Sessions()
    for event in events:
        made.add(event)
    return made


def _note(kept: _Kept, event: AuditEvent) -> None:
    who = event.actor
    if who.identity != "anonymous" and (who.id in kept.principals or len(kept.principals) < MOST_SEEN):
        kept.principals[who.id] = min(kept.principals.get(who.id, event.time), event.time)
    kept.sure = min(kept.sure, _SURE.index(who.identity))
    _put(kept.addresses, event.source_ip)
    _put(kept.countries, event.country)
    _put(kept.asns, event.asn)
    _put(kept.agents, event.user_agent)


def _put(seen: set[T], value: T | None) -> None:
    if value and len(seen) < MOST_SEEN:
        seen.add(value)


def _link(key: Key, event: AuditEvent) -> Link:
    return Link(
        session=key.id,
        source=event.source,
        by=event.actor.id,
        name=event.actor.name,
        parent=event.session_id or "",
        action=event.action,
        time=rfc3339(event.time),
        event=event.id,
        country=event.country or "",
        asn=event.asn or 0,
    )


def _loops(chain: tuple[Link, ...]) -> bool:
    return bool(chain) and chain[-1].parent in {link.session for link in chain}


def _opener(chain: tuple[Link, ...]) -> str:
    """Nobody's where the chain goes in a circle or on beyond MOST_HOPS: such records contradict each other."""
    return "" if not chain or _loops(chain) or len(chain) >= MOST_HOPS else chain[-1].by


def _flags(kept: _Kept, chain: tuple[Link, ...], disputed: bool) -> Iterator[str]:
    """What is odd about a session, the gravest first."""
    if len(kept.principals) > 1 and kept.key.system not in _COUNTED_ANEW:
        yield "several principals"
    if kept.ended and kept.used > kept.ended + SLACK:
        yield "used after its end"
    if disputed:
        yield "issued twice"
    if chain and (_loops(chain) or len(chain) >= MOST_HOPS):
        yield "chain without end"
    if len(kept.countries) > 1:
        yield "several countries"
    if chain and chain[0].country and kept.countries and chain[0].country not in kept.countries:
        yield "issued in another country"
    if len(kept.asns) > 1:
        yield "several networks"
    if chain and chain[0].asn and kept.asns and chain[0].asn not in kept.asns:
        yield "issued in another network"


def _with_beside(made: list[Session]) -> Iterator[Session]:
    """The sessions, each with those of the same person that overlap it from other countries."""
    by_person: defaultdict[str, list[Session]] = defaultdict(list)
    for one in made:
        by_person[one.person].append(one)
    for person, own in by_person.items():
        beside = _overlapping([one for one in own if one.countries]) if person else {}
        for one in own:
            yield msgspec.structs.replace(one, beside=tuple(sorted(beside.get(one.id, ()))[:MOST_BESIDE]))


def _overlapping(placed: list[Session]) -> dict[str, list[str]]:
    """By session, the ids of those that were in use at the same time and share no country with it."""
    beside: defaultdict[str, list[str]] = defaultdict(list)
    open_now: list[Session] = []
    for one in sorted(placed, key=lambda one: (one.first, one.id)):
        open_now = [other for other in open_now if other.last >= one.first][-MOST_SEEN:]
        for other in open_now:
            if set(one.countries).isdisjoint(other.countries):
                beside[one.id].append(other.id)
                beside[other.id].append(one.id)
        open_now.append(one)
    return beside
