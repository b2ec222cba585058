"""What declared access and used access have to say about each other, over a stretch of logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from alerting.plain import plain
from audit.context import Context
from audit.context_people import system_of
from audit.context_schema import Leave
from audit.event import MICROSECONDS, AuditEvent, rfc3339
from audit.finding import SEVERITIES, Finding, Severity, Version
from rules.access import BESIDE_THE_POINT, Access, Decision, access_of
from rules.access_finding import TITLES, deed_of, detection, may_be_gap, permission_code, reasons, severity_of
from rules.change import change_finding, is_change
from rules.paper import papers_of, record_of
from rules.separation_finding import given_finding
from rules.view import View
from streams.access_grants import Grants, Temporary
from streams.access_separation import Apart, Kept
from streams.access_unused import Unused, Usage
from streams.snapshots import GAP_PRINCIPALS

DAY = 86_400 * MICROSECONDS
MOST_USES, MOST_NAMES, MOST_CHANGES = 10_000, 20, 1_000
DORMANT_DAYS = 60

Why = Literal["left", "left and used", "owner left", "no owner", "unused for long"]


class Use(msgspec.Struct):
    """Something used that no declaration permits: `permission` is what, `reason` why it counts, of its first use.

    `principals` are who used it (at most MOST_NAMES of `people`); a `gap` is used by so many that rather the model
    lacks it. `first` and `last` are RFC 3339.
    """

    detection: str
    title: str
    severity: Severity
    permission: str
    reason: str
    first: str
    last: str
    count: int = 0
    people: int = 0
    gap: bool = False
    principals: list[str] = []
    resources: list[str] = []


class Account(msgspec.Struct):
    """An account to look at: of somebody who has left, without an owner, or unused for long."""

    user: str
    kind: str
    why: Why
    since: str
    last_seen: str


class Change(msgspec.Struct):
    """Rights somebody gave that no paper explains; `detection` says what is wrong with it (rules/change.py)."""

    time: str
    user: str
    severity: Severity
    detection: str
    reason: str
    event_id: str


class Report(msgspec.Struct):
    """All of it. `systems` counts decisions by system, `cut` what there was no room for."""

    since: str
    until: str
    events: int
    observe_only: bool
    decisions: dict[str, int]
    systems: dict[str, dict[str, int]]
    uses: list[Use]
    unused: list[Unused]
    accounts: list[Account]
    changes: list[Change]
    grants: list[Temporary] = []
    apart: list[Apart] = []
    proposal: list[str] = []
    cut: int = 0

    def of(self, *detections: str, gap: bool = False) -> list[Use]:
        """The uses some detections tell of; with `gap`, those the model rather lacks."""
        return [use for use in self.uses if use.detection in detections and use.gap == gap]


class Tally:
    """A report in the making: show it events, in any order."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._access: Access = access_of(context)
        self._usage = Usage(self._access)
        self._grants = Grants(self._access)
        self._kept = Kept(context)
        self._papers = papers_of(context)
        self._uses: dict[int, Use] = {}
        self._who: dict[int, set[str]] = {}
        self._systems: dict[str, Counter[str]] = {}
        self._seen: dict[str, int] = {}
        self._changes: list[Change] = []
        self._events = self._cut = 0
        self._first, self._last = 1 << 62, 0

    def see(self, event: AuditEvent) -> None:
        """Counts an event in."""
        record = record_of(event)
        decision = self._access.decide(event, record)
        self._events += 1
        self._first, self._last = min(self._first, event.time), max(self._last, event.time)
        self._systems.setdefault(system_of(event.source), Counter())[decision.kind] += 1
        if event.actor.identity != "anonymous" and event.outcome in ("success", "unknown"):
            self._seen[event.actor.id] = max(event.time, self._seen.get(event.actor.id, 0))
        if decision.kind in ("permitted", "break_glass"):
            self._usage.see(event, record)
        if decision.kind not in BESIDE_THE_POINT:
            self._take(event, record, decision)
        self._grants.see(event, record, decision)
        self._kept.see(event, record, decision)
        self._change(event, record)

    def report(self, unused_days: int) -> Report:
        """The report; what is held for fewer than `unused_days` days of the logs is not called unused."""
        decisions: Counter[str] = Counter()
        for counts in self._systems.values():
            decisions.update(counts)
        until = self._last
        return Report(
            since=rfc3339(self._first) if self._events else "",
            until=rfc3339(until) if self._events else "",
            events=self._events,
            observe_only=self.context.declared.observe_only,
            decisions=dict(decisions.most_common()),
            systems={name: dict(counts) for name, counts in sorted(self._systems.items())},
            uses=sorted(self._uses.values(), key=_gravest),
            unused=self._usage.unused((self._first, until), unused_days) if self._events else [],
            accounts=list(_accounts(self.context, self._seen, until)) if self._events else [],
            changes=sorted(self._changes, key=lambda change: change.time),
            grants=list(self._grants.summary(until)) if self._events else [],
            apart=list(self._kept.broken(self._first, until)) if self._events else [],
            cut=self._cut,
        )

    def _take(self, event: AuditEvent, record: Mapping[str, Any], decision: Decision) -> None:
        code = permission_code(self._access, event, decision)
        use = self._uses.get(code)
        if use is None:
            if len(self._uses) >= MOST_USES:
                self._cut += 1
                return
            use = self._uses[code] = self._use(event, record, decision)
        use.count += 1
        stamp = rfc3339(event.time)
        use.first, use.last = min(use.first, stamp), max(use.last, stamp)
        who = self._who.setdefault(code, set())
        who.add(event.actor.id)
        use.people = len(who)
        use.gap = use.people >= GAP_PRINCIPALS and may_be_gap(decision, use.severity)
        _note(use.principals, plain(event.actor.id, 120))
        if event.resource:
            _note(use.resources, plain(event.resource.name, 120))

    def _use(self, event: AuditEvent, record: Mapping[str, Any], decision: Decision) -> Use:
        view = View(event, record, None, self.context.person(event.actor.id), self.context)
        told = next(reasons(self._access, view, decision, decision.asked), "")
        name, stamp = detection(decision), rfc3339(event.time)
        severity = severity_of(self._access, event, decision)
        return Use(name, TITLES[name], severity, deed_of(event, decision.asked), plain(told, 300), stamp, stamp)

    def _change(self, event: AuditEvent, record: Mapping[str, Any]) -> None:
        if not is_change(event, record):
            return
        fit = self._papers.explain(event, record)
        told = (
            change_finding(event, fit, self.context, Version()),
            given_finding(event, record, self.context, Version()),
        )
        for found in filter(None, told):
            self._note_change(event, found)

    def _note_change(self, event: AuditEvent, found: Finding) -> None:
        if len(self._changes) >= MOST_CHANGES:
            self._cut += 1
            return
        told = plain("; ".join(found.reasons), 300)
        self._changes.append(
            Change(rfc3339(event.time), event.actor.id, found.severity, found.detection, told, event.id)
        )


def _accounts(context: Context, seen: Mapping[str, int], now: int) -> Iterable[Account]:
    """Accounts of people who have left, of services nobody answers for, and those unused for long."""
    gone = {person.id for person in context.declared.users if person.end_date is not None and person.end_date < now}
    for person in context.declared.users:
        last = max(seen.get(person.id, 0), person.last_login or 0)
        stamp = rfc3339(last)[:10] if last else ""
        bare = not person.identities and not person.access_keys
        if person.id in gone and person.end_date is not None:
            if not bare:
                why: Why = "left and used" if seen.get(person.id, 0) > person.end_date else "left"
                yield Account(person.id, person.kind, why, rfc3339(person.end_date)[:10], stamp)
        elif person.kind == "service":
            if not person.owner or person.owner in gone:
                yield Account(person.id, "service", "owner left" if person.owner else "no owner", "", stamp)
        elif last and now - last > DORMANT_DAYS * DAY and not bare and not _away(person.leave, last, now):
            yield Account(person.id, person.kind, "unused for long", stamp, stamp)


def _away(leaves: Iterable[Leave], last: int, now: int) -> bool:
    """Whether leave explains most of a silence."""
    days = sum(
        min(leave.end, now) - max(leave.start, last) for leave in leaves if leave.end > last and leave.start < now
    )
    return now - last - days <= DORMANT_DAYS * DAY


def _note(names: list[str], name: str) -> None:
    if len(names) < MOST_NAMES and name not in names:
        names.append(name)


def _gravest(use: Use) -> tuple[bool, int, int, str]:
    return use.gap, -SEVERITIES.index(use.severity), -use.people, use.permission
