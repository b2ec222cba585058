"""The watch over temporary access, live: what was known at the last look lies in Redis, whoever looks next.

The worker of partition 0 of audit.events looks. It tells and writes down before it keeps what it now knows: after a
crash the same is told again, under the same ids.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import msgspec

from alerting.alert import Alert
from alerting.ledger import Ledger
from audit.context_people import system_of
from rules.access_use import Used
from streams.detections import Detections
from streams.grant_words import TOLD, alert_of, decision_of
from streams.grants import Known, Watched
from streams.kafka import partition_of
from streams.principal import granted_in, memory_key
from streams.store import StateStore

log = logging.getLogger("auditwatch.grants")

KEY = "auditwatch:{grants}"
AT = b"at"
"""The field of the last look's time; the others are grants by their code."""
Tell = Callable[[Alert], Awaitable[None]]


class GrantWatch:
    """Tells of temporary access that has ended, and keeps its life in the ledger. `redis` returns bytes."""

    def __init__(self, redis: Any, states: StateStore, partitions: int, tell: Tell, ledger: Ledger, by: str) -> None:
        """`states` are those of score, over so many partitions; decisions are signed `by`."""
        self._redis = redis
        self._states = states
        self._partitions = partitions
        self._tell = tell
        self._ledger = ledger
        self._by = by

    async def look(self, detections: Detections, now: int, sources: Collection[str]) -> None:
        """Looks at `now` (µs of event time, all of which score has folded); anything came in from these sources.

        Raises:
            RedisError: it is all looked at again next time.
        """
        context = detections.context
        known = await self._known()
        uses = await self._uses(known.wanted(context, now))
        heard = frozenset(map(system_of, sources))
        for news in known.look(context, now, uses, heard):
            await self._ledger.write(decision_of(news, time.time_ns() // 1000, self._by))
            if news.step in TOLD:
                await self._tell(alert_of(news, detections.version))
        await self._keep(known)

    async def _known(self) -> Known:
        stored: Mapping[bytes, bytes] = await self._redis.hgetall(KEY)
        known = Known(at=int(stored.get(AT, 0)))
        for field, value in stored.items():
            if field == AT:
                continue
            try:
                known.grants[int(field)] = _WATCHED.decode(value)
            except (ValueError, msgspec.MsgspecError) as error:
                log.error("what was known of a grant cannot be read (%s): it begins anew", error)
        return known

    async def _uses(self, users: Collection[str]) -> dict[str, list[Used]]:
        names = sorted(users)
        wanted = [(partition_of(name, self._partitions), memory_key(name)) for name in names]
        found: dict[str, list[Used]] = {}
        for name, memory in zip(names, await self._states.load(wanted) if wanted else [], strict=True):
            try:
                found[name] = granted_in(memory)
            except (ValueError, msgspec.MsgspecError) as error:
                log.error("what %s did under grants cannot be read (%s)", name, error)
        return found

    async def _keep(self, known: Known) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(KEY, AT, known.at)
            for code in known.changed:
                grant = known.grants.get(code)
                if grant is None:
                    pipe.hdel(KEY, code)
                else:
                    pipe.hset(KEY, code, _ENCODE(grant))
            await pipe.execute()


_ENCODE = msgspec.msgpack.Encoder().encode
_WATCHED = msgspec.msgpack.Decoder(Watched)
