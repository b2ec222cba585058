"""What somebody does under a temporary grant, or by break-glass: counted, bounded, and the same whatever the order.

Counted is what no lasting role of the person permits. Of the deeds the gravest are kept, then those whose names hash
lowest: which those are depends on nothing but the deeds, so that each that is kept was counted from its first time on.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

import msgspec

from audit.context_schema import DAY, Grant
from audit.event import MICROSECONDS, AuditEvent
from rules.access import Access, Decision, Record
from rules.access_asked import Asked, asked, assumed_role
from rules.access_compile import FOREVER, Holding
from rules.access_finding import deed_of, is_powerful
from rules.paper_state import GRACE

DEEDS = 24
"""Deeds kept by name of a grant; the others are only counted."""
MOST = 16
"""Grants (and days of break-glass) remembered of a person: those that end last."""
KEPT = 30 * DAY
"""How long (event time) they are remembered after their end."""
AFTERWARDS = 900 * MICROSECONDS
"""So long after a grant's end its uses are counted here; the model tells of them anyway, and of later ones."""

How = Literal["use", "failed", "late"]


class Used(msgspec.Struct, array_like=True, gc=False):
    """A grant (or a break-glass role on one day: then `role` is named) in use; times in µs, 0 where there is none.

    `events` are its uses from `first` to `last`; `failed` is what it permits and did not work, `late`
    what was done after its end. `deeds` are (rank, name, times), lowest rank first, `others` the uses not named.
    """

    code: int
    end: int
    role: str = ""
    first: int = 0
    last: int = 0
    events: int = 0
    failed: int = 0
    late: int = 0
    deeds: list[tuple[int, str, int]] = []
    others: int = 0

    def add(self, event: AuditEvent, how: How, what: Asked | None, room: int = DEEDS) -> None:
        """Counts an event in."""
        if how == "failed":
            self.failed += 1
            return
        if how == "late":
            self.late += 1
            return
        self.events += 1
        self.first = min(self.first or event.time, event.time)
        self.last = max(self.last, event.time)
        name = deed_of(event, what)
        rank = _rank(name, what)
        for place, (_, known, times) in enumerate(self.deeds):
            if known == name:
                self.deeds[place] = rank, name, times + 1
                return
        self.deeds = sorted([*self.deeds, (rank, name, 1)])
        if len(self.deeds) > room:
            self.others += self.deeds.pop()[2]


def _rank(name: str, what: Asked | None) -> int:
    grave = what is not None and is_powerful(what)
    return _hash(name, size=4) | (0 if grave else 1 << 32)


def note_use(known: list[Used], access: Access, event: AuditEvent, record: Record, decision: Decision) -> list[Used]:
    """What is known of somebody's grants, with an event of theirs counted in; the same list where it is no use."""
    found = list(uses(access, event, record, decision))
    if not found:
        return known
    kept = {each.code: each for each in known}
    for code, end, role, how in found:
        if how == "late" and event.time > end + AFTERWARDS:
            continue
        used = kept.get(code)
        if used is None:
            used = kept[code] = Used(code, end, role)
        used.end = max(used.end, end)
        used.add(event, how, asked(event, record))
    living = [each for each in kept.values() if each.end + KEPT > event.time]
    return sorted(living, key=_end)[-MOST:]


def uses(access: Access, event: AuditEvent, record: Record, decision: Decision) -> Iterator[tuple[int, int, str, How]]:
    """(code, end, break-glass role or "", how) of each grant an event uses."""
    paper = decision.holding.paper if decision.holding else None
    if decision.kind == "break_glass" and decision.holding and not isinstance(paper, Grant):
        role, day = decision.holding.role, event.time // DAY
        code = _hash("break glass", event.actor.id, role.system, role.name, str(day))
        yield code, (day + 1) * DAY - 1, role.name, "use"
    grants = access.grants.get(event.actor.id, ())
    if decision.kind == "expired" and isinstance(paper, Grant):
        yield grant_code(paper), int(paper.expires), "", "late"
    elif decision.kind in _IN_TIME and any(each.start - GRACE <= event.time <= each.expires for each in grants):
        how: How = "failed" if event.outcome in ("denied", "failure") else "use"
        for grant in _used(access, event, record):
            yield grant_code(grant), int(grant.expires), "", how


def _used(access: Access, event: AuditEvent, record: Record) -> list[Grant]:
    """The grants without which an event was not permitted."""
    allowing = [one for one in access.allowing(event, record) if one.holds(event.time) and not one.flaw]
    allowing = allowing or _assuming(access, event, record)
    if any(one.end >= FOREVER and not one.role.break_glass for one in allowing):
        return []
    return list({grant_code(one.paper): one.paper for one in allowing if isinstance(one.paper, Grant)}.values())


def _assuming(access: Access, event: AuditEvent, record: Record) -> list[Holding]:
    """What lets its actor into the AWS role in whose session it was done."""
    table, arn = access.table(event.actor.id), assumed_role(record)[1]
    if table is None or not arn:
        return []
    matches = table.find(Asked("aws", "", "sts:assumerole", arn))
    return [one for one, on in matches if (on is None or on.match(arn)) and one.holds(event.time) and not one.flaw]


def grant_code(grant: Grant) -> int:
    """64 bits that name a grant; not its end, so that one that is prolonged stays the same."""
    return _hash("grant", grant.user, grant.system, grant.role, str(int(grant.start)))


def used_of(known: list[Used], code: int) -> Used | None:
    """What is known of one of them."""
    return next((each for each in known if each.code == code), None)


def _end(used: Used) -> tuple[int, int]:
    return used.end, used.code


def _hash(*parts: str, size: int = 8) -> int:
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=size).digest(), "little")


_IN_TIME = frozenset({"permitted", "break_glass", "denied"})
