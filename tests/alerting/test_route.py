from __future__ import annotations

from typing import cast

import pytest

from alerting.route import Route, channel_of
from audit.finding import Severity
from tests.alerting.conftest import an_alert

ROUTES = (Route("high", "sec-high"), Route("critical", "sec-page"), Route("medium", "sec"))


@pytest.mark.parametrize(
    ("severity", "channel"), [("low", "rest"), ("medium", "sec"), ("high", "sec-high"), ("critical", "sec-page")]
)
def test_the_highest_floor_reached_decides(severity: str, channel: str) -> None:
    assert channel_of(an_alert(severity=cast(Severity, severity)), ROUTES, "rest") == channel


def test_without_routes_all_goes_to_the_default() -> None:
    assert channel_of(an_alert(severity="critical"), (), "rest") == "rest"
