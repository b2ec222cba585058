"""The outbox: what has to be told, what was told, and the cases. In memory and in Redis, with one contract."""

# ruff: noqa: D102 - the Protocol documents the methods

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal, Protocol, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from alerting import label_store
from alerting import store_scripts as scripts
from alerting.alert import Alert, from_line, gravity, to_line
from alerting.case import Case, case_of
from alerting.label import Label
from alerting.notice import is_notice
from alerting.notifier import Begun, Receipt
from audit.event import MICROSECONDS
from audit.finding import SEVERITIES

DELIVERED_KEPT = 30 * 86_400
"""Seconds Redis keeps an alert after its newest revision was delivered; what is not delivered never expires."""
SPENT_KEPT = 3 * 86_400
"""Seconds Redis keeps what was spent of a day's budget."""


class StoreUnavailable(Exception):
    """The store cannot be reached now; nothing is known about the last call, and repeating it is safe."""


class Entry(msgspec.Struct, frozen=True):
    """An alert in the outbox. `receipt` is of the last delivery; `not_before` (microseconds) ends a wait, 0 = none.

    `begun` says that a first delivery was begun and how it ended was never noted. `moved` is its case once somebody
    took a step.
    """

    alert: Alert
    receipt: Receipt | None = None
    failures: int = 0
    not_before: int = 0
    error: str = ""
    begun: Begun | None = None
    moved: Case | None = None

    @property
    def case(self) -> Case:
        """Where it stands."""
        return self.moved or case_of(self.alert)

    @property
    def settled(self) -> bool:
        """Whether people were told everything: the newest revision and, where there is a message, the newest case."""
        shown, version = self.receipt, self.case.version
        if shown is None or shown.revision < self.alert.revision:
            return False
        return not shown.posted or shown.case_version == shown.told == version


class Failure(msgspec.Struct, frozen=True):
    """A delivery that failed: why, when to try again (microseconds), whether people may have seen it all the same.

    `refused`: it will fail again until somebody mends something.
    """

    error: str
    retry_at: int
    unsure: bool = False
    refused: bool = False


Before = Begun | Literal["whatever"] | None
"""What `begin` must find: what the entry was read with; "whatever" is for what only one does at a time."""
Entries = list[Entry]
Labels = list[Label]


class AlertStore(Protocol):
    """Keeps the highest revision of each alert until it is delivered. Every method may be repeated without harm."""

    async def put(self, alert: Alert) -> bool:
        """Takes an alert in; False when this revision or a higher one is there already. Ends a wait if it is graver."""
        ...

    async def due(self, limit: int, now: int) -> Entries:
        """What is not delivered: first the ready, gravest then oldest first; then those waiting beyond `now`."""
        ...

    async def receipt(self, alert_id: str, receipt: Receipt) -> None:
        """Notes a delivery; the alert leaves the outbox unless it is not settled: more came in meanwhile."""
        ...

    async def begin(self, alert_id: str, begun: Begun, before: Before = "whatever") -> bool:
        """Notes that a first delivery begins: whoever finds this without a receipt looks before delivering again.

        False, and nothing noted, where it was shown meanwhile or another than `before` was begun: give way.
        """
        ...

    async def lost(self, alert_id: str) -> None:
        """Forgets the receipt: the message is gone, and the alert is delivered anew."""
        ...

    async def failed(self, alert_id: str, revision: int, failure: Failure) -> None:
        """Notes a failure to deliver this revision and puts the alert off."""
        ...

    async def postpone(self, alert_id: str, until: int) -> None:
        """Puts an alert off until `until` (microseconds); nothing failed."""
        ...

    async def wake(self) -> None:
        """Ends every wait: for a dispatcher that starts, perhaps after somebody mended something."""
        ...

    async def get(self, alert_id: str) -> Entry | None:
        """One alert, delivered or not."""
        ...

    async def case(self, alert_id: str) -> Case | None:
        """Where an alert stands; None when there is no such alert."""
        ...

    async def save_case(self, case: Case) -> bool:
        """Writes a case if the stored one is exactly one version older; False tells the caller to read again.

        An alert that has a message is due again: the message shows where it stands.
        """
        ...

    async def list(self, limit: int) -> Entries:
        """The newest alerts by their time, newest first; notices are left out."""
        ...

    async def spend(self, purse: str, alert_id: str, limit: int) -> bool:
        """Whether a message may be posted: it has its place in the purse, or takes one of the `limit` there are."""
        ...

    async def spent(self, purse: str) -> int:
        """How many messages took a place in a purse."""
        ...

    async def labels(self, since: int = 0) -> Labels:
        """The verdicts given since then (microseconds), oldest first; `save_case` and `put` write them."""
        ...

    async def hold(self, owner: str, seconds: float, now: int) -> bool:
        """Takes or renews the lease on delivering for so long; False while it is another's."""
        ...

    async def release(self, owner: str) -> None:
        """Gives the lease back, if it is this owner's."""
        ...


class MemoryAlertStore:
    """The outbox of tests, demos and replay; it keeps the last `delivered_kept` delivered alerts."""

    def __init__(self, delivered_kept: int = 10_000) -> None:
        self._entries: dict[str, Entry] = {}
        self._delivered: dict[str, None] = {}
        self._purses: dict[str, set[str]] = {}
        self._labels = label_store.MemoryLabels()
        self._delivered_kept = delivered_kept
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

    async def begin(self, alert_id: str, begun: Begun, before: Before = "whatever") -> bool:
        entry = self._entries.get(alert_id)
        if entry is None or entry.receipt or before not in ("whatever", entry.begun):
            return False
        self._entries[alert_id] = msgspec.structs.replace(entry, begun=begun)
        return True

    async def lost(self, alert_id: str) -> None:
        entry = self._entries.get(alert_id)
        if entry:
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


_MOST_PURSES = 1_000
_LATEST = 10**14 - 1
"""The last millisecond an order knows (year 5138): gravity and time share the 53 bits of a sorted set's score."""


class RedisAlertStore:
    """The outbox that survives: one hash an alert and three sorted sets, all under one hash tag `{prefix}`.

    The client must return bytes (decode_responses off). Scripts are atomic and safe to repeat, so a lost answer
    loses nothing. The index may name a few alerts more than there are: what expired is forgotten little by little.

    Raises, in every method:
        StoreUnavailable: when Redis cannot be reached or is not ready.
    """

    def __init__(self, client: Redis, prefix: str = "auditwatch:alerts") -> None:
        if client.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("RedisAlertStore needs a client with decode_responses=False")
        self._client = client
        self._root = f"{{{prefix}}}:alert:"
        self._sets = [f"{{{prefix}}}:{name}" for name in ("ready", "waiting", "index", "labels", "labelled")]
        self._purses = f"{{{prefix}}}:spent:"
        self._lease = f"{{{prefix}}}:lease"

    @classmethod
    def connect(cls, url: str, prefix: str = "auditwatch:alerts") -> RedisAlertStore:
        """A store on redis://, rediss:// or unix:// `url`; close it when done."""
        return cls(Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5), prefix)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def put(self, alert: Alert) -> bool:
        rank = SEVERITIES.index(alert.severity)
        time = min(max(alert.time // 1000, 0), _LATEST)
        order = (len(SEVERITIES) - 1 - rank) * (_LATEST + 1) + time
        listed = "" if is_notice(alert) else time
        values = (alert.id, alert.revision, rank, order, listed, to_line(alert), self._root)
        label = label_store.arguments(alert, case_of(alert))
        return bool(await self._run(label_store.LABEL + scripts.PUT, alert.id, *values, *label))

    async def due(self, limit: int, now: int) -> Entries:
        return self._entries(await self._run(scripts.DUE, "", now, limit))

    async def receipt(self, alert_id: str, receipt: Receipt) -> None:
        blob = msgspec.msgpack.encode(receipt)
        seen = (int(receipt.posted), receipt.case_version, receipt.told)
        await self._run(scripts.RECEIPT, alert_id, alert_id, receipt.revision, blob, DELIVERED_KEPT, *seen)

    async def begin(self, alert_id: str, begun: Begun, before: Before = "whatever") -> bool:
        known = before if before == "whatever" else msgspec.msgpack.encode(before) if before else ""
        return bool(await self._run(scripts.BEGIN, alert_id, msgspec.msgpack.encode(begun), known))

    async def lost(self, alert_id: str) -> None:
        await self._run(scripts.LOST, alert_id, alert_id)

    async def failed(self, alert_id: str, revision: int, failure: Failure) -> None:
        unsure = "unsure" if failure.unsure else ""
        error = failure.error or "unknown"
        await self._run(scripts.PUT_OFF, alert_id, alert_id, revision, failure.retry_at, error, unsure)

    async def postpone(self, alert_id: str, until: int) -> None:
        await self._run(scripts.PUT_OFF, alert_id, alert_id, 2**53, until, "", "")

    async def wake(self) -> None:
        await self._run(scripts.WAKE, "", "+inf")

    async def get(self, alert_id: str) -> Entry | None:
        found = self._entries([await self._ask(self._client.hmget(self._root + alert_id, scripts.COLUMNS))])
        return found[0] if found else None

    async def case(self, alert_id: str) -> Case | None:
        entry = await self.get(alert_id)
        return entry.case if entry else None

    async def save_case(self, case: Case) -> bool:
        entry = await self.get(case.alert_id)
        if entry is None:
            return False
        values = (case.version, msgspec.msgpack.encode(case), case.alert_id, *label_store.arguments(entry.alert, case))
        return bool(await self._run(label_store.LABEL + scripts.SAVE_CASE, case.alert_id, *values))

    async def list(self, limit: int) -> Entries:
        return self._entries(await self._run(scripts.LIST, "", limit))

    async def spend(self, purse: str, alert_id: str, limit: int) -> bool:
        key = self._purses + purse
        return bool(await self._ask(self._client.eval(scripts.SPEND, 1, key, alert_id, limit, SPENT_KEPT)))

    async def spent(self, purse: str) -> int:
        return int(await self._ask(self._client.scard(self._purses + purse)))

    async def labels(self, since: int = 0) -> Labels:
        *_, labels, labelled = self._sets
        found: Labels = []
        ids = await self._ask(self._client.zrangebyscore(labelled, since, "+inf"))
        for start in range(0, len(ids), label_store.PAGE):
            page = ids[start : start + label_store.PAGE]
            found += label_store.read(await self._ask(self._client.hmget(labels, page)))
        return found

    async def hold(self, owner: str, seconds: float, now: int) -> bool:
        """By the clock of Redis, whatever `now` says: it is one for all who ask."""
        lasting = round(seconds * 1000)
        return bool(await self._ask(self._client.eval(scripts.HOLD, 1, self._lease, owner, lasting)))

    async def release(self, owner: str) -> None:
        await self._ask(self._client.eval(scripts.RELEASE, 1, self._lease, owner))

    def _entries(self, rows: Any) -> Entries:
        return [_entry(*row) for row in rows if row[0] is not None]

    async def _run(self, script: str, alert_id: str, *values: str | int | bytes) -> Any:
        return await self._ask(self._client.eval(script, 6, self._root + alert_id, *self._sets, *values))

    async def _ask(self, call: Any) -> Any:
        try:
            return await cast(Awaitable[Any], call)
        except (RedisConnectionError, RedisTimeoutError, ReadOnlyError) as error:
            raise StoreUnavailable(f"Redis cannot keep alerts now ({error}); check AUDITWATCH_REDIS") from error


def _entry(alert: bytes, receipt: bytes | None, *rest: bytes | None) -> Entry:
    failures, not_before, error, begun, case = rest
    return Entry(
        alert=from_line(alert),
        receipt=msgspec.msgpack.decode(receipt, type=Receipt) if receipt else None,
        failures=int(failures or 0),
        not_before=int(not_before or 0),
        error=(error or b"").decode(errors="replace"),
        begun=msgspec.msgpack.decode(begun, type=Begun) if begun else None,
        moved=msgspec.msgpack.decode(case, type=Case) if case else None,
    )
