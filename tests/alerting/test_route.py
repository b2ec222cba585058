from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.mute import Mute
from alerting.route import Digest, Route, Routes, Routing
from alerting.route_time import DayTime, Quiet, Zone
from alerting.when import Known, When, facts_of, misfit
from audit.context_schema import End
from audit.finding import SEVERITIES, Severity
from tests.alerting.conftest import HOUR, NOON, an_alert


def routing(*routes: Route, default: str = "rest", mutes: tuple[Mute, ...] = ()) -> Routing:
    return Routing(Routes(routes, mutes, default))


@pytest.mark.parametrize(("severity", "channel"), [("low", "rest"), ("high", "sec"), ("critical", "page")])
def test_the_first_route_that_fits_decides(severity: Severity, channel: str) -> None:
    routes = routing(
        Route("page", when=When("critical")), Route("sec", when=When("high")), Route("x", when=When("high"))
    )
    assert routes.plan(an_alert(severity=severity), NOON).route.channel == channel


def test_without_routes_the_notifier_decides() -> None:
    plan = Routing().plan(an_alert(severity="critical"), NOON)
    assert (plan.route.channel, plan.mute, plan.quiet_until, plan.gathered("low")) == ("", None, 0, False)


when = st.builds(
    When,
    severity=st.sampled_from(SEVERITIES),
    principals=st.sampled_from([(), ("al*",), ("bob",)]),
    tags=st.sampled_from([(), ("T1078",), ("T1110", "T1078.004")]),
)


@given(st.lists(when, max_size=6), st.sampled_from(SEVERITIES), st.sampled_from(["alice", "bob"]))
def test_order_decides_and_nothing_below_the_winner_matters(
    whens: list[When], severity: Severity, principal: str
) -> None:
    alert = an_alert(severity=severity, principal=principal)
    routes = [Route(str(number), when=one) for number, one in enumerate(whens)]
    chosen = routing(*routes).plan(alert, NOON).route.channel
    fits = [str(n) for n, one in enumerate(whens) if not misfit(one, facts_of(alert, Known()))]
    assert chosen == (fits[0] if fits else "rest")
    above = routes[: int(chosen) + 1] if fits else routes
    assert routing(*above).plan(alert, NOON).route.channel == chosen


def test_a_route_says_what_waits_and_what_is_gathered() -> None:
    quiet = Quiet(DayTime(11 * 60), DayTime(13 * 60), "high", Zone("UTC"))
    route = Route("sec", quiet=quiet, digest=Digest("medium"))
    low = routing(route).plan(an_alert(severity="low"), NOON)
    assert low.quiet_until == NOON + HOUR
    assert low.gathered("low")
    assert not low.gathered("medium")
    assert routing(route).plan(an_alert(severity="high"), NOON).quiet_until == 0


def test_a_mute_is_found_whatever_the_route_and_ends() -> None:
    mute = Mute(When(principals=("alice",)), "carol", "pentest", End(NOON), "m")
    routes = routing(Route("sec"), mutes=(mute,))
    assert routes.plan(an_alert(), NOON).mute == mute
    assert routes.plan(an_alert(principal="bob"), NOON).mute is None
    assert routes.plan(an_alert(), NOON + 1).mute is None
    assert routes.expired(NOON) == []
    assert routes.expired(NOON + 1) == [mute]


def test_an_outbox_that_is_forgotten_lets_nothing_wait() -> None:
    route = Route(
        "sec", quiet=Quiet(DayTime(0), DayTime(1439), "critical", Zone("UTC")), digest=Digest("critical"), budget=1
    )
    hasty = Routing(Routes((route,)).at_once()).plan(an_alert(severity="low"), NOON)
    assert (hasty.quiet_until, hasty.route) == (0, Route("sec"))
