"""Which channel hears of an alert."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from alerting.alert import Alert
from audit.finding import SEVERITIES, Severity, at_least


class Route(msgspec.Struct, frozen=True):
    """Alerts as grave as `floor` or graver go to `channel`."""

    floor: Severity
    channel: str


def channel_of(alert: Alert, routes: Sequence[Route], default: str) -> str:
    """The channel of the highest floor the alert reaches; `default` where it reaches none."""
    reached = [route for route in routes if at_least(alert.severity, route.floor)]
    return max(reached, key=lambda route: SEVERITIES.index(route.floor)).channel if reached else default
