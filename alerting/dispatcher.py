"""The loop from outbox to people: outbox -> decide -> notifier -> receipt.

That a first delivery begins is noted before it is made, and how it ended after it. Killed between the two, or after an
unsure answer, the dispatcher looks whether people see it before it delivers again: nothing is lost and nothing doubled.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from alerting import aftermath, ask_follow, attachment, snooze, thread
from alerting.case import round_of
from alerting.console import ConsoleNotifier
from alerting.desk import Action, Deliver, Gather, Keep, Renew, Silence, Wait, backoff, decide
from alerting.doubts import Doubts, since, unanswered
from alerting.lease import Lease
from alerting.live import Deed, Delivered, Live
from alerting.notifier import Begun, Gone, Notifier, Permanent, Receipt, Retry, WrongChannel
from alerting.pauses import BURST, EDITS, LOOKS, POSTS, REPEATS, Pauses, limits_of
from alerting.route import HOUR, Routing
from alerting.store import AlertStore, Entry, Failure, StoreUnavailable
from audit.event import MICROSECONDS

PAGE, DEEPEST = 256, 2048
"""Alerts one look takes in, and takes in at most where none of the first can be delivered now."""
POLL = 0.25
"""Seconds between two looks into the outbox; `sleep` may return earlier when something was put in."""
BREATH = 0.03
"""Seconds for more to come in once something did: in a storm the outbox is not read for every hit."""
LONG = 60 * MICROSECONDS
"""Who leaves delivering to another does not wait for what waits longer."""
MEND = 900.0
"""Seconds until a delivery that needs mending is tried again; doubles up to LONGEST_MEND."""
LONGEST_MEND = 6 * 3600.0

_log = logging.getLogger(__name__)


async def run(
    store: AlertStore,
    notifier: Notifier,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], Awaitable[object]],
    stop: asyncio.Event,
    drain: bool = False,
    routing: Routing | None = None,
    live: Live | None = None,
    owner: str = "dispatcher",
) -> Delivered:
    """Delivers until `stop` is set or, with `drain`, until each alert is delivered, refused for good or has to wait.

    Of all that share an outbox one delivers, the others wait for it; `owner` must be unlike that of any other.
    `clock` gives microseconds since the epoch; `sleep` takes seconds and may return early. `live` stands for `routing`
    where that may change. While the store is away the loop waits for it; with `drain` it raises instead.

    Raises:
        StoreUnavailable: only with `drain`.
    """
    live = live or Live(routing or Routing())
    pauses = Pauses(clock)
    files = attachment.Attachments(store, notifier, clock, pauses, drain)
    lease, doubts = Lease(store, owner, clock), Doubts(live.doubt_after)
    loop = _Loop(store, notifier, clock, sleep, stop, drain, live, pauses, doubts, files, lease)
    try:
        while not stop.is_set():
            try:
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
        await lease.release()
    return loop.done


@dataclass(slots=True)
class _Loop:
    store: AlertStore
    notifier: Notifier
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[object]]
    stop: asyncio.Event
    drain: bool
    live: Live
    pauses: Pauses
    doubts: Doubts
    files: attachment.Attachments
    lease: Lease
    done: Delivered = field(default_factory=Delivered)
    lanes: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # channel -> the delivery under way
    busy: set[str] = field(default_factory=set)  # alerts being delivered
    page: list[Entry] = field(default_factory=list)
    depth: int = PAGE
    routed: Routing | None = None  # the routes that waits were decided by
    bound: dict[str, str] = field(default_factory=dict)  # alert of the page -> the channel it goes to
    unseen: set[str] = field(default_factory=set)  # alerts too old for a look to tell whether people were shown them
    broken: dict[str, int] = field(default_factory=dict)  # channel -> until when its alerts go to the fallback
    given_up: set[str] = field(default_factory=set)  # only with drain
    ended: set[str] = field(default_factory=set)  # mutes whose end was told of

    @property
    def routing(self) -> Routing:
        """The routes as they are now."""
        return self.live.routing

    async def turn(self) -> bool:
        """One look into the outbox: starts what can be delivered now, then waits for news; True when all is done.

        Each channel has one delivery under way at most, and none waits for another's.
        """
        self._reap()
        self.live.news.clear()
        if not await self.lease.hold():
            return await self._stand_by()
        if self.routed is not self.routing:  # at the start as well: somebody may have mended something
            await self.store.wake()
            self.routed = self.routing
        now = self.clock()
        self.page = await self.store.due(self.depth, now)
        waiting = [entry for entry in self.page if entry.alert.id not in self.busy]
        if self.drain and not self.lanes and all(entry.alert.id in self.given_up for entry in waiting):
            return True
        if not self.drain:
            await aftermath.tell_of_ended_mutes(self.store, self.routing, self.notifier.fallback, now, self.ended)
        actions = self.files.turn_of(decide(waiting, now, self.routing), self.lanes)
        self.bound = {one.entry.alert.id: self._channel(one) for one in actions if isinstance(one, Deliver)}
        stuck = not await self._act(actions, now) and len(self.page) == self.depth
        self.depth = min(2 * self.depth, DEEPEST) if stuck else PAGE
        if self.lanes:
            await self._until_news()
        else:
            await self.sleep(self.pauses.until_next(POLL))
        return False

    async def _stand_by(self) -> bool:
        """Leaves the outbox to whoever delivers from it; True when, with drain, all that is left has to wait."""
        if self.drain:
            now = self.clock()
            left = decide(await self.store.due(DEEPEST, now), now, self.routing)
            waits = [one for one in left if isinstance(one, Wait) and (one.planned or one.until > now + LONG)]
            if not self.lanes and len(waits) == len(left):
                self._did("waiting", sum(one.planned for one in waits))
                return True
        await self.sleep(POLL)
        return False

    async def _until_news(self) -> None:
        """Until a delivery ends or something is put in, at most POLL."""
        told = asyncio.create_task(self.live.news.wait())
        try:
            await asyncio.wait({*self.lanes.values(), told}, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                await asyncio.sleep(BREATH)
        finally:
            told.cancel()

    async def finish(self) -> None:
        """Lets the deliveries under way end."""
        if self.lanes:
            await asyncio.wait(self.lanes.values())
        self._reap()

    def abandon(self) -> None:
        """Cancels the deliveries under way."""
        for task in self.lanes.values():
            task.cancel()

    async def _act(self, actions: Iterable[Action], now: int) -> bool:
        """Whether anything could be done."""
        gathered: list[Gather] = []
        before = len(self.lanes), self.done.muted + self.done.explained
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
                    self._did("muted")
                    _log.info("alert %s is muted by %s", action.entry.alert.id, action.mute)
                case Keep():
                    await aftermath.keep(self.store, action, now)
                    self._did("explained")
                case Renew():
                    await self.store.lost(action.entry.alert.id)
        await aftermath.gather(self.store, gathered, now)
        self._did("gathered", len(gathered))
        return bool(gathered) or before != (len(self.lanes), self.done.muted + self.done.explained)

    def _did(self, deed: Deed, number: int = 1) -> None:
        setattr(self.done, deed, getattr(self.done, deed) + number)
        self.live.told(deed, number)

    async def _start(self, action: Deliver) -> list[Gather]:
        """Begins a delivery where its channel is free; what the channel's budget does not allow is for its digest."""
        entry, channel = action.entry, self._channel(action)
        if entry.alert.id in self.unseen and entry.alert.severity != "critical":
            return [self._instead(action)]
        lane = self.files.lane(entry, channel)
        limits = limits_of(entry, self.doubts.of(entry, channel, self.clock()) is not None)
        if lane in self.lanes or not self.pauses.free(lane, *limits):
            return []
        budget = action.budget
        if budget and LOOKS not in limits and not await self.store.spend(budget.purse, entry.alert.id, budget.limit):
            return [Gather(entry, action.channel, budget.digest_due)]
        self.busy.add(entry.alert.id)
        if EDITS in limits:
            self.pauses.take(REPEATS, self.notifier.edit_pace)
        elif lane == channel:
            self.pauses.take(POSTS, self.notifier.post_pace, BURST)
        self.lanes[lane] = asyncio.create_task(self._deliver(entry, channel), name=entry.alert.id)
        return []

    def _instead(self, action: Deliver) -> Gather:
        """Its place in a digest; in one of now where the run is to end, since nothing may wait."""
        now = self.clock()
        self.unseen.discard(action.entry.alert.id)
        due = now if self.drain else (now // HOUR + 1) * HOUR
        return Gather(action.entry, action.channel, action.budget.digest_due if action.budget else due)

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

    async def _postpone(self, action: Wait) -> None:
        if self.drain and action.planned and action.entry.alert.id not in self.given_up:
            self.given_up.add(action.entry.alert.id)
            self._did("waiting")
        if action.entry.not_before < action.until:
            await self.store.postpone(action.entry.alert.id, action.until)

    async def _deliver(self, entry: Entry, channel: str) -> None:
        try:
            if await aftermath.withdrawn(self.store, entry.alert, self.clock()):
                return None
            if snooze.is_timer(entry.alert):
                return await snooze.ring(self.store, entry.alert, self.clock())
            if attachment.is_attachment(entry.alert):
                return await self.files.deliver(entry, channel)
            if thread.behind(entry):
                return await self._tell(entry, channel)
            old = entry.begun is None and self.doubts.of(entry, channel, self.clock()) is not None
            previous = entry.receipt or await self._looked_up(entry, channel)
            if previous is None and old:  # no outbox before this one showed it: the next turn decides as it would have
                return None
            if previous is None:
                begun = await self.store.begin(entry.alert.id, Begun(channel, self.clock()), entry.begun)
                if not (begun and self.lease.lasts()):  # frozen until somebody else delivered: it is his
                    return None
            elif previous.revision >= entry.alert.revision and previous.case_version == entry.case.version:
                return None
            receipt = await self.notifier.deliver(entry.alert, channel, previous, entry.case)
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
            self._worked(channel, posted=previous is None)
            await self._note(entry, previous, self._with_case(receipt, previous, entry))
            self._did("sent")

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
            self._did("sent")
        else:
            await self.store.receipt(entry.alert.id, msgspec.structs.replace(receipt, at=self.clock()))

    async def _note(self, entry: Entry, previous: Receipt | None, receipt: Receipt) -> None:
        """Insists: what was shown and is not noted has to be looked for. What follows from it is laid out before."""
        now, alert = self.clock(), entry.alert
        receipt = msgspec.structs.replace(receipt, at=now)
        notices = aftermath.follow_ups(alert, previous, self.routing, now, round_of(entry.case))
        notices += self.files.follow(alert, previous, receipt)
        while True:
            try:
                for notice in notices:
                    await self.store.put(notice)
                await ask_follow.after_shown(self.store, alert, receipt, self.routing, now)
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
        self._did("refused")
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
