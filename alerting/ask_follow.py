"""What follows from asking, laid into the outbox: the next one to ask, word to whom it concerns, the end of the wait.

Each step may be broken off anywhere and repeated: what it puts has ids of its own, and a case is only moved on from the
version that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from alerting import ask_notice as notices
from alerting.alert import CHANGES, Alert
from alerting.ask import Ask, place_of, question_id
from alerting.ask_case import asking, outgrown, timed_out
from alerting.ask_who import asking_of, overseers, question_about
from alerting.case import Case, Refused
from alerting.notice import escalations
from alerting.notifier import Receipt
from alerting.route import Routing
from alerting.store import AlertStore, Entry
from alerting.when import facts_of
from audit.context import Context
from audit.context_schema import DAY
from audit.finding import stable_id

REMEMBERED = 7 * DAY
"""How long after a change that nothing explains whoever made it is still asked (µs)."""

Move = Callable[[Case, Alert], Case | Refused | None]


async def after_shown(store: AlertStore, shown: Alert, receipt: Receipt, routing: Routing, now: int) -> None:
    """What a message leads to that people see now, to be done before that is noted.

    An alert is asked about where the routes say so; a question starts the time of the next one; that nobody answered is
    noted in the case.
    """
    if notices.is_last_word(shown):
        await moved(store, shown.key, lambda case, alert: timed_out(case, now))
    if notices.is_denial(shown):
        await _escalate(store, shown, routing, now)
    if notices.is_question(shown):
        await _next(store, shown, now)
    elif not notices.is_ask(shown) and not shown.entity.startswith("channel:") and receipt.posted:
        await _begin(store, shown, receipt, routing, now)


async def begin_quietly(store: AlertStore, alert: Alert, receipt: Receipt, routing: Routing, now: int) -> None:
    """Asks about an alert without a message, while people remember."""
    if alert.time > now - REMEMBERED:
        await _begin(store, alert, receipt, routing, now)


async def come_back(store: AlertStore, alert_id: str) -> None:
    """Before a quiet alert's case moves: it is looked at again, so that what follows is told though we are killed."""
    entry = await store.get(alert_id)
    if entry and entry.alert.quiet and entry.receipt and not entry.receipt.posted:
        await store.lost(alert_id)


async def unreachable(store: AlertStore, notice: Alert, now: int) -> bool:
    """What cannot be said to a person is not said elsewhere: the next one is asked at once. False: no such notice.

    A channel is another matter: it is left to the dispatcher.
    """
    personal = notices.is_question(notice) or notice.id.startswith("ask:heard:")
    if not (notices.is_ask(notice) and personal):
        return False
    if notices.is_question(notice):
        await _next(store, notice, now, waited=True)
    await store.receipt(notice.id, _done(notice, "unreachable", now))
    return True


async def withdrawn(store: AlertStore, notice: Alert, now: int) -> bool:
    """Whether a question, or that nobody answers, needs no saying any more; then that is noted.

    One that people see, or may see, is not taken back: it is brought up to date.
    """
    if not (notices.is_question(notice) or notices.is_last_word(notice)):
        return False
    entry, about = await store.get(notice.id), await store.get(notice.key)
    if entry is None or entry.begun or entry.receipt:
        return False
    if about and about.case.status != "resolved" and about.case.ask and _waits(about.case.ask, notice):
        return False
    await store.receipt(notice.id, _done(notice, "withdrawn", now))
    return True


async def settle(store: AlertStore, entry: Entry, routing: Routing, now: int) -> None:
    """Tells everybody who was asked, and the channels, where a case stands. Nothing new: nothing is put."""
    alert, case = entry.alert, entry.case
    if case.ask is None:
        return
    ask, ended = case.ask, not case.ask.open or case.status == "resolved"
    if case.ask.open and case.status != "resolved":
        await store.put(notices.question(alert, ask, 0, now))
    for place in range(len(ask.people)) if ended else ():
        await _tell(store, entry, ask, place)
    if ask.end in ("yes", "noted") and any(one.detection.startswith(CHANGES) for one in alert.findings):
        await _tell_overseers(store, alert, ask, routing.known.context)
    if ask.end == "no":
        for channel in _channels(entry, routing, now):
            await store.put(notices.denied(alert, ask, channel))
        if alert.quiet and case.status == "reopened" and entry.receipt and not entry.receipt.posted:
            await store.lost(alert.id)  # it deserves a message now


async def moved(store: AlertStore, alert_id: str, move: Move) -> Case | Refused | None:
    """The case after a step of it, taken against the newest version; None where there is none to take."""
    while (entry := await store.get(alert_id)) is not None:
        after = move(entry.case, entry.alert)
        if not isinstance(after, Case) or await store.save_case(after):
            return after
    return None


async def _begin(store: AlertStore, alert: Alert, receipt: Receipt, routing: Routing, now: int) -> None:
    def first(case: Case, newest: Alert) -> Case | Refused | None:
        if grown := outgrown(case, newest, now):
            return grown
        rule = asking_of(routing.routes.ask, facts_of(newest, routing.known), newest.quiet)
        if rule is None or case.ask or case.status == "resolved":
            return None
        made = question_about(newest, routing.known, rule, "auditwatch", now)
        return asking(case, newest, made) if made.people else None

    entry = await store.get(alert.id)
    if entry and (routing.routes.ask or entry.case.ask):
        await moved(store, alert.id, first)
        entry = await store.get(alert.id) or entry
        await settle(store, msgspec.structs.replace(entry, receipt=receipt), routing, now)


async def _next(store: AlertStore, shown: Alert, now: int, waited: bool = False) -> None:
    """Whom to ask when this one's time is up, or that nobody answered; where it is over already, what closes it."""
    entry = await store.get(shown.key)
    ask = entry.case.ask if entry else None
    place = place_of(shown.key, ask, shown.id) if ask else None
    if entry is None or ask is None or place is None:
        return
    if not ask.open or entry.case.status == "resolved":
        await store.put(notices.closed(entry.alert, entry.case, ask, place))
        return
    due = now if waited else now + ask.wait
    channel = entry.receipt.channel if entry.receipt else ""
    last = place + 1 == len(ask.people)
    await store.put(
        notices.nobody(entry.alert, ask, channel, due) if last else notices.question(entry.alert, ask, place + 1, due)
    )


async def _escalate(store: AlertStore, shown: Alert, routing: Routing, now: int) -> None:
    """A no that nobody takes up escalates as any critical alert does, also if the alert itself was once taken up."""
    entry = await store.get(shown.key)
    if entry is None or entry.case.ask is None:
        return
    graver = msgspec.structs.replace(entry.alert, severity="critical")
    for step in escalations(graver, routing.plan(graver, now).route, now):
        name = f"escalation:{stable_id(step.id, 'denied', entry.case.ask.at)}"
        await store.put(msgspec.structs.replace(step, id=name))


async def _tell(store: AlertStore, entry: Entry, ask: Ask, place: int) -> None:
    """Brings a question people see up to date, and tells whoever did not bring that about."""
    alert, case = entry.alert, entry.case
    put = await store.get(question_id(alert.id, ask, place))
    if put is None or put.receipt is None or not put.receipt.posted:
        return
    now_says = notices.closed(alert, case, ask, place)
    if (put.alert.summary, put.alert.status) == (now_says.summary, now_says.status):
        return
    if case.actor != ask.people[place].person:
        await store.put(notices.heard(alert, case, ask, place))
    await store.put(now_says)  # last: that it says so already means that all is done


async def _tell_overseers(store: AlertStore, alert: Alert, ask: Ask, context: Context) -> None:
    """A yes says of a change neither who allowed it nor why: whoever answers for the person hears it, if not asked."""
    for one in overseers(alert, context, ask.said_by):
        place = ask.people.index(one) if one in ask.people else None
        put = None if place is None else await store.get(question_id(alert.id, ask, place))
        if put is None or put.receipt is None or not put.receipt.posted:
            await store.put(notices.agreed(alert, ask, one))


def _channels(entry: Entry, routing: Routing, now: int) -> Iterator[str]:
    """Where a no is told: where the alert is shown, and where critical alerts of its kind go if that is elsewhere."""
    if entry.receipt and entry.receipt.posted:
        yield entry.receipt.channel
    graver = msgspec.structs.replace(entry.alert, severity="critical")
    there = routing.plan(graver, now).route.channel
    if entry.alert.quiet or there not in ("", routing.plan(entry.alert, now).route.channel):
        yield there


def _waits(ask: Ask, notice: Alert) -> bool:
    """Whether a notice belongs to this round, and the round is open."""
    ours = notices.is_last_word(notice) and notice.id == notices.nobody_id(notice.key, ask)
    return ask.open and (ours or place_of(notice.key, ask, notice.id) is not None)


def _done(notice: Alert, how: str, now: int) -> Receipt:
    return Receipt(notice.revision, notice.severity, "", how, now)
