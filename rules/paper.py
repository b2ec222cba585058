"""Resolution checks: whether paper the company declares explains an event under suspicion.

Tickets, temporary grants, changes of roles and pentest windows are filed by whom they concern when the context is
read, so that asking about somebody without paper costs two look-ups. What fits is in rules/paper_fit.py, what each
type of ticket can explain in rules/paper_actions.py; docs/resolution.md tells the team.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import orjson

from audit.context import Context
from audit.context_people import system_of
from audit.context_schema import DAY, Person, Role, RoleChange, Shift
from audit.event import AuditEvent
from rules.paper_deed import deed_of
from rules.paper_fit import Desk, Doubt, Kind, Paper, doubts, evidence, window

NEAR = DAY // 24
"""Paper that counts so much earlier or later (µs) is still mentioned as a partial fit."""
MOST_DOUBTS = 2
"""Paper of which more does not fit has nothing to do with the event."""
MOST_WEIGHED = 200
"""Pieces of paper weighed for one event: those that began last."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What paper says of an event: `explained` is the evidence where all of it fits, `doubts` what does not.

    `lowers`: all fits but the thing it was done to, or it is only new because a role of theirs is ("new" in `kinds`,
    the sorts of doubts).
    """

    explained: str = ""
    doubts: tuple[str, ...] = ()
    lowers: bool = False
    kinds: frozenset[Kind] = frozenset()


NONE = Fit()
"""No paper has anything to say."""


class Papers:
    """The paper of one context, filed by whom it concerns."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._of = _filed(context)
        self._of_strangers = _strangers(context)
        declared = context.declared
        shifts: defaultdict[str, list[Shift]] = defaultdict(list)
        for shift in declared.oncall:
            shifts[shift.user].append(shift)
        tickets = {ticket.id: ticket for ticket in declared.tickets}
        roles: defaultdict[tuple[str, str], list[Role]] = defaultdict(list)
        for role in declared.roles:
            roles[system_of(role.system), role.name].append(role)
        changes: defaultdict[str, list[RoleChange]] = defaultdict(list)
        for change in declared.role_changes:
            changes[change.user].append(change)
        self._desk = Desk(context, tickets, dict(roles), dict(shifts), dict(changes))

    def explain(self, event: AuditEvent, record: Mapping[str, Any] | None = None) -> Fit:
        """What paper says of an event; its raw record is read only where there is paper."""
        person = self._context.person(event.actor.id)
        papers = self._concerning(event) if person else self._of_strangers.get(event.actor.id.partition(":")[2], ())
        if not papers:
            return NONE
        person = person or Person(id=event.actor.id.partition(":")[2])
        deed = deed_of(event, record_of(event) if record is None else record, person, self._context)
        best: tuple[Paper, list[Doubt]] | None = None
        for paper in papers:
            found = [*islice(doubts(paper, deed, self._desk), MOST_DOUBTS + 1)]
            if not found:
                return Fit(explained=evidence(paper))
            if best is None or len(found) < len(best[1]):
                best = paper, found
        return _partial(*best) if best else NONE

    def _concerning(self, event: AuditEvent) -> list[Paper]:
        """The paper of actor and target that is near in time, that which began last first, new roles after all else."""
        filed = self._of.get(event.actor.id, ())
        if event.target and event.target.id != event.actor.id:
            filed = (*filed, *self._of.get(event.target.id, ()))
        time = event.time
        near = [each for each in filed if each.start - NEAR <= time <= each.end + NEAR] if filed else []
        near.sort(key=lambda each: (isinstance(each.paper, RoleChange), -each.start))
        return [each.paper for each in near[:MOST_WEIGHED]]


@lru_cache(maxsize=4)
def papers_of(context: Context) -> Papers:
    """The paper of a context; compiled once."""
    return Papers(context)


class _Filed(NamedTuple):
    start: int
    end: int
    paper: Paper


def _filed(context: Context) -> dict[str, tuple[_Filed, ...]]:
    filed: defaultdict[str, list[_Filed]] = defaultdict(list)
    for paper, concerned in _concerns(context):
        for name in {*concerned} - {""}:
            filed[name].append(_Filed(*window(paper), paper))
    return {name: tuple(papers) for name, papers in filed.items()}


def _strangers(context: Context) -> dict[str, tuple[Paper, ...]]:
    """The tests of testers whom the company does not declare, by the names they bear in logs."""
    tests: defaultdict[str, tuple[Paper, ...]] = defaultdict(tuple)
    for test in context.declared.pentest_windows:
        for name in test.testers:
            if name and context.person(name) is None:
                tests[name] += (test,)
    return dict(tests)


def _concerns(context: Context) -> Iterator[tuple[Paper, tuple[str, ...]]]:
    for ticket in context.declared.tickets:
        yield ticket, (ticket.requester, ticket.subject)
    for grant in context.declared.temporary_grants:
        yield grant, (grant.user,)
    for change in context.declared.role_changes:
        yield change, (change.user,)
    for test in context.declared.pentest_windows:
        yield test, test.testers


def _partial(paper: Paper, found: list[Doubt]) -> Fit:
    """Worth a word only where little is wrong, and it is the sort of thing the paper is about."""
    kinds = {doubt.kind for doubt in found}
    if len(found) > MOST_DOUBTS or "action" in kinds:
        return NONE
    lowers = len(found) == 1 and kinds <= {"resource", "new"}
    told = (f"not explained by {evidence(paper)}", *(doubt.text for doubt in found))
    return Fit(doubts=told, lowers=lowers, kinds=frozenset(kinds))


def record_of(event: AuditEvent) -> Mapping[str, Any]:
    """The raw record of an event; empty where it is none."""
    try:
        record = orjson.loads(event.raw)
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}
