"""What is granted and not used, as far as the logs can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from audit.context_people import glob_matches
from audit.event import MICROSECONDS, AuditEvent, rfc3339
from rules.access import Access
from rules.access_asked import FREE_AWS, asked, plain_aws
from rules.access_compile import Holding, Row

State = Literal["unused", "not_observable", "too_young"]
DAY = 86_400 * MICROSECONDS
MOST_SEEN = 200_000
_DATA_EVENTS = (
    "s3:getobject", "s3:putobject", "s3:deleteobject", "lambda:invoke*", "dynamodb:getitem", "dynamodb:putitem",
    "dynamodb:query", "dynamodb:scan", "dynamodb:batch*", "sqs:sendmessage*", "sqs:receivemessage", "sns:publish*",
    "kinesis:putrecord*", "kinesis:getrecords", "cloudwatch:putmetricdata", "logs:putlogevents",
)  # fmt: skip
"""AWS calls that a trail records only where data events are switched on."""


class Unused(msgspec.Struct):
    """A role nobody was seen using (`users` hold it), or an action of a role; `action` is "" for the whole role.

    not_observable: the logs would not show its use. too_young: held or watched for fewer days than asked.
    """

    role: str
    system: str
    action: str
    state: State
    users: list[str]
    since: str


class Usage:
    """What of the declared roles is used."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._held: set[tuple[str, int]] = set()
        self._actions: dict[int, set[str]] = {}
        self._watched: set[tuple[str, str]] = set()
        self._services: set[str] = set()
        self._known: set[tuple[str, str, str, str]] = set()

    def see(self, event: AuditEvent, record: Mapping[str, Any]) -> None:
        """Counts a permitted event."""
        what = asked(event, record)
        if what is None:
            return
        key = (event.actor.id, what.account, what.action, what.resource)
        if key in self._known:
            return
        if len(self._known) >= MOST_SEEN:
            self._known.clear()
        self._known.add(key)
        self._watched.add((what.system, what.account))
        if what.system == "aws" and _is_data(what.action):
            self._services.add(what.action.partition(":")[0])
        for holding in self._access.permitting(event, record):
            place = id(holding.row)
            self._held.add((event.actor.id, place))
            self._actions.setdefault(place, set()).add(what.action)

    def unused(self, span: tuple[int, int], days: int) -> list[Unused]:
        """The roles people hold and were not seen using, then the actions nobody used of roles that are used.

        Args:
            span: first and last time of the logs (µs).
            days: for how many days something must have been held, and watched, to be called unused.
        """
        holders: dict[int, list[tuple[str, Holding]]] = {}
        for person in self._access.context.declared.users:
            table = self._access.table(person.id)
            for holding in (each for own in table.by_system.values() for each in own) if table else ():
                if holding.end >= span[1] and not holding.flaw:
                    holders.setdefault(id(holding.row), []).append((person.id, holding))
        rows = [row for row in self._access.book.rows if id(row) in holders]
        found = [line for row in rows for line in self._of_role(row, holders[id(row)], span, days)]
        return found + [line for row in rows for line in self._of_actions(row, span, days)]

    def _of_role(
        self, row: Row, holders: list[tuple[str, Holding]], span: tuple[int, int], days: int
    ) -> Iterator[Unused]:
        idle: dict[State, list[str]] = {}
        for user, holding in holders:
            if (user, id(row)) not in self._held:
                since = max(span[0], holding.start)
                young = _days(since, span[1]) < days
                state: State = "not_observable" if not self._observed(row) else "too_young" if young else "unused"
                idle.setdefault(state, []).append(user)
        for state, users in sorted(idle.items()):
            yield Unused(row.role.name, row.system, "", state, sorted(set(users)), rfc3339(span[0])[:10])

    def _of_actions(self, row: Row, span: tuple[int, int], days: int) -> Iterator[Unused]:
        used = self._actions.get(id(row))
        if not used:
            return
        for pattern in row.role.actions:
            plain = plain_aws(pattern) if row.system == "aws" else pattern
            if (
                plain != "*"
                and plain not in FREE_AWS
                and not any(glob_matches(tuple(plain.split("*")), action) for action in used)
            ):
                shown = row.system != "aws" or not _is_data(plain) or plain.partition(":")[0] in self._services
                state: State = "not_observable" if not shown else "too_young" if _days(*span) < days else "unused"
                yield Unused(row.role.name, row.system, pattern, state, [], rfc3339(span[0])[:10])

    def _observed(self, row: Row) -> bool:
        """Whether the logs hold anything permitted of the role's system and account."""
        return any(system == row.system and row.account in ("", account) for system, account in self._watched)


def _days(first: int, last: int) -> int:
    """Calendar days from one time to another, both counted."""
    return last // DAY - first // DAY + 1


def _is_data(action: str) -> bool:
    return any(glob_matches(tuple(pattern.split("*")), action) for pattern in _DATA_EVENTS)
