"""The loop from outbox to people: outbox -> decide -> notifier -> receipt.

That a first delivery begins is noted before it is made, and how it ended after it. Killed between the two, or after an
unsure answer, the dispatcher looks whether people see it before it delivers again: nothing is lost and nothing doubled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from alerting import aftermath, attachment
from alerting.courier import Courier
from alerting.desk import Action, Ask, Deliver, Gather, Keep, Renew, Silence, Wait, decide
from alerting.doubts import Doubts
from alerting.lease import Lease
from alerting.live import Delivered, Live
from alerting.notifier import Notifier
from alerting.pauses import BURST, EDITS, LOOKS, POSTS, REPEATS, Pauses, limits_of
from alerting.route import HOUR, Routing
from alerting.store import AlertStore, StoreUnavailable
from audit.event import MICROSECONDS

PAGE, DEEPEST = 256, 2048
"""Alerts one look takes in, and takes in at most where none of the first can be delivered now."""
POLL = 0.25
"""Seconds between two looks into the outbox; `sleep` may return earlier when something was put in."""
BREATH = 0.03
"""Seconds for more to come in once something did: in a storm the outbox is not read for every hit."""
LONG = 60 * MICROSECONDS
"""Who leaves delivering to another does not wait for what waits longer."""

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
    courier = Courier(store, notifier, clock, sleep, stop, drain, live, pauses, lease, doubts, files)
    loop = _Loop(store, notifier, clock, sleep, drain, live, pauses, lease, doubts, files, courier)
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
    return courier.done


@dataclass(slots=True)
class _Loop:
    store: AlertStore
    notifier: Notifier
    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[object]]
    drain: bool
    live: Live
    pauses: Pauses
    lease: Lease
    doubts: Doubts
    files: attachment.Attachments
    courier: Courier
    lanes: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # channel -> the delivery under way
    busy: set[str] = field(default_factory=set)  # alerts being delivered
    depth: int = PAGE
    routed: Routing | None = None  # the routes that waits were decided by
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
        self.courier.page = page = await self.store.due(self.depth, now)
        waiting = [entry for entry in page if entry.alert.id not in self.busy]
        if self.drain and not self.lanes and all(entry.alert.id in self.courier.given_up for entry in waiting):
            return True
        if not self.drain:
            await aftermath.tell_of_ended_mutes(self.store, self.routing, self.notifier.fallback, now, self.ended)
        actions = self.files.turn_of(decide(waiting, now, self.routing), self.lanes)
        self.courier.bound = {
            one.entry.alert.id: self.courier.channel(one) for one in actions if isinstance(one, Deliver)
        }
        stuck = not await self._act(actions, now) and len(page) == self.depth
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
                self.courier.did("waiting", sum(one.planned for one in waits))
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
        before = len(self.lanes), self._kept()
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
                    self.courier.did("muted")
                    _log.info("alert %s is muted by %s", action.entry.alert.id, action.mute)
                case Keep():
                    await aftermath.keep(self.store, action, now)
                    self.courier.did("explained")
                case Ask():
                    await aftermath.ask(self.store, action, self.routing, now)
                    self.courier.did("quiet")
                case Renew():
                    await self.store.lost(action.entry.alert.id, action.entry.receipt)
        await aftermath.gather(self.store, gathered, now)
        self.courier.did("gathered", len(gathered))
        return bool(gathered) or before != (len(self.lanes), self._kept())

    def _kept(self) -> int:
        done = self.courier.done
        return done.muted + done.explained + done.quiet

    async def _start(self, action: Deliver) -> list[Gather]:
        """Begins a delivery where its channel is free; what the channel's budget does not allow is for its digest."""
        entry, channel = action.entry, self.courier.channel(action)
        if entry.alert.id in self.courier.unseen and entry.alert.severity != "critical":
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
        self.lanes[lane] = asyncio.create_task(self.courier.deliver(entry, channel), name=entry.alert.id)
        return []

    def _instead(self, action: Deliver) -> Gather:
        """Its place in a digest; in one of now where the run is to end, since nothing may wait."""
        now = self.clock()
        self.courier.unseen.discard(action.entry.alert.id)
        due = now if self.drain else (now // HOUR + 1) * HOUR
        return Gather(action.entry, action.channel, action.budget.digest_due if action.budget else due)

    def _reap(self) -> None:
        """Forgets the deliveries that ended; raises what one of them could not deal with."""
        for channel, task in list(self.lanes.items()):
            if task.done():
                del self.lanes[channel]
                self.busy.discard(task.get_name())
                task.result()

    async def _postpone(self, action: Wait) -> None:
        if self.drain and action.planned and action.entry.alert.id not in self.courier.given_up:
            self.courier.given_up.add(action.entry.alert.id)
            self.courier.did("waiting")
        if action.entry.not_before < action.until:
            await self.store.postpone(action.entry.alert.id, action.until)
