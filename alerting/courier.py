"""One delivery: from what is known of an alert to what came of it, noted in the outbox."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from alerting import aftermath, ask_follow, attachment, snooze, thread
from alerting.case import round_of
from alerting.console import ConsoleNotifier
from alerting.desk import Deliver, backoff
from alerting.doubts import Doubts, since, unanswered
from alerting.lease import Lease
from alerting.live import Deed, Delivered, Live
from alerting.notifier import Begun, Gone, Notifier, Permanent, Receipt, Retry, WrongChannel
from alerting.pauses import EDITS, LOOKS, Pauses
from alerting.store import AlertStore, Entry, Failure, StoreUnavailable
from audit.event import MICROSECONDS

MEND = 900.0
"""Seconds until a delivery that needs mending is tried again; doubles up to LONGEST_MEND."""
LONGEST_MEND = 6 * 3600.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Courier:
    """Carries alerts for the dispatcher, several at once; `done` counts what became of them.

    `page` and `bound` are the dispatcher's to fill; `unseen`, `broken` and `given_up` are for it to read.
    """

    store: AlertStore
    notifier: Notifier
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[object]]
    stop: asyncio.Event
    drain: bool
    live: Live
    pauses: Pauses
    lease: Lease
    doubts: Doubts
    files: attachment.Attachments
    done: Delivered = field(default_factory=Delivered)
    page: list[Entry] = field(default_factory=list)  # what one look into the outbox took in
    bound: dict[str, str] = field(default_factory=dict)  # alert of the page -> the channel it goes to
    unseen: set[str] = field(default_factory=set)  # alerts too old for a look to tell whether people were shown them
    broken: dict[str, int] = field(default_factory=dict)  # channel -> until when its alerts go to the fallback
    given_up: set[str] = field(default_factory=set)  # only with drain

    def channel(self, action: Deliver) -> str:
        """Where an alert goes as things stand."""
        channel = action.channel or self.notifier.channel(action.entry.alert)
        return self.notifier.fallback if self.broken.get(channel, 0) > self.clock() else channel

    def did(self, deed: Deed, number: int = 1) -> None:
        """Counts what became of alerts."""
        setattr(self.done, deed, getattr(self.done, deed) + number)
        self.live.told(deed, number)

    async def deliver(self, entry: Entry, channel: str) -> None:
        """Delivers what is next of an alert, and notes it.

        Raises:
            StoreUnavailable: what was shown is noted as begun, and is looked for before it is shown again.
        """
        try:
            if await aftermath.withdrawn(self.store, entry.alert, self.clock()):
                return None
            if snooze.is_timer(entry.alert):
                return await snooze.ring(self.store, entry.alert, self.clock())
            if not await self.lease.sure():  # frozen until somebody else delivered: it is his
                return None
            if attachment.is_attachment(entry.alert):
                return await self.files.deliver(entry, channel)
            if thread.behind(entry):
                return await self._tell(entry, channel)
            shown = await self._show(entry, channel)
        except Retry as problem:
            await self._later(entry, channel, problem)
        except WrongChannel as problem:
            await self._elsewhere(entry, channel, problem)
        except Permanent as problem:
            await self._refused(entry, str(problem))
        except StoreUnavailable:
            raise
        except Exception as problem:  # a fault in rendering one alert must not stop the others
            _log.exception("alert %s cannot be delivered", entry.alert.id)
            await self._refused(entry, f"{type(problem).__name__}: {problem}")
        else:
            if shown:
                previous, receipt = shown
                self._worked(channel, posted=previous is None)
                await self._note(entry, previous, self._with_case(receipt, previous, entry))
                self.did("sent")

    async def _show(self, entry: Entry, channel: str) -> tuple[Receipt | None, Receipt] | None:
        """Posts the message or brings it up to date; the receipt before and after, None where nothing was shown."""
        old = entry.begun is None and self.doubts.of(entry, channel, self.clock()) is not None
        previous = entry.receipt or await self._looked_up(entry, channel)
        if previous is None:
            if old:  # no outbox before this one showed it: the next turn decides as it would have
                return None
            begun = await self.store.begin(entry.alert.id, Begun(channel, self.clock()), entry.begun)
            if not (begun and await self.lease.sure()):
                return None
        elif previous.revision >= entry.alert.revision and previous.case_version == entry.case.version:
            return None
        try:
            return previous, await self.notifier.deliver(entry.alert, channel, previous, entry.case)
        except Gone:
            await self.store.lost(entry.alert.id, previous)
            return None

    async def _tell(self, entry: Entry, channel: str) -> None:
        """The steps a thread lacks; where a notifier with threads was replaced by one without, nobody lacks them."""
        lost = ""
        if isinstance(self.notifier, thread.Threads):
            lost = await thread.tell(self.store, self.notifier, entry, self.clock())
        elif entry.receipt:
            await self.store.receipt(entry.alert.id, self._with_case(entry.receipt, entry.receipt, entry))
        if lost:
            _log.error("the thread of alert %s lacks a step of its case: %s", entry.alert.id, lost)
        self._worked(channel)

    def _with_case(self, receipt: Receipt, previous: Receipt | None, entry: Entry) -> Receipt:
        """The receipt with what is known of the case: where there are no threads, the message is all there is."""
        version = entry.case.version
        if not isinstance(self.notifier, thread.Threads):
            return msgspec.structs.replace(receipt, case_version=version, told=version)
        told, telling = (previous.told, previous.telling) if previous else (0, 0)
        return msgspec.structs.replace(receipt, case_version=version, told=told, telling=telling)

    async def _looked_up(self, entry: Entry, channel: str) -> Receipt | None:
        """The message that an earlier delivery, whose end nobody noted, did leave; None where it left none.

        One look serves all alerts of the page in the same doubt.
        """
        now, page = self.clock(), {one.alert.id: one for one in (*self.page, entry)}
        doubt = self.doubts.of(entry, channel, now)
        if doubt is None:
            return None
        doubts = self.doubts.like(doubt, page.values(), self.bound | {entry.alert.id: channel}, now)
        try:
            found = await self.notifier.find(doubts, doubt.channel, since(doubts, now))
        except Retry as problem:
            self.pauses.rest(LOOKS, problem.after)
            raise Retry(str(problem), unsure=True) from problem  # the doubt stays
        except Permanent as problem:
            how = "its delivery broke" if entry.begun else "it is old, and a lost outbox may have shown it"
            _log.error("alert %s may be shown twice: %s, and %s", entry.alert.id, how, problem)
            found = {}
        for name, receipt in found.items():
            await self._found(page[name], receipt)
        if unknown := unanswered(doubts, found):
            self._unanswered([page[name] for name in unknown], channel)
        self.doubts.answered(doubts, found)
        self.pauses.worked(channel)
        return found.get(entry.alert.id)

    def _unanswered(self, entries: Sequence[Entry], channel: str) -> None:
        """Too far back to be looked for: what is old is one digest rather than many messages; critical is posted."""
        old = [one.alert.id for one in entries if one.begun is None and one.alert.severity != "critical"]
        self.unseen.update(old)
        text = "channel %s has more messages than one look reads: %d alerts may be shown twice, %d of them in a digest"
        _log.error(text, channel, len(entries), len(old))

    async def _found(self, entry: Entry, receipt: Receipt) -> None:
        """A message nobody noted: ours, or that of an outbox that is no more, which saw to what follows from it."""
        if entry.begun:
            await self._note(entry, None, receipt)
            self.did("sent")
        else:
            await self.store.receipt(entry.alert.id, msgspec.structs.replace(receipt, at=self.clock()))

    async def _note(self, entry: Entry, previous: Receipt | None, receipt: Receipt) -> None:
        """Insists: what was shown and is not noted has to be looked for. What follows from it is laid out before."""
        now, alert = self.clock(), entry.alert
        receipt = msgspec.structs.replace(receipt, at=now)
        notices = aftermath.follow_ups(alert, previous, self.live.routing, now, round_of(entry.case))
        notices += self.files.follow(alert, previous, receipt)
        while True:
            try:
                for notice in notices:
                    await self.store.put(notice)
                await ask_follow.after_shown(self.store, alert, receipt, self.live.routing, now)
                return await self.store.receipt(alert.id, receipt)
            except StoreUnavailable as error:
                _log.error("alert %s was delivered but cannot be noted: %s", alert.id, error)
                if self.stop.is_set():
                    raise
                await self.sleep(1.0)

    async def _later(self, entry: Entry, channel: str, problem: Retry) -> None:
        pause = problem.after or self.pauses.failed(channel)
        editing = entry.receipt is not None and not thread.behind(entry)
        self.pauses.rest(EDITS if problem.after and editing else channel, pause)
        wait = pause + backoff(entry.failures) if problem.unsure else pause  # behind the others of its channel
        _log.warning("alert %s waits %.0f s: %s", entry.alert.id, wait, problem)
        await self._failed(entry, str(problem), wait, problem.unsure)

    async def _elsewhere(self, entry: Entry, channel: str, problem: WrongChannel) -> None:
        """Its channel takes nothing: until somebody mends that, its alerts go to the fallback."""
        if await ask_follow.unreachable(self.store, entry.alert, self.clock()):
            _log.warning("%s cannot be asked about alert %s: %s", channel, entry.alert.key, problem)
            return
        if channel == self.notifier.fallback:
            await self._refused(entry, str(problem))
            return
        _log.error("channel %s: %s; its alerts go to %s meanwhile", channel, problem, self.notifier.fallback)
        self.broken[channel] = self.clock() + round(MEND * MICROSECONDS)
        await self._failed(entry, str(problem), 0.0)

    async def _refused(self, entry: Entry, reason: str) -> None:
        """Never silence: the alert goes to stderr, and is tried again much later."""
        _log.error("alert %s (%s) was refused: %s", entry.alert.id, entry.alert.severity, reason)
        self.did("refused")
        if self.drain:
            self.given_up.add(entry.alert.id)
        try:
            await ConsoleNotifier(sys.stderr).deliver(entry.alert, "console", entry.receipt)
        except Permanent as problem:
            _log.error("alert %s could not be shown on stderr either: %s", entry.alert.id, problem)
        await self._failed(entry, reason, min(MEND * 2 ** min(entry.failures, 5), LONGEST_MEND), refused=True)

    async def _failed(self, entry: Entry, error: str, wait: float, unsure: bool = False, refused: bool = False) -> None:
        retry_at = self.clock() + round(wait * MICROSECONDS)
        await self.store.failed(entry.alert.id, entry.alert.revision, Failure(error, retry_at, unsure, refused))

    def _worked(self, channel: str, posted: bool = True) -> None:
        self.pauses.worked(channel)
        if posted:
            self.pauses.rest(channel, self.notifier.pace)
