"""Duties to be kept apart that one human holds: by which accounts and grants, from when to when, and how often used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from audit.context import Context
from audit.event import AuditEvent, rfc3339
from rules.access import Decision
from rules.access_compile import ALWAYS, FOREVER
from rules.separation import Broken, duties_of
from rules.separation_finding import held_by, used_pair

State = Literal["now", "to come", "ended"]
Key = tuple[str, str, str, str]


class Apart(msgspec.Struct):
    """A broken pair: `by` says of each role how the user holds it; times are RFC 3339, "" where there is none.

    `exception` is the one that is written, with why it does not count where it does not; `excused` whether it does.
    `uses` counts the events that one side alone permitted, in all that time.
    """

    name: str
    user: str
    roles: list[str]
    by: list[str]
    since: str
    until: str
    state: State
    exception: str
    excused: bool
    uses: int


class Kept:
    """What is done by people who hold what is to be kept apart."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._any = bool(context.declared.separation_of_duties)
        self._uses: Counter[Key] = Counter()

    def see(self, event: AuditEvent, record: Mapping[str, Any], decision: Decision) -> None:
        """Counts an event in."""
        if self._any and decision.kind in ("permitted", "break_glass"):
            pair = used_pair(event, record, self._context)
            if pair:
                self._uses[_key(pair)] += 1

    def broken(self, since: int, now: int) -> Iterator[Apart]:
        """Each broken pair that had not ended by `since` (µs) as it stands at `now`, what nothing excuses first."""
        people = self._context.declared.users if self._any else ()
        duties = duties_of(self._context)
        humans = dict.fromkeys(duties.human(person.id) for person in people)
        pairs = [pair for human in humans for pair in duties.broken(human) if pair.end >= since]
        rows = [self._row(pair, now) for pair in pairs]
        yield from sorted(rows, key=lambda row: (row.excused, row.state == "ended", row.name, row.user, row.since))

    def _row(self, pair: Broken, now: int) -> Apart:
        exception, excused = _exception(pair, self._context, now)
        return Apart(
            name=pair.separation.name,
            user=pair.human,
            roles=[pair.one.role, pair.other.role],
            by=[held_by(pair.human, pair.one), held_by(pair.human, pair.other)],
            since="" if pair.start <= ALWAYS else rfc3339(pair.start),
            until="" if pair.end >= FOREVER else rfc3339(pair.end),
            state="to come" if now < pair.start else "now" if now <= pair.end else "ended",
            exception=exception,
            excused=excused,
            uses=self._uses[_key(pair)],
        )


def _exception(pair: Broken, context: Context, now: int) -> tuple[str, bool]:
    """The exception written for somebody, in words, and whether it counts."""
    duties = duties_of(context)
    told = ""
    for one in pair.separation.exceptions:
        if one.user == pair.human:
            lapsed = duties.lapsed(one, now)
            text = f"until {rfc3339(one.until)[:10]} on {one.ticket}, agreed to by {one.approver}"
            if not lapsed:
                return text, True
            told = f"{text}: counts not, {lapsed}"
    return told, False


def _key(pair: Broken) -> Key:
    return pair.separation.name, pair.human, pair.one.role, pair.other.role
