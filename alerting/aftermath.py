"""What follows a decision that is no message: a digest grows, a mute is noted, escalations are laid out.

Each step may be broken off anywhere and repeated: an alert is noted as begun for its digest before the digest names
it, and as dealt with after it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from alerting import ask_follow, notice
from alerting.alert import EXPLAINED, Alert
from alerting.ask_notice import is_ask
from alerting.desk import Ask, Gather, Keep, Silence
from alerting.notifier import Begun, Receipt
from alerting.route import Routing
from alerting.store import AlertStore, Entry
from audit.finding import at_least

_log = logging.getLogger(__name__)


async def gather(store: AlertStore, actions: Iterable[Gather], now: int) -> None:
    """Puts alerts into their digests, each digest written once."""
    grouped: defaultdict[tuple[str, int], list[Entry]] = defaultdict(list)
    for action in actions:
        grouped[action.channel, action.due].append(action.entry)
    for (channel, due), entries in grouped.items():
        new = [entry for entry in entries if not await _was_in(store, entry, now)]
        for start in range(0, len(new), notice.MEMBERS):
            await _into(store, channel, due, new[start : start + notice.MEMBERS], now)


async def _was_in(store: AlertStore, entry: Entry, now: int) -> bool:
    """Ends what was broken off between digest and receipt."""
    if entry.begun is None or entry.receipt:
        return False
    named = await store.get(entry.begun.channel)
    if named is None or not notice.holds(named.alert, entry.alert):
        return False
    await store.receipt(entry.alert.id, _dealt_with(entry.alert, entry.begun.channel, now))
    return True


async def _into(store: AlertStore, channel: str, due: int, entries: Sequence[Entry], now: int) -> None:
    name, old = await _open(store, channel, due, len(entries))
    mine = [entry.alert for entry in entries if await _taken(store, entry, Begun(name, now))]
    if mine and await store.put(notice.digest(old, name, channel, due, mine)):
        for alert in mine:
            await store.receipt(alert.id, _dealt_with(alert, name, now))


async def _taken(store: AlertStore, entry: Entry, begun: Begun) -> bool:
    """Notes that an alert is for a digest; False where another dispatcher has begun or shown it since it was read."""
    if entry.receipt is None:
        return await store.begin(entry.alert.id, begun, entry.begun)
    await store.lost(entry.alert.id, entry.receipt)
    return await store.begin(entry.alert.id, begun, None)


async def _open(store: AlertStore, channel: str, due: int, more: int) -> tuple[str, Alert | None]:
    """The first digest of that time with room for so many more."""
    part = 0
    while True:
        name = notice.digest_id(channel, due, part)
        entry = await store.get(name)
        if entry is None or entry.alert.count + more <= notice.MEMBERS:
            return name, entry.alert if entry else None
        part += 1


async def silence(store: AlertStore, action: Silence, now: int) -> None:
    """Notes that an alert was muted, and by which mute."""
    alert = action.entry.alert
    await store.receipt(alert.id, _dealt_with(alert, f"muted: {action.mute}", now))


async def keep(store: AlertStore, action: Keep, now: int) -> None:
    """Notes that nobody is told of an alert: paper explains it."""
    alert = action.entry.alert
    await store.receipt(alert.id, _dealt_with(alert, EXPLAINED, now))


async def ask(store: AlertStore, action: Ask, routing: Routing, now: int) -> None:
    """Asks about a quiet alert where the routes say so, and notes that it has no message."""
    alert = action.entry.alert
    receipt = _dealt_with(alert, "quiet", now)
    await ask_follow.begin_quietly(store, alert, receipt, routing, now)
    case = await store.case(alert.id)
    if case is None or case.status != "reopened":  # by more than somebody said yes to: then it has a message after all
        await store.receipt(alert.id, receipt)


async def tell_of_ended_mutes(store: AlertStore, routing: Routing, fallback: str, now: int, told: set[str]) -> None:
    """Lays out word of each mute that has ended, once: `told` remembers the notices, and so does the outbox."""
    for mute in routing.expired(now):
        word = notice.mute_ended(mute, routing.routes.default or fallback)
        if word.id not in told:
            await store.put(word)
            told.add(word.id)
            _log.warning("%s has ended and mutes nothing any more", mute)


async def withdrawn(store: AlertStore, alert: Alert, now: int) -> bool:
    """Whether an escalation has become needless: somebody took the alert up. Then that is noted."""
    if is_ask(alert):
        return await ask_follow.withdrawn(store, alert, now)
    if not notice.is_escalation(alert):
        return False
    case = await store.case(alert.key)
    if case is not None and case.status in ("open", "reopened"):
        return False
    await store.receipt(alert.id, _dealt_with(alert, "withdrawn", now))
    return True


def follow_ups(alert: Alert, before: Receipt | None, routing: Routing, now: int, round: int = 0) -> list[Alert]:
    """The notices a shown alert leads to: the steps of its route, and word to the channel it has become grave for.

    Each `round` of its case (reopened, a snooze ended) has the steps anew.
    """
    if notice.is_notice(alert):
        return []
    route = routing.plan(alert, now).route
    made = list(notice.escalations(alert, route, now, round))
    if before and not at_least(before.severity, alert.severity):
        then = msgspec.structs.replace(alert, severity=before.severity)
        if route.channel not in ("", routing.plan(then, now).route.channel):
            made.append(notice.raised(alert, route.channel, now))
    return made


def _dealt_with(alert: Alert, how: str, now: int) -> Receipt:
    return Receipt(alert.revision, alert.severity, "", how, now)
