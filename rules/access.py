"""The declared authorization model: was this deed permitted, as of the moment it was done?

Roles are compiled when they are first asked for, per person and action; a decision is then a few look-ups. Everything
is judged at the event's own time: a grant that has ended today still permits what was done under it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from audit.context import Context
from audit.context_people import LONGEST_NAME, system_of
from audit.context_schema import DAY, Grant, Person
from audit.event import AuditEvent
from rules.access_asked import WHOLE, Asked, asked, assumed_role, is_vendors_own, more_names
from rules.access_compile import ALWAYS, FOREVER, Allowed, Book, Holding, Row, of_holder
from rules.access_conditions import Facts, Globs, in_networks, unmet
from rules.declared import employment
from rules.paper_state import GRACE

Record = Mapping[str, Any]
Kind = Literal["permitted", "denied", "undeclared", "expired", "after_end", "break_glass", "not_observable"]
Cause = Literal["", "stranger", "condition", "unapproved", "self_granted", "early", "pentest", "assumed", "unmodelled"]
NO_RECORD: Record = {}
REMEMBERED = 1_024
"""Actions remembered per person; beyond that it is begun anew."""


class Decision(NamedTuple):
    """What the model says of a deed.

    permitted, denied (the system refused it, or it failed), undeclared (allowed although nobody declared it), expired
    (by a grant that had ended), after_end (by somebody who had left), break_glass, not_observable (roles do not speak
    of it). `holding` is the role that permits or nearly does, `note` says what kept it from permitting.
    """

    kind: Kind
    cause: Cause = ""
    asked: Asked | None = None
    holding: Holding | None = None
    note: str = ""


NOT_MODELLED = Decision("not_observable", "unmodelled")
NOT_DECLARED = Decision("not_observable")
DENIED = Decision("denied")
PERMITTED = Decision("permitted")
AFTER_END = Decision("after_end")
BESIDE_THE_POINT = frozenset({"permitted", "denied", "not_observable"})
"""Decisions nobody needs to hear of."""

Match = tuple[Holding, Globs | None]
Seen = tuple[AuditEvent, Record]


class Found(NamedTuple):
    """What is known of an action in somebody's hands: `always` that nothing else need be asked, `lasting` what it is
    permitted on for good, `dated` the spans in which it is, and on what; `all` is everything that speaks of it."""

    always: bool
    lasting: tuple[Globs, ...]
    dated: tuple[tuple[int, int, Globs | None], ...]
    all: tuple[Match, ...]


class Table:
    """What one person may do: holdings by system, and for each action asked so far those that allow it.

    `found` is by system, account and action: three look-ups cost less than one of a tuple.
    """

    __slots__ = ("_room", "by_system", "found", "person")

    def __init__(self, person: Person, book: Book) -> None:
        self.person = person
        self.by_system: dict[str, list[Holding]] = {}
        for holding in book.holdings(person):
            self.by_system.setdefault(holding.row.system, []).append(holding)
        self.found: dict[str, dict[str, dict[str, Found]]] = {}
        self._room = REMEMBERED

    def find(self, what: Asked) -> tuple[Match, ...]:
        """The holdings that speak of an action in an account, each with what it speaks of."""
        return self.look_up(what).all

    def look_up(self, what: Asked) -> Found:
        """What is known of an action, worked out when it is first asked for."""
        known = self.found.get(what.system, {}).get(what.account, {}).get(what.action)
        if known is not None:
            return known
        found = _found(tuple(self._matches(what)))
        if len(what.action) <= LONGEST_NAME:
            if not self._room:
                self.found, self._room = {}, REMEMBERED
            self._room -= 1
            self.found.setdefault(what.system, {}).setdefault(what.account, {})[what.action] = found
        return found

    def _matches(self, what: Asked) -> Iterator[Match]:
        for holding in self.by_system.get(what.system, ()):
            if _same(holding.row.account, what.account):
                for allowed in holding.row.of(what.action):
                    yield holding, self._on(allowed)

    def _on(self, allowed: Allowed) -> Globs | None:
        if not allowed.personal:
            return allowed.on
        own = of_holder(allowed.personal, self.person)
        return _Both(allowed.on, own) if allowed.on else own


class _Both(Globs):
    """What either of two matches."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Globs, second: Globs) -> None:
        super().__init__(())
        self._first, self._second = first, second

    def match(self, name: str) -> bool:
        return self._first.match(name) or self._second.match(name)


class Access:
    """The model of one context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.book = Book(context.declared)
        self.observed: dict[str, set[str]] = {}
        for row in self.book.rows:
            self.observed.setdefault(row.system, set()).add(row.account)
        sensitive = context.declared.company.sensitive
        self._sensitive = {
            "aws": Globs(sensitive.buckets),
            "github": Globs(name.lower() for name in sensitive.repos),
            "k8s": Globs(sensitive.namespaces),
        }
        self._windows = context.declared.pentest_windows
        self.grants: dict[str, list[Grant]] = {}
        for grant in context.declared.temporary_grants:
            self.grants.setdefault(grant.user, []).append(grant)
        self._tables: dict[str, Table] = {}
        self.foreign: dict[tuple[str, str, str, str], bool] = {}
        """What `rules.access_foreign` has found out."""

    def decide(self, event: AuditEvent, record: Record) -> Decision:
        """What the model says of an event, as of the event's time."""
        if not self.observed:
            return NOT_DECLARED
        table = self.table(event.actor.id)
        if table is None:
            return self._of_stranger(event, record)
        if event.outcome == "denied":
            return DENIED
        if table.person.end_date is not None and _after_end(table.person, event):
            return AFTER_END
        what = asked(event, record)
        if what is None:
            return NOT_MODELLED
        if what.system == "k8s" and "impersonatedUser" in record:
            return self._impersonated(table, what, event, record)
        return self.judge(table, what, event, record)

    def judge(self, table: Table, what: Asked, event: AuditEvent, record: Record) -> Decision:
        """What the model says of one permission in somebody's hands."""
        resource = what.resource
        try:
            found = table.found[what.system][what.account][what.action]
        except KeyError:
            found = table.look_up(what)
        if found.always:
            return PERMITTED
        for lasting in found.lasting:
            if not resource or lasting.match(resource):
                return PERMITTED
        for start, end, on in found.dated:
            if start <= event.time <= end and (on is None or not resource or on.match(resource)):
                return PERMITTED
        return self._closer(table, what, found.all, (event, record))

    def table(self, principal: str) -> Table | None:
        """What a declared person may do; None for anybody else."""
        table = self._tables.get(principal)
        if table is None:
            person = self.context.people.by_id.get(principal)
            if person is not None:
                table = self._tables[principal] = Table(person, self.book)
        return table

    def is_observed(self, what: Asked) -> bool:
        """Whether any role speaks of this system and account."""
        accounts = self.observed.get(what.system)
        return accounts is not None and ("" in accounts or not what.account or what.account in accounts)

    def is_sensitive(self, what: Asked) -> bool:
        """Whether the company calls the resource sensitive."""
        globs = self._sensitive.get(what.system)
        return globs is not None and bool(what.resource) and what.resource != WHOLE and globs.match(what.resource)

    def permitting(self, event: AuditEvent, record: Record) -> list[Holding]:
        """Every role that permits an event, for those who count what is used."""
        table, what = self.table(event.actor.id), asked(event, record)
        if table is None or what is None:
            return []
        return self.reaching(table, what, event, record)

    def allowing(self, event: AuditEvent, record: Record) -> list[Holding]:
        """Every role of its actor's, whenever it is held, that allows an event under its conditions."""
        table, what = self.table(event.actor.id), asked(event, record)
        if table is None or what is None:
            return []
        seen = event, record
        allowing = _reaching(table.find(what), what, seen)
        return [each for each in allowing if not self._unmet(each, table.person, what, seen)]

    def reaching(self, table: Table, what: Asked, event: AuditEvent, record: Record = NO_RECORD) -> list[Holding]:
        """The holdings that permit one permission at an event's time, their conditions aside."""
        reaching = _reaching(table.find(what), what, (event, record))
        return [each for each in _live(reaching, event.time) if not each.flaw]

    def _impersonated(self, table: Table, what: Asked, event: AuditEvent, record: Record) -> Decision:
        """Who acts as somebody must be allowed to, and the other what was done."""
        right = Asked("k8s", what.account, "impersonate users", WHOLE)
        decision = self.judge(table, right, event, NO_RECORD)
        other = self.table(event.target.id) if event.target else None
        if decision.kind not in ("permitted", "break_glass") or other is None:
            return decision
        return self.judge(other, what, event, record)

    def _closer(self, table: Table, what: Asked, matches: tuple[Match, ...], seen: Seen) -> Decision:
        """The same where no plain role permits: other names, conditions, role sessions, tests, what has ended."""
        if not self.is_observed(what):
            return NOT_DECLARED
        event, record = seen
        reaching = _reaching(matches, what, seen) if matches else []
        refused: list[tuple[Holding, str]] = []
        for holding in reaching:
            if holding.holds(event.time):
                why = holding.flaw or self._unmet(holding, table.person, what, seen)
                if not why:
                    return Decision("break_glass" if holding.role.break_glass else "permitted", "", what, holding)
                refused.append((holding, why))
        if what.system == "aws" and record and self._by_session(table, what, event, record):
            return Decision("permitted", "assumed", what)
        if self._windows and self._is_tested(table.person, what, event):
            return Decision("permitted", "pentest", what)
        if event.outcome == "failure":
            return DENIED
        return _short(what, reaching, refused, event.time) if reaching else Decision("undeclared", "", what)

    def _unmet(self, holding: Holding, person: Person, what: Asked, seen: Seen) -> str | None:
        if holding.conditions is None:
            return None
        return unmet(holding.conditions, Facts(*seen, person, self.context, self.is_sensitive(what)))

    def _by_session(self, table: Table, what: Asked, event: AuditEvent, record: Record) -> bool:
        """Whether an AWS role allows it that the person may assume and in whose session it was done."""
        name, arn = assumed_role(record)
        rows = [row for row in self.book.called(name) if row.system == "aws"] if name else []
        return bool(rows) and self._may_assume(table, arn, event.time) and any(_allows(row, what) for row in rows)

    def _may_assume(self, table: Table, arn: str, time: int) -> bool:
        what = Asked("aws", "", "sts:assumerole", arn)
        matches = [holding for holding, on in table.find(what) if on is None or on.match(arn)]
        return any(not holding.flaw for holding in _live(matches, time))

    def _is_tested(self, person: Person, what: Asked, event: AuditEvent) -> bool:
        for window in self._windows:
            if not window.start <= event.time <= window.end or self.book.is_off(window, event.time):
                continue
            if person.id in window.testers:
                here = event.source_ip is not None and in_networks(event.source_ip, window.source_ranges)
                if here and self._in_scope(window.scope, what):
                    return True
        return False

    def _in_scope(self, scope: tuple[str, ...], what: Asked) -> bool:
        names = {name for name, number in self.context.declared.company.aws_accounts.items() if number == what.account}
        words = {what.system, what.account, *names}
        return any(system_of(one) in words or Globs([one]).match(what.resource) for one in scope)

    def _of_stranger(self, event: AuditEvent, record: Record) -> Decision:
        """What is said of somebody nobody declared."""
        if not self.context.people.by_id or event.actor.identity == "anonymous" or is_vendors_own(event):
            return NOT_DECLARED
        what = asked(event, record)
        if what is None:
            return NOT_MODELLED
        if not self.is_observed(what):
            return NOT_DECLARED
        return DENIED if event.outcome in ("denied", "failure") else Decision("undeclared", "stranger", what)


@lru_cache(maxsize=2)
def access_of(context: Context) -> Access:
    """The model of a context; the two used last are kept."""
    return Access(context)


def _after_end(person: Person, event: AuditEvent) -> bool:
    end = person.end_date
    if end is None or event.time <= end - DAY or event.outcome == "failure" or event.actor.identity == "anonymous":
        return False
    return employment(person, event.time) == "ended"


def _found(matches: tuple[Match, ...]) -> Found:
    plain = [(holding.start - GRACE, holding.end, on) for holding, on in matches if holding.plain]
    lasting = [on for start, end, on in plain if start < ALWAYS and end == FOREVER]
    dated = tuple(span for span in plain if span[0] > ALWAYS or span[1] != FOREVER)
    return Found(None in lasting, tuple(on for on in lasting if on is not None), dated, matches)


def _live(holdings: list[Holding], time: int) -> list[Holding]:
    return [holding for holding in holdings if holding.holds(time)]


def _short(what: Asked, reaching: list[Holding], refused: list[tuple[Holding, str]], time: int) -> Decision:
    """Why nothing permits it: a condition, a flawed grant, one that has ended or not begun, nothing at all."""
    if refused:
        holding, why = refused[0]
        cause: Cause = "condition" if not holding.flaw else "self_granted" if "themselves" in why else "unapproved"
        return Decision("undeclared", cause, what, holding, why)
    ended = [holding for holding in reaching if holding.end < time]
    if ended:
        return Decision("expired", "", what, max(ended, key=lambda holding: holding.end))
    return Decision("undeclared", "early", what, min(reaching, key=lambda holding: holding.start))


def _reaching(matches: tuple[Match, ...], what: Asked, seen: Seen) -> list[Holding]:
    """The holdings that allow the deed, whenever they are held."""
    resource = what.resource
    if not resource:
        return [holding for holding, _ in matches]
    names = more_names(*seen)
    return [
        holding for holding, on in matches if on is None or on.match(resource) or (names and any(map(on.match, names)))
    ]


def _allows(row: Row, what: Asked) -> bool:
    if not _same(row.account, what.account):
        return False
    return any(one.on is None or not what.resource or one.on.match(what.resource) for one in row.of(what.action))


def _same(account: str, other: str) -> bool:
    return not account or not other or account == other
