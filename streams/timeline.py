"""What somebody did, across all sources and under all names, with what was unusual about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import TypedDict

import msgspec

from audit.context import Context
from audit.event import MICROSECONDS, AuditEvent, parse_rfc3339, rfc3339
from audit.finding import Severity
from audit.sessions import issued
from detectors.terms import KINDS as TERMS
from streams.deed import Deed
from streams.detections import Detections
from streams.replay import BATCH, Run
from streams.sessions import Key, Link, Sessions, key_of

GAP = 1_800 * MICROSECONDS
"""Deeds alike and no further apart are one line."""


class Deviation(msgspec.Struct, frozen=True):
    """A finding about a deed; `explained` is the paper that explains it."""

    title: str
    severity: Severity
    reasons: tuple[str, ...] = ()
    explained: str = ""


class Moment(msgspec.Struct, frozen=True):
    """A deed of somebody's, one done to them, or one done in a session they opened: then `by` is whose.

    `name` is the account it was done under, `tied` the session they opened that it is known by. `issued` says how the
    deed's own session came to be, `begins` that it is seen here first, `hands_out` which session the deed issued.
    `strangeness` is -log10 of the probability of such a deed for its actor; `new` names what the actor had not been
    seen with in 90 days; `alerts` are the ids of the alerts that rest on it.
    """

    id: str
    time: str
    source: str
    name: str
    identity: str
    by: str
    action: str
    outcome: str
    resource: str
    source_ip: str
    country: str
    session_id: str
    strangeness: float
    unusual: bool
    new: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    alerts: tuple[str, ...] = ()
    tied: str = ""
    begins: bool = False
    issued: str = ""
    hands_out: str = ""

    @property
    def marked(self) -> bool:
        """Whether something about it is out of the usual."""
        return self.unusual or bool(self.deviations or self.alerts) or not _TELLING.isdisjoint(self.new)


class Spell(msgspec.Struct, frozen=True):
    """Deeds alike, one after the other; one that is out of the usual stands alone."""

    first: Moment
    last: Moment
    count: int
    resources: int


class NobodySuch(Exception):
    """Nobody is called so, or several people are; the message says what to do."""


def whose(context: Context, name: str) -> str:
    """The principal id of a declared person's id, e-mail, or name in any system; of another name itself.

    Raises:
        NobodySuch: several declared people bear it.
    """
    people = context.people
    if name in people.by_id:
        return name
    systems = {system for person in people.by_id.values() for system in person.identities}
    owners = people.called(name).union(*(people.named(system, name) for system in systems))
    if len(owners) > 1:
        raise NobodySuch(f"{name} is a name of {' and '.join(sorted(owners))}: give one of these ids")
    return next(iter(owners), name)


def similar(name: str, seen: Iterable[str]) -> list[str]:
    """Up to three principals whose ids look like a name."""
    known = sorted(set(seen))
    return get_close_matches(name, known, 3, 0.6) or [each for each in known if name.lower() in each.lower()][:3]


async def timeline(
    events: Iterable[AuditEvent], detections: Detections, who: str, since: int = 0, sessions: Sessions | None = None
) -> list[Moment]:
    """The deeds of a principal, and those done to it, from `since` (µs) on; the events before teach what is usual.

    What was done in `sessions` that the principal opened is among them, though its actor is another.
    """
    known = Sessions() if sessions is None else sessions
    deeds: list[tuple[Moment, AuditEvent]] = []
    begun: dict[Key, AuditEvent] = {}

    def watch(judged: Sequence[Deed]) -> None:
        for deed in judged:
            event, key = deed.event, key_of(deed.event)
            tie = None if concerns(event, who) else known.opened(key, who)
            if tie is None and not concerns(event, who):
                continue
            begun[key] = min(begun.get(key, event), event, key=_order)
            if event.time >= since:
                deeds.append((_moment(deed, who, detections, tie), event))

    run = Run(detections, witness=watch)
    await run.open()
    stream = iter(events)
    while chunk := list(islice(stream, BATCH)):
        await run.feed(chunk)
    await run.close()
    alerts: defaultdict[str, list[str]] = defaultdict(list)
    for alert in run.result.alerts.values():
        for event in alert.event_ids:
            alerts[event].append(alert.id)
    return [
        msgspec.structs.replace(
            moment, alerts=tuple(alerts.get(moment.id, ())), **_of_session(event, known, begun[key_of(event)])
        )
        for moment, event in sorted(deeds, key=lambda each: each[1].time)
    ]


def _order(event: AuditEvent) -> tuple[int, str]:
    return event.time, event.id


class _Session(TypedDict):
    begins: bool
    issued: str


def _of_session(event: AuditEvent, sessions: Sessions, begun: AuditEvent) -> _Session:
    chain = sessions.chain(key_of(event)) if event.session_id else ()
    begins = bool(event.session_id) and event.id == begun.id
    return {"begins": begins, "issued": _told(chain[0]) if chain else ""}


def _told(link: Link) -> str:
    """How a session was issued, in a few words."""
    parent = f"session {link.parent} of {link.by}" if link.parent else link.by
    return f"issued by {parent} ({link.action}, {link.time[:16]}Z)"


def concerns(event: AuditEvent, who: str) -> bool:
    """Whether a principal did it, or it was done to them."""
    return event.actor.id == who or (event.target is not None and event.target.id == who)


def spells(moments: Iterable[Moment]) -> Iterator[Spell]:
    """The moments with those alike taken together."""
    run: list[Moment] = []
    for moment in moments:
        if run and not _alike(run[-1], moment):
            yield _spell(run)
            run = []
        run.append(moment)
    if run:
        yield _spell(run)


def _moment(deed: Deed, who: str, detections: Detections, tie: Link | None) -> Moment:
    event = deed.event
    return Moment(
        id=event.id,
        time=rfc3339(event.time),
        source=event.source,
        name=event.actor.name,
        identity=event.actor.identity,
        by="" if event.actor.id == who else event.actor.id,
        action=event.action,
        outcome=event.outcome,
        resource=f"{event.resource.type} {event.resource.name}".strip() if event.resource else "",
        source_ip=event.source_ip or "",
        country=event.country or "",
        session_id=event.session_id or "",
        strangeness=round(deed.strangeness, 2),
        unusual=not deed.young and deed.strangeness >= detections.model.threshold,
        new=() if deed.young else tuple(kind for place, kind in enumerate(TERMS) if deed.new >> place & 1),
        deviations=tuple(
            Deviation(found.title, found.severity, found.reasons, found.explained) for found in deed.findings
        ),
        tied=tie.session if tie else "",
        hands_out=issued(event),
    )


def _alike(one: Moment, other: Moment) -> bool:
    if one.marked or other.marked or (other.begins and other.issued):
        return False
    same = all(
        getattr(one, field) == getattr(other, field)
        for field in ("source", "by", "name", "action", "outcome", "source_ip", "tied")
    )
    return same and _kind(one) == _kind(other) and _micros(other) - _micros(one) <= GAP


def _spell(run: Sequence[Moment]) -> Spell:
    return Spell(run[0], run[-1], len(run), len({moment.resource for moment in run}))


def _kind(moment: Moment) -> str:
    return moment.resource.partition(" ")[0]


def _micros(moment: Moment) -> int:
    return parse_rfc3339(moment.time)


_TELLING = frozenset({"country", "asn", "user_agent", "network"})
"""A new resource or action alone is everyday work."""
