"""Temporary access, grant by grant: opened, used, ended, and what was done in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from audit.context_schema import Grant
from audit.event import AuditEvent, rfc3339
from rules.access import Access, Decision
from rules.access_asked import asked
from rules.access_compile import FOREVER
from rules.access_finding import deed_of

State = Literal["not begun", "open", "ended"]
MOST_DEEDS = 200
SHOWN = 10


class Temporary(msgspec.Struct):
    """A grant: how often it was used, what for (the most frequent first), and how often after its end.

    Counted is what no lasting role of the person permits.
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


class Grants:
    """What is done under temporary grants."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._users = {grant.user for grant in access.context.declared.temporary_grants}
        self._deeds: dict[int, Counter[str]] = {}
        self._uses: Counter[int] = Counter()
        self._late: Counter[int] = Counter()

    def see(self, event: AuditEvent, record: Mapping[str, Any], decision: Decision) -> None:
        """Counts an event of somebody who was ever granted something."""
        if event.actor.id not in self._users:
            return
        if decision.kind == "expired" and decision.holding and isinstance(decision.holding.paper, Grant):
            self._late[id(decision.holding.paper)] += 1
        if decision.kind not in ("permitted", "break_glass"):
            return
        holdings = self._access.permitting(event, record)
        if any(holding.end >= FOREVER for holding in holdings):
            return
        for holding in holdings:
            place = id(holding.paper)
            self._uses[place] += 1
            deeds = self._deeds.setdefault(place, Counter())
            name = deed_of(event, asked(event, record))
            if name in deeds or len(deeds) < MOST_DEEDS:
                deeds[name] += 1

    def summary(self, now: int) -> Iterator[Temporary]:
        """Each grant as it stands at a time (µs), in the order of their beginnings."""
        for grant in sorted(
            self._access.context.declared.temporary_grants, key=lambda grant: (grant.start, grant.user)
        ):
            place = id(grant)
            deeds = self._deeds.get(place, Counter()).most_common(SHOWN)
            yield Temporary(
                user=grant.user,
                role=grant.role,
                system=grant.system,
                granted_by=grant.granted_by,
                ticket=grant.ticket,
                start=rfc3339(grant.start),
                expires=rfc3339(grant.expires),
                state="not begun" if now < grant.start else "open" if now <= grant.expires else "ended",
                uses=self._uses[place],
                after_end=self._late[place],
                deeds=[f"{name} ({count})" if count > 1 else name for name, count in deeds],
            )
