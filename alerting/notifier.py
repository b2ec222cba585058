"""The contract between the dispatcher and whatever carries an alert to people."""

from __future__ import annotations

from typing import Protocol

import msgspec

from alerting.alert import Alert
from audit.finding import Severity


class Receipt(msgspec.Struct, frozen=True):
    """Proof that one revision was shown, and where. `at` (microseconds since the epoch) is the dispatcher's to fill."""

    revision: int
    severity: Severity
    channel: str
    message_id: str
    at: int = 0


class Retry(Exception):
    """It may work later: after `after` seconds where somebody said so, 0 where the dispatcher is to judge.

    `unsure`: people may have seen it nevertheless.
    """

    def __init__(self, reason: str, after: float = 0.0, unsure: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.unsure = unsure


class Permanent(Exception):
    """It will not work until somebody mends something; the message says what."""


class Notifier(Protocol):
    """Carries alerts to people. `pace` is the least number of seconds between two deliveries to one channel."""

    pace: float

    def channel(self, alert: Alert) -> str:
        """Where this alert would go."""
        ...

    async def deliver(self, alert: Alert, previous: Receipt | None) -> Receipt:
        """Shows the alert: anew, or in place of the message `previous` stands for.

        Raises:
            Retry: nothing is wrong with the alert; later it may work.
            Permanent: not before somebody mends something.
        """
        ...
