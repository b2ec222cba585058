"""Temporary access, grant by grant: opened, used, ended, and what was done in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from audit.context_schema import Grant
from audit.event import AuditEvent, rfc3339
from rules.access import Access, Decision
from rules.access_asked import asked
from rules.access_use import Used, grant_code, uses
from streams.grant_words import deeds_of

State = Literal["not begun", "open", "ended"]
MOST_DEEDS = 200
SHOWN = 10


class Temporary(msgspec.Struct):
    """A grant: how often it was used, what for (the most frequent first), what of it did not work, and how often it was
    used after its end.

    Counted is what no lasting role of the person permits. Times are RFC 3339, "" where there is none.
    """

    user: str
    role: str
    system: str
    granted_by: str
    ticket: str
    start: str
    expires: str
    state: State
    uses: int
    after_end: int
    deeds: list[str]
    failed: int = 0
    first: str = ""
    last: str = ""


class Grants:
    """What is done under temporary grants, in whatever order it is shown."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._used: dict[int, Used] = {}

    def see(self, event: AuditEvent, record: Mapping[str, Any], decision: Decision) -> None:
        """Counts an event of somebody who was ever granted something."""
        if event.actor.id not in self._access.grants:
            return
        for code, end, role, how in uses(self._access, event, record, decision):
            used = self._used.setdefault(code, Used(code, end, role))
            used.add(event, how, asked(event, record), MOST_DEEDS)

    def summary(self, now: int) -> Iterator[Temporary]:
        """Each grant as it stands at a time (µs), in the order of their beginnings."""
        grants = self._access.context.declared.temporary_grants
        for grant in sorted(grants, key=lambda grant: (grant.start, grant.user)):
            yield _as_it_stands(grant, self._used.get(grant_code(grant)) or Used(0, 0), now)


def _as_it_stands(grant: Grant, used: Used, now: int) -> Temporary:
    return Temporary(
        user=grant.user,
        role=grant.role,
        system=grant.system,
        granted_by=grant.granted_by,
        ticket=grant.ticket,
        start=rfc3339(grant.start),
        expires=rfc3339(grant.expires),
        state="not begun" if now < grant.start else "open" if now <= grant.expires else "ended",
        uses=used.events,
        after_end=used.late,
        deeds=deeds_of(used, SHOWN)[:SHOWN],
        failed=used.failed,
        first=rfc3339(used.first) if used.first else "",
        last=rfc3339(used.last) if used.last else "",
    )
