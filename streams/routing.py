"""The routes of the settings, with what they ask about: the declared people and the sources rules watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from alerting.alert import Alert
from alerting.ledger import Decision
from alerting.live import Live
from alerting.route import Routes, Routing
from alerting.route_read import load_routes
from alerting.when import Known
from audit.finding import stable_id
from rules import sigma
from rules.find import everything
from streams.load import declared, rule_folders
from streams.metrics import count, gauge
from streams.reload import Print, fingerprint, refusal
from streams.settings import Settings

log = logging.getLogger("auditwatch.routing")

LOOK_SECONDS = 2.0


def routing_of(settings: Settings, now: int, file: Path | None = None) -> Routing:
    """What the routes file (of the settings, unless another is given) says; without one nothing is routed.

    Raises:
        RouteErrors, ContextErrors, RuleErrors: naming each place in each file.
    """
    path = file or settings.routes
    if path is None:
        return Routing(known=Known(declared(settings.context)))
    routes = load_routes(path, now)
    if routes.ask and not hears(settings):
        level = logging.WARNING if settings.slack_bot_token else logging.INFO  # the starter's file asks: no news there
        log.log(level, "%s: nobody is asked: answers need Slack and SLACK_APP_TOKEN or AUDITWATCH_SLACK_HTTP", path)
        routes = msgspec.structs.replace(routes, ask=())
    return Routing(routes, Known(declared(settings.context), sources(settings) if asks_sources(routes) else {}))


@dataclass(slots=True)
class Watch:
    """Reads the routes anew when they, the context or the rules change: taken whole, or the old ones stay.

    Args:
        settings: name the files.
        live: whose routing is swapped.
        put: takes an alert of our own into the outbox.
        write: takes a decision into the ledger.
        clock: microseconds since the epoch.
        by: who decides.
    """

    settings: Settings
    live: Live
    put: Callable[[Alert], Awaitable[object]]
    write: Callable[[Decision], Awaitable[None]]
    clock: Callable[[], int]
    by: str
    _built: Print = field(init=False)
    _seen: Print = field(init=False)

    def __post_init__(self) -> None:
        self._built = self._seen = fingerprint(files(self.settings))

    async def run(self, stop: asyncio.Event) -> None:
        """Looks every two seconds until `stop` is set."""
        while self.settings.routes and not stop.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def look(self) -> None:
        """Takes what changed, once the files rest."""
        before, self._seen = self._seen, await asyncio.to_thread(fingerprint, files(self.settings))
        if self._seen == self._built or self._seen != before:
            return
        self._built = self._seen
        try:
            routing = await asyncio.to_thread(routing_of, self.settings, self.clock())
        except Exception as error:  # whatever is wrong with files people edit, the old routes go on
            await self._refuse(str(error).splitlines() or [repr(error)])
        else:
            await self._take(routing)

    async def _take(self, routing: Routing) -> None:
        before, after = hash_of(self.live.routing), hash_of(routing)
        self.live.routing = routing
        self.live.news.set()
        count("reloads", "routes taken")
        gauge("stale", 0, "routes")
        if before != after:
            log.info("routes changed: %d routes, %d mutes", len(routing.routes.routes), len(routing.routes.mutes))
            await self.write(Decision("routes", "taken", self.clock(), self.by, {"from": before, "to": after}))

    async def _refuse(self, problems: Sequence[str]) -> None:
        count("reloads", "routes refused")
        gauge("stale", 1, "routes")
        log.error("the routes changed but cannot be used; those from before stay:\n%s", "\n".join(problems))
        details = {"problem": problems[0], "problems": str(len(problems))}
        await self.write(Decision("routes", "refused", self.clock(), self.by, details))
        await self.put(refusal("routes", "the routes", problems, self.clock()))


def hears(settings: Settings) -> bool:
    """Whether clicks in Slack reach us: whoever is asked has to be able to answer."""
    return bool(settings.slack_bot_token and (settings.slack_app_token or settings.slack_http))


def files(settings: Settings) -> list[Path]:
    """What the routing is made of."""
    named = [settings.routes, settings.context]
    return [*(path for path in named if path), *rule_folders(settings.rules)]


def hash_of(routing: Routing) -> str:
    """The same for the same routes and mutes."""
    return stable_id(routing.routes)


def asks_sources(routes: Routes) -> bool:
    """Whether the rules have to be read: only they know which sources a detection watches."""
    asked = any(when.sources for when in (*(one.when for one in routes.routes), *(one.when for one in routes.mutes)))
    return asked or bool(routes.ask)  # whether somebody's Slack is in doubt depends on the sources


def sources(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The sources of each rule and correlation, by id; those that watch any source are left out."""
    found = everything(sigma.load(rule_folders(settings.rules)))
    return {rule.id: tuple(rule.sources) for rule in found if rule.sources}
