"""The outbox in memory."""

# ruff: noqa: D102 - the Protocol documents the methods

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

import msgspec

from alerting import label_store
from alerting.alert import Alert, gravity
from alerting.case import Case, case_of
from alerting.notice import is_notice
from alerting.notifier import Begun, Receipt
from alerting.store import MOST_OWED, Entries, Entry, Failure, Labels
from audit.event import MICROSECONDS
from audit.finding import SEVERITIES

_MOST_PURSES = 1_000


class MemoryAlertStore:
    """The outbox of tests, demos and replay; it keeps the last `delivered_kept` delivered alerts."""

    def __init__(self, delivered_kept: int = 10_000) -> None:
        self._entries: dict[str, Entry] = {}
        self._delivered: dict[str, None] = {}
        self._purses: dict[str, set[str]] = {}
        self._labels = label_store.MemoryLabels()
        self._delivered_kept = delivered_kept
        self._owed: dict[str, bytes] = {}
        self._lease = ("", 0)  # whose, until when

    async def put(self, alert: Alert) -> bool:
        old = self._entries.get(alert.id)
        if old is None:
            self._entries[alert.id] = Entry(alert)
            self._labels.note(alert, case_of(alert))
            return True
        if old.alert.revision >= alert.revision:
            return False
        graver = SEVERITIES.index(alert.severity) > SEVERITIES.index(old.alert.severity)
        not_before = 0 if graver else old.not_before
        self._entries[alert.id] = msgspec.structs.replace(old, alert=alert, not_before=not_before)
        self._delivered.pop(alert.id, None)
        self._labels.note(alert, case_of(alert))
        return True

    async def due(self, limit: int, now: int) -> Entries:
        open_ = [self._woken(entry) if entry.not_before <= now else entry for entry in self._undelivered()]
        return sorted(open_, key=_order)[:limit]

    async def receipt(self, alert_id: str, receipt: Receipt) -> None:
        entry = self._entries.get(alert_id)
        if entry is None:
            return
        if entry.receipt and entry.receipt.revision > receipt.revision:
            receipt = entry.receipt
        entry = self._entries[alert_id] = Entry(entry.alert, receipt, moved=entry.moved)
        if entry.settled:
            self._delivered[alert_id] = None
            self._forget()

    async def begin(self, alert_id: str, begun: Begun, before: Begun | None) -> bool:
        entry = self._entries.get(alert_id)
        if entry is None or entry.receipt or before != entry.begun:
            return False
        self._entries[alert_id] = msgspec.structs.replace(entry, begun=begun)
        return True

    async def lost(self, alert_id: str, shown: Receipt | None = None) -> None:
        entry = self._entries.get(alert_id)
        if entry and (shown is None or (entry.receipt and entry.receipt.place == shown.place)):
            self._entries[alert_id] = msgspec.structs.replace(entry, receipt=None, begun=None)
            self._delivered.pop(alert_id, None)

    async def failed(self, alert_id: str, revision: int, failure: Failure) -> None:
        entry = self._entries.get(alert_id)
        sent = entry.receipt.revision if entry and entry.receipt else -1
        if entry and alert_id not in self._delivered and sent <= revision:
            begun = entry.begun if failure.unsure else None
            after = (entry.failures + 1, failure.retry_at, failure.error or "unknown", begun, entry.moved)
            self._entries[alert_id] = Entry(entry.alert, entry.receipt, *after)

    async def postpone(self, alert_id: str, until: int) -> None:
        entry = self._entries.get(alert_id)
        if entry and alert_id not in self._delivered:
            self._entries[alert_id] = msgspec.structs.replace(entry, not_before=until)

    async def wake(self) -> None:
        for entry in self._undelivered():
            self._entries[entry.alert.id] = self._woken(entry)

    async def get(self, alert_id: str) -> Entry | None:
        return self._entries.get(alert_id)

    async def case(self, alert_id: str) -> Case | None:
        return self._entries[alert_id].case if alert_id in self._entries else None

    async def save_case(self, case: Case) -> bool:
        entry = self._entries.get(case.alert_id)
        if entry is None or entry.case.version != case.version - 1:
            return False
        posted = entry.receipt is not None and entry.receipt.posted
        not_before = 0 if posted else entry.not_before
        self._entries[case.alert_id] = msgspec.structs.replace(entry, moved=case, not_before=not_before)
        if posted:
            self._delivered.pop(case.alert_id, None)
        self._labels.note(entry.alert, case)
        return True

    async def list(self, limit: int) -> Entries:
        alerts = [entry for entry in self._entries.values() if not is_notice(entry.alert)]
        return sorted(alerts, key=lambda entry: (-entry.alert.time, entry.alert.id))[:limit]

    async def spend(self, purse: str, alert_id: str, limit: int) -> bool:
        if len(self._purses) >= _MOST_PURSES and purse not in self._purses:
            del self._purses[next(iter(self._purses))]
        taken = self._purses.setdefault(purse, set())
        if len(taken) < limit:
            taken.add(alert_id)
        return alert_id in taken

    async def spent(self, purse: str) -> int:
        return len(self._purses.get(purse, ()))

    async def labels(self, since: int = 0) -> Labels:
        return self._labels.since(since)

    async def owe(self, name: str, what: bytes) -> bool:
        if len(self._owed) >= MOST_OWED and name not in self._owed:
            return False
        self._owed[name] = what
        return True

    async def owed(self, limit: int) -> dict[str, bytes]:
        return dict(islice(self._owed.items(), limit))

    async def paid(self, names: Collection[str]) -> None:
        for name in names:
            self._owed.pop(name, None)

    async def hold(self, owner: str, seconds: float, now: int) -> bool:
        holder, until = self._lease
        if holder != owner and now < until:
            return False
        self._lease = owner, now + round(seconds * MICROSECONDS)
        return True

    async def release(self, owner: str) -> None:
        if self._lease[0] == owner:
            self._lease = ("", 0)

    def _undelivered(self) -> Entries:
        return [entry for alert_id, entry in self._entries.items() if alert_id not in self._delivered]

    def _woken(self, entry: Entry) -> Entry:
        return msgspec.structs.replace(entry, not_before=0)

    def _forget(self) -> None:
        while len(self._delivered) > self._delivered_kept:
            oldest = next(iter(self._delivered))
            del self._delivered[oldest], self._entries[oldest]


def _order(entry: Entry) -> tuple[int, tuple[int, int, str] | str]:
    """What is ready by gravity, then what waits by the end of its wait."""
    return entry.not_before, entry.alert.id if entry.not_before else gravity(entry.alert)
