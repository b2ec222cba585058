"""Who is behind the names in logs: how each account was resolved, how surely, and what ought to be declared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import orjson

from audit.context import Context
from audit.context_people import Ids, People, system_of
from audit.event import MICROSECONDS, AuditEvent, Identity
from audit.identity import Evidence, evidence
from audit.sources import SOURCES
from audit.sources.fields import Unreadable

HOURS_OF_PROGRAM = 16
"""Hours of the day in which a program is at work and hardly a person is."""
LEAST_EVENTS, LEAST_DAYS = 50, 3
MOST_ACCOUNTS = 100_000
"""Accounts kept apart; those beyond are counted only."""
_HOUR, _DAY = 3_600 * MICROSECONDS, 86_400 * MICROSECONDS
_BROWSER = "Mozilla/"


class Account(msgspec.Struct, frozen=True):
    """A vendor's name for an actor, and whose it was taken for. `people` are those it may belong to when ambiguous.

    `mail` is the e-mail the vendor says stands behind it; `program` that it is used as only programs are.
    """

    source: str
    name: str
    principal: str
    kind: str
    identity: Identity
    declared: bool
    events: int
    how: tuple[str, ...]
    people: tuple[str, ...] = ()
    program: bool = False
    mail: str = ""


class Clue(msgspec.Struct, frozen=True):
    """One thing a record says of its actor, and whom it points to."""

    what: str
    people: tuple[str, ...]
    proves: bool
    mail: str = ""

    def __str__(self) -> str:
        to = " or ".join(self.people) or "nobody declared"
        return f"{self.what}: {to}{'' if self.proves else ' (chosen by the caller: proves nothing alone)'}"


class Asked(People):
    """The declared people, remembering what was asked of them."""

    def __init__(self, people: People) -> None:
        self._people = people
        self.by_id, self.accounts = people.by_id, people.accounts
        self.asked: dict[str, Ids] = {}
        self.mails: dict[str, str] = {}

    def named(self, system: str, name: str) -> Ids:
        """See People."""
        return self._note(f"name {name} in {system}", self._people.named(system, name))

    def exact(self, system: str, name: str) -> Ids:
        """See People."""
        return self._note(f"id {name} in {system}", self._people.exact(system, name))

    def of_access_key(self, key: str) -> Ids:
        """See People."""
        return self._note(f"access key {key}", self._people.of_access_key(key)) if key else frozenset()

    def called(self, name: str) -> Ids:
        """See People."""
        what = f"e-mail or id {name}"
        if "@" in name:
            self.mails[what] = name.lower()
        return self._note(what, self._people.called(name))

    def _note(self, what: str, found: Ids) -> Ids:
        self.asked[what] = found
        return found


def clues_of(event: AuditEvent, context: Context) -> list[Clue]:
    """What an event's record says of its actor, as `audit.identity` weighs it."""
    vendors = _as_the_vendor_says(event)
    if vendors is None:
        return []
    asked = Asked(context.people)
    found: Evidence = evidence(vendors, orjson.loads(event.raw), asked)
    firm = frozenset().union(*found.firm)
    clues = [
        Clue(what, tuple(sorted(people)), not people or people <= firm, asked.mails.get(what, ""))
        for what, people in asked.asked.items()
    ]
    token = context.tokens.of(event.source, orjson.loads(event.raw), event.time) if context.tokens else None
    if token:
        named = context.people.called(token.name)
        clues.append(Clue(token.flaw or f"signed token of {token.name}", tuple(sorted(named)), not token.flaw))
    return clues


def _as_the_vendor_says(event: AuditEvent) -> AuditEvent | None:
    """The event before anybody was identified; None where its record cannot be read again (it was trimmed)."""
    try:
        made = SOURCES[event.source](orjson.loads(event.raw), event.raw)
    except (KeyError, ValueError, Unreadable):
        return None
    return next((one for one in made if one.actor.name == event.actor.name), None)


@dataclass(slots=True)
class _Seen:
    first: AuditEvent
    events: int = 0
    hours: set[int] = field(default_factory=set)
    days: set[int] = field(default_factory=set)
    browser: bool = False


@dataclass(slots=True)
class Report:
    """Accounts by how many events they have; `identities` counts events by certainty, `resolved` those of people
    declared, `left_out` accounts beyond MOST_ACCOUNTS."""

    accounts: list[Account] = field(default_factory=list)
    identities: Counter[str] = field(default_factory=Counter)
    events: int = 0
    resolved: int = 0
    left_out: int = 0

    @property
    def ambiguous(self) -> list[Account]:
        """Accounts that may belong to several people, or of whom the evidence contradicts itself."""
        return [account for account in self.accounts if account.identity == "ambiguous"]

    @property
    def undeclared(self) -> list[Account]:
        """Accounts of nobody the context names."""
        return [each for each in self.accounts if not each.declared and each.identity not in ("ambiguous", "anonymous")]

    @property
    def programs(self) -> list[Account]:
        """People's accounts that are used day and night without a browser: a program has somebody's name."""
        return [each for each in self.accounts if each.declared and each.program and each.kind != "service"]


def report(events: Iterable[AuditEvent], context: Context) -> Report:
    """Every account in the events, resolved under the context they were read with."""
    made = Report()
    seen: dict[tuple[str, str, str], _Seen] = {}
    for event in events:
        made.events += 1
        made.identities[event.actor.identity] += 1
        made.resolved += event.actor.id in context.people.by_id
        key = (event.source, event.actor.name, event.actor.id)
        if key not in seen and len(seen) >= MOST_ACCOUNTS:
            made.left_out += 1
            continue
        _watch(seen.setdefault(key, _Seen(event)), event)
    ordered = sorted(seen.values(), key=lambda one: (-one.events, one.first.source, one.first.actor.name))
    made.accounts = [_account(one, context) for one in ordered]
    return made


def _watch(seen: _Seen, event: AuditEvent) -> None:
    seen.events += 1
    seen.hours.add(event.time // _HOUR % 24)
    if len(seen.days) < LEAST_DAYS:
        seen.days.add(event.time // _DAY)
    seen.browser = seen.browser or (event.user_agent or "").startswith(_BROWSER)


def _account(seen: _Seen, context: Context) -> Account:
    event = seen.first
    clues = clues_of(event, context)
    owners = {person for clue in clues for person in clue.people}
    lively = seen.events >= LEAST_EVENTS and len(seen.days) >= LEAST_DAYS
    return Account(
        source=event.source,
        name=event.actor.name,
        principal=event.actor.id,
        kind=event.actor.kind,
        identity=event.actor.identity,
        declared=event.actor.id in context.people.by_id,
        events=seen.events,
        how=tuple(str(clue) for clue in clues if clue.people) or ("the name alone",),
        people=tuple(sorted(owners)) if event.actor.identity == "ambiguous" else (),
        program=lively and len(seen.hours) >= HOURS_OF_PROGRAM and not seen.browser,
        mail=next((clue.mail for clue in clues if clue.mail), ""),
    )


def proposals(accounts: Iterable[Account]) -> str:
    """Rows for the context's `users`, one for each name nobody declared, programs as services: for people to complete.

    Accounts with one e-mail behind them, and the same name in several systems, are one row: whoever takes it over says
    that it is one person.
    """
    rows: defaultdict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        rows[account.mail or _own(account).lower()].append(account)
    ordered = sorted(rows.values(), key=lambda row: (not _is_service(row), -sum(each.events for each in row)))
    return "\n".join(["users:", *(line for row in ordered for line in _row(row))])


def _row(accounts: Sequence[Account]) -> list[str]:
    names: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for account in accounts:
        names[system_of(account.source)][_pattern(_own(account))] = None
    identities = ", ".join(f"{system}: [{', '.join(map(_quoted, each))}]" for system, each in sorted(names.items()))
    more = ["    kind: service", "    owner:  # who answers for it?"] if _is_service(accounts) else ["    name:"]
    events = sum(account.events for account in accounts)
    own = accounts[0].mail or _own(accounts[0])
    return [f"  - id: {_quoted(own)}  # {events} events", *more, f"    identities: {{{identities}}}"]


def _is_service(accounts: Sequence[Account]) -> bool:
    return any(account.program or account.kind == "service" for account in accounts)


def _own(account: Account) -> str:
    """The principal's name without its system."""
    return account.principal.partition(":")[2] or account.name


def _pattern(name: str) -> str:
    """A role is whoever assumes it: any session of it."""
    role = name.partition(":assumed-role/")[2]
    return f"{name}/*" if role and "/" not in role else name


def _quoted(text: str) -> str:
    """A text as YAML reads it back and a terminal may show it: JSON is YAML, and what is invisible is escaped."""
    quoted = orjson.dumps(text).decode()
    return quoted if quoted.isprintable() else "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
