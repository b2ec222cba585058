"""The routes of the settings, with what they ask about: the declared people and the sources rules watch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alerting.route import Routes, Routing
from alerting.route_read import load_routes
from alerting.when import Known
from rules import sigma
from rules.find import everything
from streams.load import declared, rule_folders
from streams.settings import Settings


def routing_of(settings: Settings, now: int, file: Path | None = None) -> Routing:
    """What the routes file (of the settings, unless another is given) says; without one nothing is routed.

    Raises:
        RouteErrors, ContextErrors, RuleErrors: naming each place in each file.
    """
    path = file or settings.routes
    if path is None:
        return Routing()
    routes = load_routes(path, now)
    return Routing(routes, Known(declared(settings.context), sources(settings) if asks_sources(routes) else {}))


def asks_sources(routes: Routes) -> bool:
    """Whether the rules have to be read: only they know which sources a detection watches."""
    return any(when.sources for when in (*(one.when for one in routes.routes), *(one.when for one in routes.mutes)))


def sources(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The sources of each rule and correlation, by id; those that watch any source are left out."""
    found = everything(sigma.load(rule_folders(settings.rules)))
    return {rule.id: tuple(rule.sources) for rule in found if rule.sources}
