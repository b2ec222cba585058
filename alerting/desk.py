"""What to deliver now and what waits: decided in one place, without clock or network."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alerting.alert import gravity
from alerting.store import Entry
from audit.event import MICROSECONDS
from audit.finding import at_least

UPDATE_EVERY = 20 * MICROSECONDS
"""A message is edited at most this often (chat.update is limited), unless the alert became graver."""


SETTLE = 3 * MICROSECONDS
"""How long after a delivery with an open end one waits before looking whether it arrived: it may be on its way."""


class Deliver(msgspec.Struct, frozen=True):
    """Show this now."""

    entry: Entry


class Wait(msgspec.Struct, frozen=True):
    """Leave this until `until` (microseconds since the epoch)."""

    entry: Entry
    until: int


Action = Deliver | Wait


def decide(entries: Iterable[Entry], now: int) -> list[Action]:
    """An action for each entry, gravest first, then oldest. `now` is in microseconds since the epoch."""
    ordered = sorted(entries, key=lambda entry: gravity(entry.alert))
    return [_action(entry, now) for entry in ordered]


def _action(entry: Entry, now: int) -> Action:
    until = max(entry.not_before, _next_update(entry), _settled(entry))
    return Wait(entry, until) if until > now else Deliver(entry)


def _settled(entry: Entry) -> int:
    return entry.begun.at + SETTLE if entry.begun and not entry.receipt else 0


def _next_update(entry: Entry) -> int:
    shown = entry.receipt
    if shown is None or not at_least(shown.severity, entry.alert.severity):
        return 0
    return shown.at + UPDATE_EVERY


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 1, 2, 4 ... up to 5 minutes."""
    return float(min(2 ** min(failures, 9), 300))
