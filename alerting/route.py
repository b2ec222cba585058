"""Who hears of an alert, and when: an ordered list of routes; the first that fits decides."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from alerting.alert import Alert
from alerting.ask_who import Asking
from alerting.mute import Mute, muted_by
from alerting.route_time import Quiet, Span, Zone, quiet_until
from alerting.when import Known, When, facts_of, misfit
from audit.event import MICROSECONDS
from audit.finding import Severity, at_least

HOUR = Span(3600 * MICROSECONDS)


class Digest(msgspec.Struct, frozen=True):
    """Alerts below a severity are gathered into one message a channel and `every` so long."""

    below: Severity
    every: Span = HOUR


class Late(msgspec.Struct, frozen=True):
    """Alerts below a severity that are older than `after` when they could first be shown are gathered too."""

    after: Span
    below: Severity = "critical"


class Step(msgspec.Struct, frozen=True):
    """Nobody has acknowledged an alert of this severity or graver `after` so long: `to` hears, a channel or user."""

    after: Span
    to: str
    severity: Severity = "low"


class Route(msgspec.Struct, frozen=True):
    """Where alerts that fit `when` go. `budget` is how many messages a day its channel gets from it at most."""

    channel: str
    name: str = ""
    when: When = When()
    quiet: Quiet | None = None
    digest: Digest | None = None
    budget: int | None = None
    escalate: tuple[Step, ...] = ()


class Routes(msgspec.Struct, frozen=True):
    """What the routes file says. An empty `default` is the channel of the settings; days are those of `timezone`.

    `ask` says which alerts the person they are about is asked of; the first that fits decides.
    """

    routes: tuple[Route, ...] = ()
    mutes: tuple[Mute, ...] = ()
    default: str = ""
    timezone: Zone = Zone("UTC")
    ask: tuple[Asking, ...] = ()
    late: Late | None = None

    def at_once(self) -> Routes:
        """The same without anything that waits: for an outbox that is forgotten when its process ends."""
        hasty = (
            msgspec.structs.replace(route, quiet=None, digest=None, budget=None, escalate=()) for route in self.routes
        )
        return msgspec.structs.replace(self, routes=tuple(hasty), ask=(), late=None)

    def comes_late(self, alert: Alert, now: int) -> bool:
        """Whether it is too old for a message of its own."""
        late = self.late
        return late is not None and alert.time < now - late.after and not at_least(alert.severity, late.below)


class Plan(msgspec.Struct, frozen=True):
    """What becomes of one alert now: its route; the mute that silences it; until when it waits (0: not at all)."""

    route: Route
    mute: Mute | None = None
    quiet_until: int = 0
    late: bool = False

    def gathered(self, severity: Severity) -> bool:
        """Whether an alert of this severity goes into the route's digest."""
        return self.late or (self.route.digest is not None and not at_least(severity, self.route.digest.below))


class Routing(msgspec.Struct, frozen=True):
    """The routes and what they need to know; the empty one leaves every alert to its notifier, at once."""

    routes: Routes = Routes()
    known: Known = Known()

    def plan(self, alert: Alert, now: int) -> Plan:
        """What the routes say of an alert at `now` (microseconds since the epoch)."""
        facts = facts_of(alert, self.known)
        routes = self.routes
        route = next((one for one in routes.routes if not misfit(one.when, facts)), self.otherwise)
        until = quiet_until(route.quiet, alert.severity, now) if route.quiet else 0
        return Plan(route, muted_by(routes.mutes, facts, now), until, routes.comes_late(alert, now))

    @property
    def otherwise(self) -> Route:
        """Where alerts go that fit no route."""
        return Route(channel=self.routes.default, name="default")

    def expired(self, now: int) -> Sequence[Mute]:
        """The mutes that no longer work."""
        return [mute for mute in self.routes.mutes if now > mute.expires]
