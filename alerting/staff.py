"""Who may work cases: the declared people, known by their Slack ids, and nobody an alert is about."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from alerting.alert import Alert
from alerting.interaction import Click
from audit.context import Context
from audit.context_schema import Person

_log = logging.getLogger(__name__)


class Staff:
    """Answers from the context as it is now. `teams` narrows it to theirs; without them every declared human may.

    Where no people are declared at all, nobody can be told from the subject of an alert: then any member may, and the
    log says so once.
    """

    def __init__(self, context: Callable[[], Context], teams: Collection[str] = ()) -> None:
        self._context = context
        self._teams = frozenset(teams)
        self._warned = False

    def person(self, user: str) -> str:
        """The declared id of a Slack user; "" where it is nobody's, or more than one person's."""
        owners = self._context().people.exact("slack", user)
        return next(iter(owners)) if len(owners) == 1 else ""

    def objection(self, click: Click, alert: Alert) -> str:
        """Why this click does not count, as a sentence for the one who clicked; "" where it does."""
        context = self._context()
        if not context.declared.users:
            return self._nobody_declared()
        person = context.person(click.person)
        if person is None:
            return "You are not among the declared people: somebody has to add your Slack id to the context."
        if person.id in subjects(alert):
            return "This alert is about you: somebody else has to deal with it."
        if not _current(person, click.at):
            return "Your entry in the context is not current."
        if person.kind == "human" and not self._teams:
            return ""
        if person.kind != "service" and person.team in self._teams:
            return ""
        return f"Cases are for {', '.join(sorted(self._teams)) or 'declared employees'}."

    def _nobody_declared(self) -> str:
        if self._teams:
            return "Cases are for certain teams, but no people are declared: set AUDITWATCH_CONTEXT."
        if not self._warned:
            self._warned = True
            _log.warning(
                "no people are declared (AUDITWATCH_CONTEXT): any member of the workspace may close any alert, "
                "also one about himself"
            )
        return ""


def subjects(alert: Alert) -> frozenset[str]:
    """Whom an alert is about, and whose deeds it rests on."""
    named = {alert.principal, alert.entity.removeprefix("user:")}
    return frozenset(named | {one.principal for one in alert.findings} | {one.actor for one in alert.evidence})


def _current(person: Person, at: int) -> bool:
    started = person.start_date is None or person.start_date <= at
    return started and (person.end_date is None or at <= person.end_date)
