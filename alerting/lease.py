"""Who delivers: of all that share an outbox, the one that holds its lease."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from alerting.store import AlertStore, StoreUnavailable
from audit.event import MICROSECONDS

LEASE = 12.0
"""Seconds without a renewal until another may deliver."""
CALL = 10.0
"""Seconds one call to Slack or a webhook may take: who begins one has the lease for so long."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """The lease of an outbox, as `owner` holds it; `clock` gives microseconds since the epoch."""

    store: AlertStore
    owner: str
    clock: Callable[[], int]
    until: int = 0
    waiting: bool = False

    async def hold(self) -> bool:
        """Takes or renews it; False while another delivers, which the log says once.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        until = self.clock() + round(LEASE * MICROSECONDS)  # reckoned from before the question: never too long
        held = await self.store.hold(self.owner, LEASE, self.clock())
        self.until = until if held else 0
        if held == self.waiting:
            self.waiting = not held
            _log.warning("delivering now" if held else "another dispatcher delivers from this outbox: waiting for it")
        return held

    async def sure(self) -> bool:
        """Whether a call that begins now ends before another may deliver: a process that was frozen finds out here.

        Renews the lease where little of it is left, and never takes one that ran out: somebody may have had it since.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        until = self.until
        if self.clock() + round(CALL * MICROSECONDS) < until:
            return True
        return self.clock() < until and await self.hold() and self.clock() < until

    async def release(self) -> None:
        """Gives it back; where the store is away it runs out by itself."""
        with suppress(StoreUnavailable):
            await self.store.release(self.owner)
