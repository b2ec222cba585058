"""From a payload to a handler: one table for what comes over Socket Mode and over HTTP.

A payload is parsed before it is acknowledged and worked on after that: Slack's three seconds are never at stake.
The same interaction twice (Slack sends what was not acknowledged again) counts once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from alerting.interaction import Answer, Click, Handler, clicks
from alerting.notifier import Permanent, Retry
from alerting.plain import plain
from alerting.store import StoreUnavailable

MOST_AT_ONCE = 200
"""Clicks worked on at a time; people do not click faster, machines may."""
FINISH_SECONDS = 5.0
REMEMBERED = 4096
"""Interactions known not to count again."""

_log = logging.getLogger(__name__)


class Slack(msgspec.Struct, frozen=True):
    """What of Slack is needed here: `team` is our workspace's id, `whisper` tells only the one who clicked."""

    team: Callable[[], Awaitable[str]]
    whisper: Callable[[Click, str], Awaitable[None]]


@dataclass(slots=True)
class Clicks:
    """Handlers by action_id ("case.evidence") or its first word ("case"); the whole id goes first.

    `person` gives the declared id of a Slack user, or ""; `clock` microseconds since the epoch.
    """

    handlers: Mapping[str, Handler]
    person: Callable[[str], str]
    slack: Slack
    clock: Callable[[], int]
    _seen: dict[str, None] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, payload: object) -> None:
        """Takes what somebody did; the work goes on by itself.

        Raises:
            Malformed: it is nothing that Slack would send.
        """
        for click in clicks(payload, self.clock()):
            if self._known(click):
                continue
            if len(self._tasks) >= MOST_AT_ONCE:
                _log.error("more than %d clicks at once: one on alert %r is left out", MOST_AT_ONCE, click.alert_id)
                continue
            task = asyncio.create_task(self.work(click), name="{} on alert {} by {}".format(*_named(click)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Waits for what was taken, but not for ever."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=FINISH_SECONDS)
            for task in late:
                _log.error("%s is not done to its end: the process ends", task.get_name())
                task.cancel()

    async def work(self, click: Click) -> None:
        """Does what the click asks for and tells the one who clicked what he would not see otherwise."""
        click = msgspec.structs.replace(click, person=self.person(click.user))
        answer = await self._answer(click)
        if answer.text:
            try:
                await self.slack.whisper(click, answer.text)
            except (Retry, Permanent) as problem:
                _log.warning("%s cannot be told %r: %s", plain(click.user, 40), answer.text, problem)
            except Exception:
                _log.exception("%s cannot be told %r", plain(click.user, 40), answer.text)

    async def _answer(self, click: Click) -> Answer:
        handler = self.handlers.get(click.action) or self.handlers.get(click.action.partition(".")[0])
        if handler is None:
            return Answer("This button belongs to another version of auditwatch.")
        try:
            ours = await self.slack.team()
            if click.team and ours and click.team != ours:
                _log.warning("a click from another workspace (%s) is ignored", plain(click.team, 40))
                return Answer("Only members of this workspace can do that.")
            return await handler(click)
        except (StoreUnavailable, Retry) as problem:
            _log.error("%s on alert %s by %s: %s", *_named(click), problem)
            return Answer("That did not work just now; please try again in a minute.")
        except Exception:
            _log.exception("%s on alert %s by %s failed", *_named(click))
            return Answer("That did not work: the dispatcher's log says why.")

    def _known(self, click: Click) -> bool:
        if not click.id:
            return False
        if click.id in self._seen:
            return True
        if len(self._seen) >= REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[click.id] = None
        return False


def _named(click: Click) -> tuple[str, str, str]:
    return plain(click.action, 60), plain(click.alert_id, 60), plain(click.actor, 120)
