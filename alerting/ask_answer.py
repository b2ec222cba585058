"""What comes back from people: the answers to questions, and the wish of the team to ask somebody."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from alerting.alert import Alert
from alerting.ask import Word, place_of
from alerting.ask_case import asking, said
from alerting.ask_follow import come_back, moved, settle
from alerting.ask_who import Asking, asking_of, question_about
from alerting.case import Case, Refused
from alerting.casework import Hook
from alerting.interaction import Answer, Click
from alerting.notice import is_notice
from alerting.plain import plain
from alerting.route import Routing
from alerting.staff import Staff
from alerting.store import AlertStore
from alerting.when import facts_of

WORDS: dict[str, Word] = {"case.yes": "yes", "case.no": "no"}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Asks:
    """Handles `case.yes`, `case.no` (`answer`) and `case.ask` (`begin`).

    `routing` gives the routes of now; `told` hears of each answer that moved a case, as Casework's hooks do of a step.
    """

    store: AlertStore
    routing: Callable[[], Routing]
    staff: Staff
    told: Hook

    async def answer(self, click: Click) -> Answer:
        """The answer of somebody who was asked. Whoever else clicks, clicks twice or comes too late is told so.

        Raises:
            StoreUnavailable: not now.
        """
        word = WORDS.get(click.action)
        if word is None:
            return Answer("This button belongs to another version of auditwatch.")
        question = click.value.get("question", "")

        def move(case: Case, alert: Alert) -> Case | Refused:
            place = place_of(alert.id, case.ask, question) if case.ask else None
            if place is None:
                return Refused("This question is not current any more.")
            return said(case, alert, place, (click.user, word, click.at))

        await come_back(self.store, click.alert_id)
        after = await moved(self.store, click.alert_id, move)
        if isinstance(after, Refused) or after is None:
            _log.info("%r on alert %s by %s does not count", word, *_named(click))
            return Answer(after.reason if after else "There is no such alert any more.")
        _log.warning("%r on alert %s by %s", word, *_named(click))
        await self._follow(click.alert_id, click.at)
        return Answer()

    async def begin(self, click: Click) -> Answer:
        """Asks the person an alert is about, because somebody of the team wants that.

        Raises:
            StoreUnavailable: not now.
        """
        entry = await self.store.get(click.alert_id)
        if entry is None or is_notice(entry.alert):
            return Answer("There is no such alert, or none any more.")
        if objection := self.staff.objection(click, entry.alert):
            return Answer(objection)
        routing, by = self.routing(), click.person or click.user

        def move(case: Case, alert: Alert) -> Case | Refused:
            rule = asking_of(routing.routes.ask, facts_of(alert, routing.known)) or Asking()
            return asking(case, alert, question_about(alert, routing.known, rule, by, click.at))

        after = await moved(self.store, click.alert_id, move)
        if isinstance(after, Refused) or after is None or after.ask is None:
            return Answer(after.reason if isinstance(after, Refused) else "There is no such alert any more.")
        await self._follow(click.alert_id, click.at)
        names = ", then ".join(one.person for one in after.ask.people)
        return Answer(f"Asking {names}{f' (not the person: {after.ask.doubt})' if after.ask.doubt else ''}.")

    async def heard(self, alert: Alert, case: Case) -> None:
        """A hook for the steps of others: whoever was asked hears what became of it."""
        entry = await self.store.get(alert.id)
        if entry and case.ask:
            await settle(self.store, entry, self.routing(), case.at)

    async def _follow(self, alert_id: str, now: int) -> None:
        """Now, rather than when the alert's own message is shown anew: that may be a while."""
        if entry := await self.store.get(alert_id):
            await settle(self.store, entry, self.routing(), now)
            await self.told(entry.alert, entry.case)


def _named(click: Click) -> tuple[str, str]:
    return plain(click.alert_id, 60), plain(click.person or click.user, 60)
