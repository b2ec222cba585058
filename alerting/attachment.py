"""The evidence of a grave alert comes into its thread by itself, once: a notice in the outbox brings it there.

That an upload begins is noted before it is made, and who finds that noted leaves it: rather no file than two. The
button "Show the evidence" (alerting/evidence.py) brings it at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from alerting.alert import Alert
from alerting.desk import Action, Deliver
from alerting.evidence import document, file_name
from alerting.notice import is_notice
from alerting.notifier import Begun, Gone, Notifier, Permanent, Receipt, Retry
from alerting.pauses import Pauses
from alerting.store import AlertStore, Entry, Failure
from audit.event import MICROSECONDS
from audit.finding import Severity, Version, at_least, stable_id

WORTH: Severity = "high"
QUIET, LATEST = 60 * MICROSECONDS, 300 * MICROSECONDS
"""How long its message must have been left alone, so that a storm is in it; how long it waits for that at most."""
IN_ALL = 10 * MICROSECONDS
"""How long files may take in all where the dispatcher is to end."""
REST = 900 * MICROSECONDS
"""How long none is tried after a refusal."""
MOST_FAILURES = 5
LANE = "\0files:"

_log = logging.getLogger(__name__)


@runtime_checkable
class Attaching(Protocol):
    """What a notifier can do whose threads take files."""

    async def attach(self, receipt: Receipt, name: str, content: bytes) -> None:
        """Puts a file into the thread of a message. Raises: Retry (`unsure`: it may be there), Gone, Permanent."""
        ...


def is_attachment(alert: Alert) -> bool:
    """Whether it is one of these notices."""
    return is_notice(alert) and alert.id.startswith("evidence:")


@dataclass(slots=True)
class Attachments:
    """The dispatcher's hand for files. They have lanes and pauses of their own and wait for every message: nobody is
    told later because of a file. With `drain` they have a few seconds in all; what is not there by then stays away.
    """

    store: AlertStore
    notifier: Notifier
    clock: Callable[[], int]
    pauses: Pauses
    drain: bool
    refused: int = 0  # until when none is tried: Slack takes no files from us
    end: int = 0  # only with drain

    def follow(self, alert: Alert, previous: Receipt | None, receipt: Receipt) -> list[Alert]:
        """The notice that brings the file to a message that was just shown for the first time."""
        now = self.clock()
        worth = at_least(alert.severity, WORTH) and alert.status != "resolved" and not is_notice(alert)
        possible = receipt.posted and now >= self.refused and isinstance(self.notifier, Attaching)
        if previous or not (worth and possible):
            return []
        return [_notice(alert, receipt, now if self.drain else now + QUIET)]

    def turn_of(self, actions: Sequence[Action], busy: Iterable[str]) -> list[Action]:
        """The actions without files while there is a message to deliver, or one is being delivered."""
        messages = any(isinstance(one, Deliver) and not is_attachment(one.entry.alert) for one in actions)
        if messages or any(not lane.startswith(LANE) for lane in busy):
            return [one for one in actions if not (isinstance(one, Deliver) and is_attachment(one.entry.alert))]
        return list(actions)

    def lane(self, entry: Entry, channel: str) -> str:
        """Where a delivery waits for its turn: files do not hold up the messages of their channel."""
        return f"{LANE}{channel}" if is_attachment(entry.alert) else channel

    async def deliver(self, entry: Entry, channel: str) -> None:
        """Brings one file, or notes that it stays away; nothing of it is worth being late for.

        Raises:
            StoreUnavailable: nothing is known; doing it again brings no second file.
        """
        now, lane = self.clock(), f"{LANE}{channel}"
        self.end = self.end or now + IN_ALL
        late = entry.failures >= MOST_FAILURES or (self.drain and now > self.end)
        if late or not isinstance(self.notifier, Attaching):
            return await leave(self.store, entry.alert, now)
        if (until := await self._quiet_from(entry)) > now and not self.drain:
            return await self.store.postpone(entry.alert.id, until)
        try:
            left = await bring(self.store, self.notifier, entry, now)
        except Retry as problem:
            pause = problem.after or self.pauses.failed(lane)
            self.pauses.rest(lane, pause)
            failure = Failure(str(problem), self.clock() + round(pause * MICROSECONDS))
            return await self.store.failed(entry.alert.id, entry.alert.revision, failure)
        except Permanent as problem:
            left = str(problem)
            self.refused = now + REST
        if left:
            _log.warning("the evidence of alert %s is not in its thread: %s", entry.alert.key, left)
            return None
        self.pauses.worked(lane)
        for each in (lane, channel):  # Slack counts the file as a message of the channel
            self.pauses.rest(each, self.notifier.pace)
        return None

    async def _quiet_from(self, entry: Entry) -> int:
        """When the file may come: three calls are a minute's worth, so none of its message's own are near."""
        about, latest = await self.store.get(entry.alert.key), entry.alert.time - QUIET + LATEST
        if about is None or about.receipt is None:
            return 0
        return min(about.receipt.at if about.settled else self.clock(), latest - QUIET) + QUIET


def _notice(alert: Alert, receipt: Receipt, due: int) -> Alert:
    return Alert(
        id=f"evidence:{stable_id(alert.id, receipt.channel, receipt.message_id)}",
        time=due,
        severity="low",
        risk=0,
        principal="",
        entity=f"channel:{receipt.channel}",
        title="Evidence",
        summary="",
        findings=(),
        event_ids=(),
        reasons=(),
        attack=(),
        version=Version(),
        key=alert.id,
    )


async def bring(store: AlertStore, notifier: Attaching, entry: Entry, now: int) -> str:
    """Uploads what a notice stands for, at most once; returns why it stays away for good, or "".

    Raises:
        Retry: not now, and nothing of it has arrived.
        Permanent: not before somebody mends something, and not for this alert.
    """
    notice, about = entry.alert, await store.get(entry.alert.key)
    shown = about.receipt if about else None
    if entry.begun:
        await leave(store, notice, now)
        return "an earlier upload was begun, and how it ended is not known"
    if about is None or shown is None or not shown.posted:
        await leave(store, notice, now)
        return "it has no message any more"
    if not await store.begin(notice.id, Begun(shown.channel, now), None):
        return "another dispatcher brings it"
    try:
        await notifier.attach(shown, file_name(about.alert), document(about))
    except Retry as problem:
        if not problem.unsure:
            raise
        await leave(store, notice, now)
        return str(problem)
    except Gone:
        await leave(store, notice, now)
        return "its message is gone"
    except Permanent:
        await leave(store, notice, now)
        raise
    await store.receipt(notice.id, Receipt(notice.revision, notice.severity, "", "attached", now))
    return ""


async def leave(store: AlertStore, notice: Alert, now: int) -> None:
    """Notes that a notice has become needless."""
    await store.receipt(notice.id, Receipt(notice.revision, notice.severity, "", "left", now))
