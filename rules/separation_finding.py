"""What is told of duties that one human holds together: when the second is given, and when one of them is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit.context import Context
from audit.event import AuditEvent, rfc3339
from audit.finding import RISK, Finding, Severity, Version, stable_id
from rules.access import access_of
from rules.access_asked import asked, assumed_role
from rules.access_compile import ALWAYS, FOREVER
from rules.access_finding import code_of, deed_of
from rules.granted import names_given, receivers, systems_reached
from rules.separation import Broken, Duties, Held, Side, duties_of

Record = Mapping[str, Any]
GIVEN, USED = "change.separation", "access.separation"
BEYOND_PAPER = frozenset({GIVEN, USED})
"""Findings that no ticket, grant or change of roles explains: only an exception of the separation's own does."""
MOST_NAMED = 3
LONGEST = 200


def given_finding(event: AuditEvent, record: Record, context: Context, version: Version) -> Finding | None:
    """What is wrong with a grant (`rules.change.is_grant`) that gives somebody a role whose counterpart they hold."""
    if not context.declared.separation_of_duties:
        return None
    duties = duties_of(context)
    broken = list(_given(event, record, context, duties))
    if not broken:
        return None
    return Finding(
        id=stable_id(GIVEN, event.source, event.id),
        time=event.time,
        kind="access",
        detection=GIVEN,
        title="Somebody was given a duty that is to be kept apart from one they have",
        severity="high",
        risk=RISK["high"],
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=tuple(dict.fromkeys(line for each in broken[:MOST_NAMED] for line in each)),
        attack=("T1098",),
        version=version,
    )


def used_pair(event: AuditEvent, record: Record, context: Context) -> Broken | None:
    """The pair in force of which an event used one duty: nothing else of its actor's permits it, nor does the other.

    Exceptions are not looked at. Of nobody in a broken pair this costs a look-up.
    """
    duties = duties_of(context)
    broken = duties.broken(event.actor.id)
    if not broken or event.outcome not in ("success", "unknown"):
        return None
    pairs = [pair for pair in broken if pair.holds(event.time)]
    allowing = access_of(context).allowing(event, record) if pairs else []
    holdings = [each for each in allowing if not each.flaw and each.holds(event.time)]
    sides = [duties.sides(holding.row.system, holding.role.name) for holding in holdings]
    if not sides and pairs:  # in the session of a role that they may assume
        sides = [duties.sides("aws", assumed_role(record)[0])]
    return next((pair for pair in pairs if sides and _only_one(pair, sides)), None)


def used_code(pair: Broken, severity: Severity) -> int:
    """64 bits that name a separation and how grave its use is: each is told of once a principal and day."""
    return code_of(USED, pair.separation.name, severity)


def used_finding(event: AuditEvent, record: Record, pair: Broken, context: Context, version: Version) -> Finding:
    """What is told of one of two duties used by whom holds both."""
    what = asked(event, record)
    severity: Severity = "high" if what is not None and access_of(context).is_sensitive(what) else "medium"
    who = event.actor.id if event.actor.id == pair.human else f"{event.actor.id} (of {pair.human})"
    return Finding(
        id=stable_id("access", USED, pair.separation.name, event.source, event.id),
        time=event.time,
        kind="access",
        detection=USED,
        title="One of two duties used by somebody who holds both",
        severity=severity,
        risk=RISK[severity],
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=(f"{who} did {deed_of(event, what)}", *words(pair)),
        attack=("T1078",),
        version=version,
    )


def words(pair: Broken) -> Iterator[str]:
    """A broken pair in words: what is kept apart, and by what the human holds each of the two."""
    yield apart(pair.separation.name, pair.one.role, pair.other.role, pair.separation.reason)
    yield from (held_by(pair.human, held) for held in (pair.one, pair.other))


def apart(name: str, one: str, other: str, reason: str) -> str:
    """What is kept apart."""
    return f"{one} and {other} are to be kept apart ({name[:LONGEST]}{f': {reason[:LONGEST]}' if reason else ''})"


def held_by(human: str, held: Held) -> str:
    """How a human comes by one of two duties: as whom, by which grant, from when to when."""
    holding, paper = held.holding, held.holding.paper
    through = "" if held.account == human else f" through {held.account}, which they own,"
    own = holding.role
    if held.role not in (own.name, f"{own.system}:{own.name}", f"{holding.row.system}:{own.name}"):
        through += f" by assuming it with {own.name},"
    how = f"granted{f' on {paper.ticket}' if paper.ticket else ''}" if paper else _HOW[holding.own]
    since = "" if holding.start <= ALWAYS else f" since {_short(holding.start)}"
    until = "" if held.end >= FOREVER else f" until {_short(held.end)}"
    return f"{human} holds {held.role}{through} {how}{since}{until}"


def _given(event: AuditEvent, record: Record, context: Context, duties: Duties) -> Iterator[list[str]]:
    """For each duty that somebody gets: who gave it, and what of theirs it is to be kept apart from."""
    systems = systems_reached(event)
    names = names_given(event, record)
    sides = [side for name in names for side in duties.named(name, *systems)]
    if event.action in _INTO_APPLICATIONS:
        sides += [side for name in names for side in duties.of_application(name)]
    for receiver in receivers(event, record, context) if sides else ():
        human = duties.human(receiver)
        for side in dict.fromkeys(sides):
            held = duties.counterparts(human, side, (event.time, event.time))
            if held:
                yield [*_gift(event, receiver, human, side), *(held_by(human, one) for one in held[:MOST_NAMED])]


def _gift(event: AuditEvent, receiver: str, human: str, side: Side) -> Iterator[str]:
    separation, role = side
    who = "themselves" if receiver == event.actor.id else receiver
    owned = f", which {human} owns," if receiver != human else ""
    yield f"{event.actor.id} gave {who}{owned} the role {role}: {event.action[:80]}"
    others = " and ".join(one for one in separation.roles if one != role)
    yield apart(separation.name, role, others, separation.reason)


def _only_one(pair: Broken, sides: list[list[Side]]) -> bool:
    """Whether every role that permits something is the same one of a pair's two."""
    names = {role for listed in sides for separation, role in listed if separation is pair.separation}
    every = all(any(separation is pair.separation for separation, _ in listed) for listed in sides)
    return every and len(names) == 1 and names <= {pair.one.role, pair.other.role}


def _short(time: int) -> str:
    return rfc3339(time)[:16].replace("T", " ") + " UTC"


_INTO_APPLICATIONS = frozenset({"application.user_membership.add"})
_HOW = {True: "by their own row of the context", False: "as one of their team"}
