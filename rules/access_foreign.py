"""Places that are others': what a role names for somebody else, and no role of one's own reaches by any action.

An action that is missing in one's own place is often missing in the model; a place where one has no business is not. Of
whom the model says nothing in a system, it does not say where their place is either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from audit.context_schema import Person
from rules.access_asked import WHOLE, Asked
from rules.access_compile import Allowed, Row, of_holder

if TYPE_CHECKING:
    from rules.access import Access

REMEMBERED = 4_096
_SYSTEMS = frozenset({"aws", "k8s", "github"})
"""Where roles name places; an application of another team's is signed on to by many."""


def is_foreign(access: Access, who: str, what: Asked) -> bool:
    """Whether what something was done to is declared for others, and nothing in it for this declared person.

    Roles held before or only later count as theirs, too: of a place that was or will be one's own, one knows why.
    """
    if what.system not in _SYSTEMS or what.resource in ("", WHOLE):
        return False
    key = (who, what.system, what.account, what.resource)
    known = access.foreign.get(key)
    if known is None:
        if len(access.foreign) >= REMEMBERED:
            access.foreign.clear()
        known = access.foreign[key] = _is_foreign(access, who, what)
    return known


def _is_foreign(access: Access, who: str, what: Asked) -> bool:
    table = access.table(who)
    held = table.by_system.get(what.system, []) if table else []
    if table is None or not held:
        return False
    own = _allowed((holding.row for holding in held), what)
    if any(one.on is None or _names(one, what.resource, table.person) for one in own):
        return False
    return any(one.on is not None and one.on.match(what.resource) for one in _allowed(access.book.rows, what))


def _names(one: Allowed, resource: str, person: Person) -> bool:
    named = one.on is not None and one.on.match(resource)
    return named or (bool(one.personal) and of_holder(one.personal, person).match(resource))


def _allowed(rows: Iterable[Row], what: Asked) -> list[Allowed]:
    """All that rows allow in a system and account."""
    here = (row for row in rows if row.system == what.system and row.account in ("", what.account))
    return [one for row in here for one in row.allowed]
