"""What to deliver now, what waits and what goes elsewhere: decided in one place, without clock or network."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alerting.alert import EXPLAINED, gravity
from alerting.ask_notice import is_question
from alerting.mute import Mute
from alerting.notice import is_notice, place
from alerting.route import HOUR, Plan, Route, Routing
from alerting.route_time import day_of, quiet_until
from alerting.store import Entry
from audit.event import MICROSECONDS
from audit.finding import Severity, at_least

UPDATE_EVERY = 30 * MICROSECONDS
"""A message is edited at most this often, unless the alert became graver or its case moved: however many hits a minute
brings, its channel sees three calls at most (a message, a file, an edit)."""


SETTLE = 2 * MICROSECONDS
"""How long after a delivery with an open end one waits before looking whether it arrived: it may be on its way."""

UNLIMITED = 2**53


class Budget(msgspec.Struct, frozen=True):
    """What a first message costs: a place among `limit` in a purse; where there is none it goes to the digest."""

    purse: str
    limit: int
    digest_due: int


class Deliver(msgspec.Struct, frozen=True):
    """Show this now; an empty `channel` leaves it to the notifier."""

    entry: Entry
    channel: str = ""
    budget: Budget | None = None


class Wait(msgspec.Struct, frozen=True):
    """Leave this until `until` (microseconds since the epoch). `planned`: its time is to come, nothing failed."""

    entry: Entry
    until: int
    planned: bool = False


class Gather(msgspec.Struct, frozen=True):
    """Put this into the digest of a channel that is due then (microseconds since the epoch)."""

    entry: Entry
    channel: str
    due: int


class Silence(msgspec.Struct, frozen=True):
    """Keep this and tell nobody: somebody muted it."""

    entry: Entry
    mute: Mute


class Keep(msgspec.Struct, frozen=True):
    """Keep this and tell nobody: declared paper explains it."""

    entry: Entry


class Ask(msgspec.Struct, frozen=True):
    """Keep this and tell nobody, but ask whom the routes name: a change that nothing explains, and no more."""

    entry: Entry


class Renew(msgspec.Struct, frozen=True):
    """It was gathered, muted or explained and now deserves a message of its own: forget that it was dealt with."""

    entry: Entry


Action = Deliver | Wait | Gather | Silence | Keep | Ask | Renew


def decide(entries: Iterable[Entry], now: int, routing: Routing | None = None) -> list[Action]:
    """An action for each entry, gravest first, then oldest. `now` is in microseconds since the epoch."""
    ordered = sorted(entries, key=lambda entry: gravity(entry.alert))
    return [_action(entry, now, routing or _NOWHERE) for entry in ordered]


def _action(entry: Entry, now: int, routing: Routing) -> Action:
    until = max(entry.not_before, _next_update(entry), _settled(entry))
    if is_notice(entry.alert):
        if entry.alert.time > now:
            return Wait(entry, entry.alert.time, planned=True)
        return Wait(entry, until) if until > now else Deliver(entry, place(entry.alert))
    if entry.alert.resolution == EXPLAINED and entry.case.status == "resolved" and not _maybe_seen(entry):
        return Keep(entry)
    plan = routing.plan(entry.alert, now)
    if not _maybe_seen(entry):
        if plan.mute:
            return Silence(entry, plan.mute)
        if entry.alert.quiet and entry.case.status != "reopened":
            return Ask(entry)
        if plan.quiet_until > now and not plan.gathered(entry.alert.severity):
            return Wait(entry, plan.quiet_until, planned=True)
    if until > now:
        return Wait(entry, until)
    return Deliver(entry, plan.route.channel) if _maybe_seen(entry) else _first(entry, plan, now, routing)


def _first(entry: Entry, plan: Plan, now: int, routing: Routing) -> Action:
    """What becomes of an alert that nobody has been shown yet."""
    alert, route = entry.alert, plan.route
    due = _digest_due(route, alert.severity, now)
    budget = _budget(route, alert.severity, due, day_of(now, routing.routes.timezone))
    if plan.gathered(alert.severity) or (entry.begun and budget and budget.limit < UNLIMITED):
        return Gather(entry, route.channel, due)
    return Renew(entry) if entry.begun or entry.receipt else Deliver(entry, route.channel, budget)


def _maybe_seen(entry: Entry) -> bool:
    """Whether people see a message of its own, or may see one."""
    if entry.receipt:
        return entry.receipt.posted
    return entry.begun is not None and not entry.begun.channel.startswith("digest:")


def _digest_due(route: Route, severity: Severity, now: int) -> int:
    """The next full span of time, or the end of the quiet hours it falls into."""
    every = route.digest.every if route.digest else HOUR
    due = (now // every + 1) * every
    return (quiet_until(route.quiet, severity, due) if route.quiet else 0) or due


def _budget(route: Route, severity: Severity, digest_due: int, day: str) -> Budget | None:
    """Critical alerts are counted and never held back."""
    if route.budget is None:
        return None
    return Budget(purse_of(route, day), UNLIMITED if severity == "critical" else route.budget, digest_due)


def purse_of(route: Route, day: str) -> str:
    """What the routes with a budget share that post to one channel on one day."""
    return f"{day}:{route.channel}"


def _settled(entry: Entry) -> int:
    """When it is clear whether what was begun has arrived: a message, or a reply in its thread."""
    if entry.receipt:
        return entry.receipt.at + SETTLE if entry.receipt.telling else 0
    return entry.begun.at + SETTLE if entry.begun else 0


def repeats(entry: Entry) -> bool:
    """Whether its message has only more to count: it is no graver, and nobody took a step of its case."""
    return _next_update(entry) > 0


def _next_update(entry: Entry) -> int:
    shown, version = entry.receipt, entry.case.version
    if shown is None or is_question(entry.alert) or not at_least(shown.severity, entry.alert.severity):
        return 0
    if version != shown.case_version or version != shown.told:  # who clicked sees it at once
        return 0
    return shown.at + UPDATE_EVERY


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: a quarter, a half, 1, 2 ... up to 5 minutes."""
    return float(min(2.0 ** (min(failures, 11) - 2), 300))


_NOWHERE = Routing()
