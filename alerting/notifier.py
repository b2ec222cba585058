"""The contract between the dispatcher and whatever carries an alert to people."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

from alerting.alert import Alert
from alerting.case import Case
from audit.finding import Severity


class Receipt(msgspec.Struct, frozen=True):
    """Proof that one revision was shown, and where. `at` (microseconds since the epoch) is the dispatcher's to fill.

    Without a channel no message of its own was shown: `message_id` says what became of it ("digest:ID", "muted:...",
    "explained", "withdrawn"). The dispatcher also fills in which version of the case the message shows, up to which one
    the steps are told in its thread, and, while they are being told, up to which (0 when how that ended is known).
    """

    revision: int
    severity: Severity
    channel: str
    message_id: str
    at: int = 0
    case_version: int = 0
    told: int = 0
    telling: int = 0

    @property
    def posted(self) -> bool:
        """Whether there is a message."""
        return self.channel != ""

    @property
    def place(self) -> tuple[str, str]:
        """Which message it is, whatever it shows."""
        return self.channel, self.message_id


class Begun(msgspec.Struct, frozen=True):
    """A first delivery begun at `at` (microseconds) whose end nobody has noted: people may have seen it."""

    channel: str
    at: int


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


class WrongChannel(Permanent):
    """This channel takes nothing until somebody mends it; another may."""


class Gone(Exception):
    """The message that was to be changed is there no more."""


class Notifier(Protocol):
    """Carries alerts to people. `pace` is the least number of seconds between two messages to one channel.

    `edit_pace` is the least between two edits anywhere that only count more, `post_pace` between two messages anywhere
    beyond a burst.

    `fallback` names the channel for alerts whose own takes none; it may be their own.
    """

    pace: float
    edit_pace: float
    post_pace: float

    @property
    def fallback(self) -> str:
        """See above."""
        ...

    def channel(self, alert: Alert) -> str:
        """Where this alert would go."""
        ...

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        """Shows the alert and where it stands in the channel: anew, or in place of the message `previous` stands for.

        Without a case it stands as the alert says.

        Raises:
            Retry: nothing is wrong with the alert; later it may work.
            Gone: there is no such message as `previous` stands for any more; nothing was shown.
            Permanent: not before somebody mends something.
        """
        ...

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        """Which of these alerts the channel shows, in messages since `since` (microseconds): what an unsure end left.

        Raises:
            Retry: not now.
            Permanent: it cannot be looked up; the message says what to mend.
        """
        ...
