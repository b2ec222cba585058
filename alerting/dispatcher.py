"""The loop from outbox to people: outbox -> decide -> notifier -> receipt.

That a first delivery begins is noted before it is made, and how it ended after it. Killed between the two, or after an
unsure answer, the dispatcher looks whether people see it before it delivers again: nothing is lost and nothing doubled.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from alerting import aftermath
from alerting.alert import Alert, from_line
from alerting.console import ConsoleNotifier
from alerting.desk import Action, Deliver, Gather, Renew, Silence, Wait, backoff, decide
from alerting.notifier import Begun, Gone, Notifier, Permanent, Receipt, Retry, WrongChannel
from alerting.route import Routing
from alerting.store import AlertStore, Entry, Failure, StoreUnavailable
from audit.event import MICROSECONDS

PAGE = 256
POLL = 0.25
"""Seconds between two looks into the outbox; `sleep` may return earlier when something was put in."""
LONGEST_PAUSE = 60.0
"""Seconds a channel rests at most after failures in a row, unless Slack asked for more."""
MEND = 900.0
"""Seconds until a delivery that needs mending is tried again; doubles up to LONGEST_MEND."""
LONGEST_MEND = 6 * 3600.0

_log = logging.getLogger(__name__)


class Delivered(msgspec.Struct):
    """What one run did: deliveries made, and alerts refused for good (shown on stderr instead).

    `muted` and `gathered` count what was kept or put into digests; `waiting`, only with drain, what is due later.
    """

    sent: int = 0
    refused: int = 0
    muted: int = 0
    gathered: int = 0
    waiting: int = 0


async def run(
    store: AlertStore,
    notifier: Notifier,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], Awaitable[object]],
    stop: asyncio.Event,
    drain: bool = False,
    routing: Routing | None = None,
) -> Delivered:
    """Delivers until `stop` is set or, with `drain`, until each alert is delivered, refused for good or has to wait.

    `clock` gives microseconds since the epoch; `sleep` takes seconds and may return early. While the store is away the
    loop waits for it; with `drain` it raises instead.

    Raises:
        StoreUnavailable: only with `drain`.
    """
    loop = _Loop(store, notifier, clock, sleep, stop, drain, routing or Routing())
    started = False
    try:
        while not stop.is_set():
            try:
                if not started:
                    await store.wake()
                    started = True
                if await loop.turn():
                    break
            except StoreUnavailable as error:
                if drain:
                    raise
                _log.error("%s", error)
                await sleep(1.0)
        await loop.finish()
    finally:
        loop.abandon()
    return loop.done


async def enqueue_lines(store: AlertStore, lines: Iterable[bytes | str]) -> int:
    """Puts Alert lines into the outbox, all or, if one cannot be read, none; returns how many are new to it.

    Raises:
        ValueError: with the number of each bad line (the first ten) and what is wrong in it.
    """
    alerts: list[Alert] = []
    bad: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                alerts.append(from_line(line))
        except ValueError as error:
            bad.append(f"line {number}: {error}")
    if bad:
        more = [f"and {len(bad) - 10} more bad lines"] if len(bad) > 10 else []
        raise ValueError("\n".join([*bad[:10], *more]))
    return sum([await store.put(alert) for alert in alerts])


@dataclass(slots=True)
class _Loop:
    store: AlertStore
    notifier: Notifier
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[object]]
    stop: asyncio.Event
    drain: bool
    routing: Routing
    done: Delivered = field(default_factory=Delivered)
    lanes: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # channel -> the delivery under way
    busy: set[str] = field(default_factory=set)  # alerts being delivered
    page: list[Entry] = field(default_factory=list)
    rests: dict[str, int] = field(default_factory=dict)  # channel -> end of its pause
    strikes: dict[str, int] = field(default_factory=dict)  # channel -> failures in a row
    broken: dict[str, int] = field(default_factory=dict)  # channel -> until when its alerts go to the fallback
    absent: dict[str, int] = field(default_factory=dict)  # alert -> beginning of the delivery known not to have arrived
    given_up: set[str] = field(default_factory=set)  # only with drain
    ended: set[str] = field(default_factory=set)  # mutes whose end was told of

    async def turn(self) -> bool:
        """One look into the outbox: starts what can be delivered now, then waits for news; True when all is done.

        Each channel has one delivery under way at most, and none waits for another's.
        """
        self._reap()
        now = self.clock()
        self.page = await self.store.due(PAGE, now)
        waiting = [entry for entry in self.page if entry.alert.id not in self.busy]
        if self.drain and not self.lanes and all(entry.alert.id in self.given_up for entry in waiting):
            return True
        self._tell_of_ended_mutes(now)
        await self._act(decide(waiting, now, self.routing), now)
        if self.lanes:
            await asyncio.wait(self.lanes.values(), timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
        else:
            await self.sleep(self._until_next())
        return False

    async def finish(self) -> None:
        """Lets the deliveries under way end."""
        if self.lanes:
            await asyncio.wait(self.lanes.values())
        self._reap()

    def abandon(self) -> None:
        """Cancels the deliveries under way."""
        for task in self.lanes.values():
            task.cancel()

    async def _act(self, actions: Iterable[Action], now: int) -> None:
        gathered: list[Gather] = []
        for action in actions:
            match action:
                case Deliver():
                    gathered += await self._start(action)
                case Wait():
                    await self._postpone(action)
                case Gather():
                    gathered.append(action)
                case Silence():
                    await aftermath.silence(self.store, action, now)
                    self.done.muted += 1
                    _log.info("alert %s is muted by %s", action.entry.alert.id, action.mute)
                case Renew():
                    await self.store.lost(action.entry.alert.id)
        await aftermath.gather(self.store, gathered, now)
        self.done.gathered += len(gathered)

    async def _start(self, action: Deliver) -> list[Gather]:
        """Begins a delivery where its channel is free; what the channel's budget does not allow is for its digest."""
        entry, channel = action.entry, self._channel(action)
        if channel in self.lanes or self.rests.get(channel, 0) > self.clock():
            return []
        budget = action.budget
        if budget and not await self.store.spend(budget.purse, entry.alert.id, budget.limit):
            return [Gather(entry, action.channel, budget.digest_due)]
        self.busy.add(entry.alert.id)
        self.lanes[channel] = asyncio.create_task(self._deliver(entry, channel), name=entry.alert.id)
        return []

    def _reap(self) -> None:
        """Forgets the deliveries that ended; raises what one of them could not deal with."""
        for channel, task in list(self.lanes.items()):
            if task.done():
                del self.lanes[channel]
                self.busy.discard(task.get_name())
                task.result()

    def _channel(self, action: Deliver) -> str:
        channel = action.channel or self.notifier.channel(action.entry.alert)
        return self.notifier.fallback if self.broken.get(channel, 0) > self.clock() else channel

    def _until_next(self) -> float:
        """Seconds to the end of the first pause, at most POLL."""
        left = [end - self.clock() for end in self.rests.values()]
        return min([POLL, *(max(wait / MICROSECONDS, 0.001) for wait in left if wait > 0)])

    def _tell_of_ended_mutes(self, now: int) -> None:
        for mute in self.routing.expired(now):
            if mute.name not in self.ended:
                self.ended.add(mute.name)
                _log.warning("%s has ended and mutes nothing any more", mute)

    async def _postpone(self, action: Wait) -> None:
        if self.drain and action.planned and action.entry.alert.id not in self.given_up:
            self.given_up.add(action.entry.alert.id)
            self.done.waiting += 1
        if action.entry.not_before < action.until:
            await self.store.postpone(action.entry.alert.id, action.until)

    async def _deliver(self, entry: Entry, channel: str) -> None:
        try:
            if await aftermath.withdrawn(self.store, entry.alert, self.clock()):
                return
            previous = entry.receipt or await self._looked_up(entry, channel)
            if previous is None:
                await self.store.begin(entry.alert.id, Begun(channel, self.clock()))
            elif previous.revision >= entry.alert.revision:
                return
            receipt = await self.notifier.deliver(entry.alert, channel, previous)
        except Retry as problem:
            await self._later(entry, channel, problem)
        except Gone:
            await self.store.lost(entry.alert.id)
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
            self.strikes.pop(channel, None)
            self._rest(channel, self.notifier.pace)
            await self._note(entry.alert, previous, receipt)
            self.done.sent += 1

    async def _looked_up(self, entry: Entry, channel: str) -> Receipt | None:
        """The message that an earlier delivery, whose end nobody noted, did leave; None where it left none.

        One look serves all alerts of the page in the same doubt.
        """
        begun = entry.begun
        if begun is None or self.absent.get(entry.alert.id) == begun.at:
            return None
        doubts = {one.alert.id: one.begun for one in self.page if one.begun and not one.receipt}
        doubts = {name: one for name, one in doubts.items() if one.channel == begun.channel} | {entry.alert.id: begun}
        try:
            found = await self.notifier.find(doubts, begun.channel, min(one.at for one in doubts.values()))
        except Retry as problem:
            raise Retry(str(problem), problem.after, unsure=True) from problem  # the doubt stays
        except Permanent as problem:
            _log.error("alert %s may be shown twice: its delivery broke and %s", entry.alert.id, problem)
            found = {}
        alerts = {one.alert.id: one.alert for one in (*self.page, entry)}
        for name, receipt in found.items():
            await self._note(alerts[name], None, receipt)
        self.absent = {name: one.at for name, one in doubts.items() if name not in found}
        self.done.sent += len(found)
        return found.get(entry.alert.id)

    async def _note(self, alert: Alert, previous: Receipt | None, receipt: Receipt) -> None:
        """Insists: what was shown and is not noted has to be looked for. What follows from it is laid out before."""
        now = self.clock()
        receipt = msgspec.structs.replace(receipt, at=now)
        notices = aftermath.follow_ups(alert, previous, self.routing, now)
        while True:
            try:
                for notice in notices:
                    await self.store.put(notice)
                return await self.store.receipt(alert.id, receipt)
            except StoreUnavailable as error:
                _log.error("alert %s was delivered but cannot be noted: %s", alert.id, error)
                if self.stop.is_set():
                    raise
                await self.sleep(1.0)

    async def _later(self, entry: Entry, channel: str, problem: Retry) -> None:
        strikes = self.strikes.get(channel, 0)
        self.strikes[channel] = strikes + 1
        pause = problem.after or min(backoff(strikes), LONGEST_PAUSE)
        self._rest(channel, pause)
        wait = pause + backoff(entry.failures) if problem.unsure else pause  # behind the others of its channel
        _log.warning("alert %s waits %.0f s: %s", entry.alert.id, wait, problem)
        await self._failed(entry, str(problem), wait, problem.unsure)

    async def _elsewhere(self, entry: Entry, channel: str, problem: WrongChannel) -> None:
        """Its channel takes nothing: until somebody mends that, its alerts go to the fallback."""
        if channel == self.notifier.fallback:
            await self._refused(entry, str(problem))
            return
        _log.error("channel %s: %s; its alerts go to %s meanwhile", channel, problem, self.notifier.fallback)
        self.broken[channel] = self.clock() + round(MEND * MICROSECONDS)
        await self._failed(entry, str(problem), 0.0)

    async def _refused(self, entry: Entry, reason: str) -> None:
        """Never silence: the alert goes to stderr, and is tried again much later."""
        _log.error("alert %s (%s) was refused: %s", entry.alert.id, entry.alert.severity, reason)
        self.done.refused += 1
        if self.drain:
            self.given_up.add(entry.alert.id)
        try:
            await ConsoleNotifier(sys.stderr).deliver(entry.alert, "console", entry.receipt)
        except Permanent as problem:
            _log.error("alert %s could not be shown on stderr either: %s", entry.alert.id, problem)
        await self._failed(entry, reason, min(MEND * 2 ** min(entry.failures, 5), LONGEST_MEND))

    async def _failed(self, entry: Entry, error: str, wait: float, unsure: bool = False) -> None:
        retry_at = self.clock() + round(wait * MICROSECONDS)
        await self.store.failed(entry.alert.id, entry.alert.revision, Failure(error, retry_at, unsure))

    def _rest(self, channel: str, seconds: float) -> None:
        self.rests[channel] = self.clock() + round(seconds * MICROSECONDS)
