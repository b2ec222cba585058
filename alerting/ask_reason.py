"""Why was it done? Whoever is asked about an alert may give a ticket and a reason instead of an answer.

Free text closes nothing: it goes into the case (its history, thread and the ledger), and whoever answers for the person
hears it, and the approver of the ticket if it is a declared one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from alerting import ask_notice as notices
from alerting.alert import Alert
from alerting.ask import NOT_YOURS, Ask, place_of
from alerting.ask_case import explained
from alerting.ask_follow import moved
from alerting.ask_who import overseers
from alerting.case import Case, Refused
from alerting.interaction import Answer, Click, value_of
from alerting.plain import plain
from alerting.route import Routing
from alerting.slack_text import literal, safe, section
from alerting.store import AlertStore

GIVEN = "case.reason_given"
LONGEST_REASON, LONGEST_TICKET = 1_000, 64
NOT_CURRENT = "This question is not current any more."

Dialog = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Opens a dialog for whoever clicked: the click's trigger, the view."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reasons:
    """Handles `case.reason` (`ask`: opens the dialog) and what comes of it (`take`)."""

    store: AlertStore
    routing: Callable[[], Routing]
    dialog: Dialog

    async def ask(self, click: Click) -> Answer:
        """Opens the dialog for the one who was asked, and for nobody else.

        Raises:
            StoreUnavailable, Retry, Permanent: not now.
        """
        entry = await self.store.get(click.alert_id)
        question = click.value.get("question", "")
        place = _place(entry.case.ask, click.alert_id, question) if entry else None
        if entry is None or entry.case.ask is None or place is None:
            return Answer(NOT_CURRENT)
        if click.user != entry.case.ask.people[place].slack:
            return Answer(NOT_YOURS)
        await self.dialog(click.id, view_of(entry.alert, question))
        return Answer()

    async def take(self, click: Click) -> Answer:
        """Notes a reason in the case and tells whoever answers for the person.

        Raises:
            StoreUnavailable: not now.
        """
        note = note_of(click)

        def move(case: Case, alert: Alert) -> Case | Refused:
            place = _place(case.ask, alert.id, click.value.get("question", ""))
            return Refused(NOT_CURRENT) if place is None else explained(case, place, click.user, click.at, note)

        after = await moved(self.store, click.alert_id, move)
        entry = await self.store.get(click.alert_id)
        if isinstance(after, Refused) or after is None or entry is None:
            return Answer(after.reason if isinstance(after, Refused) else "There is no such alert any more.")
        _log.warning("%s gave a reason for alert %s", plain(after.actor, 60), plain(click.alert_id, 60))
        ticket = plain(click.value.get("ticket", ""), LONGEST_TICKET).strip()
        for one in overseers(entry.alert, self.routing().known.context, after.actor, ticket):
            await self.store.put(notices.reason(entry.alert, after, one))
        return Answer()


def note_of(click: Click) -> str:
    """What a dialog was filled in with, as the case notes it."""
    ticket = plain(click.value.get("ticket", ""), LONGEST_TICKET).strip()
    reason = plain(click.value.get("reason", ""), LONGEST_REASON).strip() or "-"
    return f"ticket {ticket}: {reason}" if ticket else f"no ticket: {reason}"


def view_of(alert: Alert, question: str) -> dict[str, Any]:
    """The dialog: a ticket if there is one, and a reason."""
    return {
        "type": "modal",
        "callback_id": GIVEN,
        "private_metadata": value_of(alert.id, 0, question=question),
        "title": literal("Why was it done?"),
        "submit": literal("Send"),
        "close": literal("Cancel"),
        "blocks": [
            section(literal(safe(alert.title, 300))),
            _input("ticket", "Ticket, if there is one", LONGEST_TICKET, optional=True),
            _input("reason", "What was it done for, and who knows of it?", LONGEST_REASON, multiline=True),
        ],
    }


def _input(name: str, label: str, longest: int, optional: bool = False, multiline: bool = False) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": name, "max_length": longest, "multiline": multiline}
    return {"type": "input", "block_id": name, "label": literal(label), "optional": optional, "element": element}


def _place(ask: Ask | None, alert_id: str, question: str) -> int | None:
    return place_of(alert_id, ask, question) if ask else None
