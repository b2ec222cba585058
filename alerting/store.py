"""The outbox: what has to be told, what was told, and the cases.

Kept in memory (alerting/store_memory.py) or in Redis (alerting/store_redis.py), with one contract.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

from alerting.alert import Alert
from alerting.case import Case, case_of
from alerting.label import Label
from alerting.notifier import Begun, Receipt


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


MOST_OWED = 10_000
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

    async def begin(self, alert_id: str, begun: Begun, before: Begun | None) -> bool:
        """Notes that a first delivery begins: whoever finds this without a receipt looks before delivering again.

        `before` is what the entry was read with. False, and nothing noted, where it was shown meanwhile or another was
        begun: give way.
        """
        ...

    async def lost(self, alert_id: str, shown: Receipt | None = None) -> None:
        """Forgets the receipt: the message is gone, and the alert is delivered anew.

        Where another message than that of `shown` is noted meanwhile, nothing changes.
        """
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

    async def owe(self, name: str, what: bytes) -> bool:
        """Keeps what others have still to be told, under its name; False where MOST_OWED is kept already."""
        ...

    async def owed(self, limit: int) -> dict[str, bytes]:
        """Some of it by name, at most `limit`; {} when all was told."""
        ...

    async def paid(self, names: Collection[str]) -> None:
        """Forgets what was told."""
        ...

    async def hold(self, owner: str, seconds: float, now: int) -> bool:
        """Takes or renews the lease on delivering for so long; False while it is another's."""
        ...

    async def release(self, owner: str) -> None:
        """Gives the lease back, if it is this owner's."""
        ...
