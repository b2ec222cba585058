"""Exceptions: who is excused from which rules, who answers for it, why, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from audit.event import MICROSECONDS, AuditEvent
from audit.finding import stable_id
from rules.closure import compiled
from rules.document import Document, Key, RuleError
from rules.leaf import Check
from rules.mapping import Lens
from rules.parsed import ParsedExcuse, named, seen
from rules.view import View

KEYS = ("id", "rules", "selection", "owner", "reason", "created", "expires", "ticket")
LONGEST_DAYS = 90


@dataclass(frozen=True, slots=True, eq=False)
class Excuse:
    """One exception. It holds for events before `expires` (microseconds); `checks` has its selection for each rule id.

    The selection is compiled for each rule it names: a field means what it means in that rule.
    """

    id: str
    owner: str
    reason: str
    ticket: str
    created: int
    expires: int
    path: Path
    line: int
    checks: Mapping[str, Check]

    def covers(self, rule_id: str, event: AuditEvent, record: Mapping[str, Any]) -> bool:
        """Whether it excuses this match of the rule. `record` is the event's decoded raw record."""
        holds = self.checks.get(rule_id)
        return holds is not None and event.time < self.expires and holds(View(event, record))


def expired(excuses: Iterable[Excuse], now: int) -> list[RuleError]:
    """What to say of the exceptions that have ended at `now` (microseconds)."""
    hint = "renew it with new dates, or delete it"
    return [
        RuleError(one.path, one.line, 1, f"the exception of {one.owner} ended on {_day(one.expires)}", hint)
        for one in excuses
        if one.expires <= now
    ]


def read_exceptions(document: Document, errors: list[RuleError]) -> list[int]:
    """The positions of the entries of a document that can be read; what is wrong with the others goes to `errors`."""
    errors += document.unknown_keys(("exceptions", "description"))
    given = document.data["exceptions"]
    if not isinstance(given, list):
        errors.append(document.error("exceptions must be a list", "begin each with - rules:", ["exceptions"]))
        return []
    return [position for position in range(len(given)) if not _wrong(document, position, errors)]


Excused = tuple[str, Lens]
"""The id of a rule or correlation, and how its rules see events."""


def excuses(parsed: Sequence[ParsedExcuse], known: Mapping[str, Excused], errors: list[RuleError]) -> list[Excuse]:
    """The exceptions, tied to the rules and correlations they name; `known` has these by name and by id."""
    made = [_excuse(one, known, errors) for one in parsed]
    return [one for one in made if one.checks]


def _excuse(parsed: ParsedExcuse, known: Mapping[str, Excused], errors: list[RuleError]) -> Excuse:
    document = parsed.document
    at: list[Key] = ["exceptions", parsed.position]
    entry = document.data["exceptions"][parsed.position]
    names = entry["rules"] if isinstance(entry["rules"], list) else [entry["rules"]]
    found = named(tuple(map(str, names)), known, lambda what, hint: document.error(what, hint, [*at, "rules"]), errors)
    checks: dict[str, Check] = {}
    for rule_id, lens in found:
        node = seen(lens, parsed.selection, document, [*at, "selection"], errors)
        try:
            checks.update({} if node is None else {rule_id: compiled(node)})
        except ValueError as error:
            errors.append(document.error(str(error), "", [*at, "selection"]))
    return Excuse(
        id=str(entry.get("id") or stable_id("exception", entry)),
        owner=entry["owner"],
        reason=entry["reason"],
        ticket=str(entry.get("ticket") or ""),
        created=_moment(entry["created"]) or 0,
        expires=_moment(entry["expires"]) or 0,
        path=document.path,
        line=document.place(at)[0],
        checks=checks,
    )


def _wrong(document: Document, position: int, errors: list[RuleError]) -> bool:
    at: list[Key] = ["exceptions", position]
    entry = document.data["exceptions"][position]
    if not isinstance(entry, dict):
        errors.append(document.error("an exception must be a mapping", "write rules:, selection:, owner: ...", at))
        return True
    wrong = document.unknown_keys(KEYS, at)
    wrong += [
        document.error(f"an exception needs {key}", hint, at) for key, hint in _NEEDED.items() if not entry.get(key)
    ]
    wrong += [
        document.error(f"{key} must be text", _NEEDED[key], [*at, key])
        for key in ("owner", "reason")
        if entry.get(key) and not isinstance(entry[key], str)
    ]
    errors += wrong or _wrong_dates(document, entry, at)
    return bool(wrong) or bool(_wrong_dates(document, entry, at))


_NEEDED = {
    "rules": "the names or ids of the rules it excuses from",
    "selection": "the events it excuses, as a selection of a rule",
    "owner": "who answers for it",
    "reason": "why these events are all right",
    "created": "the day it was written, 2026-03-02",
    "expires": f"the day it ends, at most {LONGEST_DAYS} days after created",
}


def _wrong_dates(document: Document, entry: Mapping[str, Any], at: list[Key]) -> list[RuleError]:
    created, expires = _moment(entry["created"]), _moment(entry["expires"])
    if created is None or expires is None:
        key = "created" if created is None else "expires"
        return [document.error(f"{key} must be a date", "write 2026-03-02", [*at, key])]
    days = (expires - created) / (86_400 * MICROSECONDS)
    if not 0 < days <= LONGEST_DAYS:
        what = "it ends before it begins" if days <= 0 else f"it lasts {days:.0f} days"
        return [document.error(what, f"at most {LONGEST_DAYS} days after created", [*at, "expires"])]
    return []


def _moment(value: object) -> int | None:
    """A date (its first moment in UTC) or a time in microseconds; None where it is neither."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if isinstance(read, date) and not isinstance(read, datetime):
        read = datetime(read.year, read.month, read.day, tzinfo=UTC)
    if not isinstance(read, datetime):
        return None
    return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()) * MICROSECONDS


def _day(time: int) -> str:
    return datetime.fromtimestamp(time / MICROSECONDS, UTC).strftime("%Y-%m-%d")
