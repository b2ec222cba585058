"""The life of temporary access: opened, used, its end moved, closed with a summary of what was done in it.

A fold over looks: what the context grants and what score has counted, at one event time, against what was known at the
look before. Pure; live it is kept in Redis (grant_watch.py), in replay in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from audit.context import Context
from audit.context_people import system_of
from audit.context_schema import DAY, Grant
from rules.access_use import AFTERWARDS, KEPT, Used, grant_code, used_of
from rules.correlation_section import LATENESS

Step = Literal["opened", "used", "moved", "closed", "withdrawn", "break_glass"]
SETTLED = AFTERWARDS + LATENESS
"""How long after its end a grant is summed up: what is done in the first minutes after it belongs to the summary."""
Uses = Mapping[str, Sequence[Used]]
"""What score has counted, by user."""


class Watched(msgspec.Struct, array_like=True, frozen=True):
    """A grant as it was at the last look. Times in µs; `since` is when it was first seen: of uses before nobody can
    tell. `was` is its end before that was moved."""

    code: int
    user: str
    system: str
    role: str
    granted_by: str
    ticket: str
    start: int
    expires: int
    since: int
    used: bool = False
    closed: bool = False


class News(NamedTuple):
    """A step of a grant's life, with what is known of its uses. `was` is the end it had before it was moved (µs);
    `heard` says whether anything of its system came in at all. Of break-glass, `grant` is the day."""

    step: Step
    grant: Watched
    used: Used | None = None
    was: int = 0
    heard: bool = True


class Known(msgspec.Struct):
    """What the last look left: grants by their code, those `changed` since they were stored, and `at`, its time (µs);
    0 before the first look."""

    grants: dict[int, Watched] = {}
    at: int = 0
    changed: set[int] = set()

    def wanted(self, context: Context, now: int) -> set[str]:
        """Whose uses the look at `now` (µs) needs."""
        users = {grant.user for grant in self.grants.values() if not grant.closed}
        users |= {grant.user for grant in context.declared.temporary_grants if _is_new(grant, self.at, now)}
        return users | set(emergency(context)) if self.at and _ended_day(now) > _ended_day(self.at) else users

    def look(self, context: Context, now: int, uses: Uses, heard: frozenset[str]) -> list[News]:
        """What is new at `now` (µs of event time: it never goes back); `heard` are the systems that sent anything."""
        before, self.at = self.at, max(self.at, now)
        declared = {grant_code(grant): grant for grant in context.declared.temporary_grants}
        news: list[News] = []
        for code, grant in declared.items():
            if code not in self.grants and _is_new(grant, before, self.at):
                self._set(_watched(code, grant, int(grant.start) if 0 < before < grant.start else self.at))
                news.append(News("opened", self.grants[code]))
        for code in list(self.grants):
            used = used_of([*uses.get(self.grants[code].user, ())], code)
            steps = self._steps(code, declared.get(code), used, self.at)
            news += [each._replace(heard=system_of(each.grant.system.lower()) in heard) for each in steps]
        return news + (_break_glass(context, _ended_day(before), _ended_day(self.at), uses) if before else [])

    def _steps(self, code: int, grant: Grant | None, used: Used | None, now: int) -> Iterator[News]:
        """What happened to one that is known."""
        known = self.grants[code]
        if grant and grant.expires != known.expires:
            was, open_again = known.expires, grant.expires + SETTLED > now
            known = _watched(code, grant, known.since, known.used, known.closed and not open_again)
            self._set(known)
            yield News("moved", known, used, was)
        if not known.closed and not known.used and used and used.events:
            known = self._set(msgspec.structs.replace(known, used=True))
            yield News("used", known, used)
        if not known.closed and (grant is None or now >= known.expires + SETTLED):
            known = self._set(msgspec.structs.replace(known, closed=True, expires=min(known.expires, now)))
            yield News("closed" if grant else "withdrawn", known, used)
        if known.closed and now > known.expires + KEPT:
            del self.grants[code]
            self.changed.add(code)

    def _set(self, grant: Watched) -> Watched:
        self.grants[grant.code] = grant
        self.changed.add(grant.code)
        return grant


def _break_glass(context: Context, before: int, until: int, uses: Uses) -> list[News]:
    """The days that ended since the last look, of each emergency role that was used on one."""
    if until <= before:
        return []
    return [
        News("break_glass", _of_day(user, each), each)
        for user in emergency(context)
        for each in uses.get(user, ())
        if each.role and before < each.end <= until
    ]


def times(context: Context) -> list[int]:
    """When a look is worth it, whatever comes in (µs, ascending): grants begin, or can be summed up."""
    grants = context.declared.temporary_grants
    return sorted({time for grant in grants for time in (int(grant.start), grant.expires + SETTLED)})


@lru_cache(maxsize=2)
def emergency(context: Context) -> tuple[str, ...]:
    """Who may hold a break-glass role by name or team, without a temporary grant."""
    declared = context.declared
    roles = [role for role in declared.roles if role.break_glass]
    names = {name for role in roles for name in _names(role.system, role.name)}
    changed = {change.user for change in declared.role_changes if change.role in names}
    teams = {team for role in roles for team in role.teams}
    squads = {role.squad for role in roles if role.squad}
    return tuple(
        person.id
        for person in declared.users
        if not names.isdisjoint(person.roles) or person.id in changed or person.team in teams or person.squad in squads
    )


def _names(system: str, name: str) -> tuple[str, str, str]:
    return name, f"{system}:{name}", f"{system_of(system.lower())}:{name}"


def _is_new(grant: Grant, before: int, now: int) -> bool:
    """Whether it has begun by `now` and had not ended at the look before: what ended before anybody looked is no news,
    what lived between two looks is."""
    return grant.start <= now and (before or now) < grant.expires + SETTLED


def _ended_day(now: int) -> int:
    """The last microsecond of the newest day of which nothing more comes."""
    return (now - LATENESS) // DAY * DAY - 1


def _watched(code: int, grant: Grant, since: int, used: bool = False, closed: bool = False) -> Watched:
    words = grant.user, grant.system, grant.role, grant.granted_by, grant.ticket
    return Watched(code, *words, int(grant.start), int(grant.expires), since, used, closed)


def _of_day(user: str, used: Used) -> Watched:
    start = used.end + 1 - DAY
    return Watched(used.code, user, "", used.role, "", "", start, used.end, start, used=True, closed=True)
