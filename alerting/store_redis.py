"""The outbox in Redis."""

# ruff: noqa: D102 - the Protocol documents the methods

from __future__ import annotations

from collections.abc import Awaitable, Collection
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from alerting import label_store
from alerting import store_scripts as scripts
from alerting.alert import Alert, from_line, to_line
from alerting.case import Case, case_of
from alerting.notice import is_notice
from alerting.notifier import Begun, Receipt
from alerting.store import MOST_OWED, Entries, Entry, Failure, Labels, StoreUnavailable
from audit.finding import SEVERITIES

DELIVERED_KEPT = 30 * 86_400
"""Seconds Redis keeps an alert after its newest revision was delivered; what is not delivered never expires."""
SPENT_KEPT = 3 * 86_400
"""Seconds Redis keeps what was spent of a day's budget."""
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
        self._owed = f"{{{prefix}}}:owed"
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

    async def begin(self, alert_id: str, begun: Begun, before: Begun | None) -> bool:
        known = msgspec.msgpack.encode(before) if before else ""
        return bool(await self._run(scripts.BEGIN, alert_id, msgspec.msgpack.encode(begun), known))

    async def lost(self, alert_id: str, shown: Receipt | None = None) -> None:
        await self._run(scripts.LOST, alert_id, alert_id, *(shown.place if shown else ()))

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

    async def owe(self, name: str, what: bytes) -> bool:
        return bool(await self._ask(self._client.eval(scripts.OWE, 1, self._owed, name, what, MOST_OWED)))

    async def owed(self, limit: int) -> dict[str, bytes]:
        names = await self._ask(self._client.hrandfield(self._owed, limit))
        values = await self._ask(self._client.hmget(self._owed, names)) if names else []
        return {name.decode(): what for name, what in zip(names, values, strict=True) if what is not None}

    async def paid(self, names: Collection[str]) -> None:
        if names:
            await self._ask(self._client.hdel(self._owed, *names))

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
