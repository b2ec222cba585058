"""The Ledger services write to: waits for the store a moment, keeps what it does not take, never raises."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from alerting.ledger import Decision, short
from alerting.ledger_store import LedgerAway
from audit.event import rfc3339

log = logging.getLogger("auditwatch.ledger")

MOST = 10_000
"""Decisions kept in memory while the store is away; the oldest stay, for they say how it began."""
BATCH = 256
PATIENCE = 0.5
"""Seconds a writer waits for its decision to be safe; while the store is away nobody waits."""
RETRY = 5.0
AGAIN = 0.5
"""Seconds until what was cancelled and goes on is cancelled again."""
LAST = 3.0
"""Seconds the end of a process waits for what is left."""


class Appends(Protocol):
    """What keeps decisions."""

    async def append(self, decisions: Sequence[Decision]) -> int:
        """Keeps those it has not yet. Raises LedgerAway."""
        ...


class LedgerWriter:
    """One a process. `lost` is told how many decisions had no room: they are in no ledger, but their number will be."""

    def __init__(self, store: Appends, lost: Callable[[int], None] = lambda _: None) -> None:
        self._store = store
        self._count_lost = lost
        self._waiting: deque[tuple[Decision, asyncio.Event]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._away = False
        self._gap = _Gap()

    async def write(self, decision: Decision) -> None:
        """See Ledger."""
        if len(self._waiting) >= MOST:
            self._lose(decision)
            return
        safe = asyncio.Event()
        self._waiting.append((decision, safe))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        if not self._away:
            with suppress(TimeoutError):
                await asyncio.wait_for(safe.wait(), PATIENCE)
            if not safe.is_set():
                self._is_away("the ledger does not answer")

    async def close(self) -> None:
        """Writes what is left, if that can be done within LAST seconds."""
        if self._task is not None:
            while not self._task.done():  # what it was writing is known by its id if it is written again
                self._task.cancel()  # which wait_for of Python 3.11, in redis-py, may swallow
                await asyncio.wait({self._task}, timeout=AGAIN)
        try:
            async with asyncio.timeout(LAST):
                await self._write_all()
        except (LedgerAway, TimeoutError):
            pass  # that it is away was said
        except Exception:
            log.exception("the ledger cannot be written")
        if self._waiting:
            left = [decision for decision, _ in self._waiting]
            log.error("%d decisions are in no ledger: %s", len(left), short(left))
            self._count_lost(len(left))

    async def _flush(self) -> None:
        while self._waiting:
            try:
                await self._write_all()
            except LedgerAway as error:
                self._is_away(str(error))
                await asyncio.sleep(RETRY)
            except Exception:  # a fault of ours must not end the writing for good
                log.exception("the ledger cannot be written")
                self._is_away("the ledger has a fault")
                await asyncio.sleep(RETRY)

    async def _write_all(self) -> None:
        while self._waiting:
            batch = [self._waiting[i][0] for i in range(min(BATCH, len(self._waiting)))]
            await self._store.append(batch)
            self._written(len(batch))

    def _written(self, number: int) -> None:
        if self._away:
            log.warning("the ledger is written again")
        self._away = False
        for _ in range(number):
            self._waiting.popleft()[1].set()
        if decision := self._gap.told():
            self._waiting.append((decision, asyncio.Event()))

    def _is_away(self, why: str) -> None:
        if not self._away:
            log.error("%s; decisions wait in memory, alerts go on", why)
        self._away = True

    def _lose(self, decision: Decision) -> None:
        if not self._gap.number:
            log.error("%d decisions wait for the ledger: until it is back, further ones are lost", MOST)
        self._gap.see(decision)
        self._count_lost(1)


class _Gap:
    """The decisions that had no room, since this was told last."""

    def __init__(self) -> None:
        self.number = 0
        self._first = self._last = 0
        self._by = ""

    def see(self, decision: Decision) -> None:
        self._first = decision.at if not self.number else self._first
        self._last, self._by = decision.at, decision.by
        self.number += 1

    def told(self) -> Decision | None:
        """The decision that tells of them, None where there are none; they are forgotten."""
        if not self.number:
            return None
        details = {"decisions": str(self.number), "since": rfc3339(self._first)}
        self.number = 0
        return Decision("ledger", "lost", self._last, self._by, details)
