"""The loop from outbox to people: outbox -> decide -> notifier -> receipt.

A delivery is noted after it was made. Killed between the two, or after an unsure answer, the dispatcher makes it once
more; nothing else is ever shown twice, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from alerting.alert import Alert, from_line
from alerting.console import ConsoleNotifier
from alerting.desk import Deliver, Wait, backoff, decide
from alerting.notifier import Notifier, Permanent, Receipt, Retry
from alerting.store import AlertStore, Entry, StoreUnavailable
from audit.event import MICROSECONDS

PAGE = 64
POLL = 0.25
"""Seconds between two looks into the outbox; `sleep` may return earlier when something was put in."""
LONGEST_PAUSE = 60.0
"""Seconds a channel rests at most after failures in a row, unless Slack asked for more."""
MEND = 900.0
"""Seconds until a delivery that needs mending is tried again; doubles up to LONGEST_MEND."""
LONGEST_MEND = 6 * 3600.0

_log = logging.getLogger(__name__)


class Delivered(msgspec.Struct):
    """What one run did: deliveries made, and alerts refused for good (shown on stderr instead)."""

    sent: int = 0
    refused: int = 0


async def run(
    store: AlertStore,
    notifier: Notifier,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], Awaitable[object]],
    stop: asyncio.Event,
    drain: bool = False,
) -> Delivered:
    """Delivers until `stop` is set or, with `drain`, until each alert is delivered or refused for good.

    `clock` gives microseconds since the epoch; `sleep` takes seconds and may return early. While the store is away the
    loop waits for it; with `drain` it raises instead.

    Raises:
        StoreUnavailable: only with `drain`.
    """
    loop = _Loop(store, notifier, clock, sleep, stop, drain)
    started = False
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
    done: Delivered = field(default_factory=Delivered)
    rests: dict[str, int] = field(default_factory=dict)  # channel -> end of its pause
    strikes: dict[str, int] = field(default_factory=dict)  # channel -> failures in a row
    given_up: set[str] = field(default_factory=set)  # only with drain

    async def turn(self) -> bool:
        """One look into the outbox, what can be delivered now, and a short sleep; True when all is done."""
        now = self.clock()
        entries = await self.store.due(PAGE, now)
        if self.drain and all(entry.alert.id in self.given_up for entry in entries):
            return True
        delivered = False
        for action in decide(entries, now):
            if self.stop.is_set():
                break
            if isinstance(action, Wait):
                await self._postpone(action)
            elif self._free(action.entry.alert):
                delivered = True
                await self._deliver(action)
        if not delivered:
            await self.sleep(self._until_next())
        return False

    def _free(self, alert: Alert) -> bool:
        return self.rests.get(self.notifier.channel(alert), 0) <= self.clock()

    def _until_next(self) -> float:
        """Seconds to the end of the first pause, at most POLL."""
        left = [end - self.clock() for end in self.rests.values()]
        return min([POLL, *(max(wait / MICROSECONDS, 0.001) for wait in left if wait > 0)])

    async def _postpone(self, action: Wait) -> None:
        if action.entry.not_before < action.until:
            await self.store.postpone(action.entry.alert.id, action.until)

    async def _deliver(self, action: Deliver) -> None:
        entry, channel = action.entry, self.notifier.channel(action.entry.alert)
        try:
            receipt = await self.notifier.deliver(entry.alert, entry.receipt)
        except Retry as problem:
            await self._later(entry, channel, problem)
        except Permanent as problem:
            await self._refused(entry, str(problem))
        except Exception as problem:  # a fault in rendering one alert must not stop the others
            _log.exception("alert %s cannot be delivered", entry.alert.id)
            await self._refused(entry, f"{type(problem).__name__}: {problem}")
        else:
            self.strikes.pop(channel, None)
            self._rest(channel, self.notifier.pace)
            await self._note(entry, msgspec.structs.replace(receipt, at=self.clock()))
            self.done.sent += 1

    async def _note(self, entry: Entry, receipt: Receipt) -> None:
        """Insists: what was shown and is not noted would be shown again."""
        while True:
            try:
                return await self.store.receipt(entry.alert.id, receipt)
            except StoreUnavailable as error:
                _log.error("alert %s was delivered but cannot be noted: %s", entry.alert.id, error)
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
        await self._failed(entry, str(problem), wait)

    async def _refused(self, entry: Entry, reason: str) -> None:
        """Never silence: the alert goes to stderr, and is tried again much later."""
        _log.error("alert %s (%s) was refused: %s", entry.alert.id, entry.alert.severity, reason)
        self.done.refused += 1
        if self.drain:
            self.given_up.add(entry.alert.id)
        try:
            await ConsoleNotifier(sys.stderr).deliver(entry.alert, entry.receipt)
        except Permanent as problem:
            _log.error("alert %s could not be shown on stderr either: %s", entry.alert.id, problem)
        await self._failed(entry, reason, min(MEND * 2 ** min(entry.failures, 5), LONGEST_MEND))

    async def _failed(self, entry: Entry, error: str, wait: float) -> None:
        retry_at = self.clock() + round(wait * MICROSECONDS)
        await self.store.failed(entry.alert.id, entry.alert.revision, error, retry_at)

    def _rest(self, channel: str, seconds: float) -> None:
        self.rests[channel] = self.clock() + round(seconds * MICROSECONDS)
