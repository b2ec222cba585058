from __future__ import annotations

import msgspec

from alerting.route import Routing
from alerting.route_explain import explain
from alerting.route_read import read_routes
from audit.finding import Severity
from tests.alerting.conftest import NOON, an_alert
from tests.alerting.test_route_read import WHOLE

ROUTES = read_routes(
    WHOLE.replace("sources: okta", "tags: T1078").replace("teams: [platform, data]", "principals: al*").encode(),
    "r",
    NOON,
)


def said(
    severity: Severity, now: int = NOON, spent: int | None = None, **changes: object
) -> list[tuple[str, str, str]]:
    lines = explain(an_alert(severity=severity, **changes), Routing(ROUTES), now, spent)
    return [msgspec.structs.astuple(line) for line in lines if line.what != "alert"]


def test_the_first_route_takes_it_and_escalates() -> None:
    assert said("critical") == [
        ("route", "pages", "goes to #page"),
        ("not mute", "mute 1", "detections r-1: the alert's are r-root-login"),
        ("escalation", "U0123", "15m after it is shown, unless acknowledged"),
        ("escalation", "#leads", "1h after it is shown, unless acknowledged"),
    ]


def test_why_a_route_was_not_taken_and_what_waits() -> None:
    night = NOON + 8 * 3600 * 1_000_000
    assert said("low", night, spent=7) == [
        ("not route", "pages", "severity low is below critical"),
        ("route", "route 2", "goes to C0123"),
        ("not mute", "mute 1", "detections r-1: the alert's are r-root-login"),
        ("quiet", "below high", "waits until 2026-02-01T06:00:00.000Z"),
        ("digest", "below medium", "into the digest, every 4h"),
        ("budget", "40 a day", "7 posted today; critical alerts are never held back"),
    ]


def test_what_is_too_grave_to_wait() -> None:
    lines = {what: why for what, _, why in said("high")}
    assert lines["quiet"] == "not now, or too grave to wait"
    assert lines["digest"].startswith("too grave")
    assert "without Redis" in lines["budget"]


def test_mutes_that_work_and_have_ended() -> None:
    alert = an_alert(findings=(msgspec.structs.replace(an_alert().findings[0], detection="r-1"),))
    now = list(explain(alert, Routing(ROUTES), NOON))
    later = list(explain(alert, Routing(ROUTES), NOON + 40 * 86_400_000_000))
    assert [(line.what, line.why) for line in now if "mute" in line.what] == [
        ("mute", "until 2026-03-01T23:59:59.999999Z, carol: pentest CHG-12")
    ]
    assert [line.what for line in later if "mute" in line.what] == ["not mute"]


def test_no_route_fits() -> None:
    assert said("low", attack=())[2] == ("route", "default", "goes to #security")
    (route,) = (line for line in explain(an_alert(), Routing(), NOON) if line.what == "route")
    assert route.why == "goes to the channel of the settings"


def test_what_is_not_known_is_said() -> None:
    known = {line.name: line.why for line in explain(an_alert(), Routing(), NOON) if line.what == "alert"}
    assert known["teams"] == known["sources"] == known["resources"] == "not known"
    assert known["tags"] == "T1078.004"


def test_of_a_quiet_alert_nobody_is_told_and_only_who_is_named_is_asked() -> None:
    ask = "ask: [{when: {severity: low}}, {name: changes, when: {detections: [r-root-login]}}]\n"
    routing = Routing(read_routes(f"routes: [{{channel: sec}}]\n{ask}".encode(), "r", NOON))
    loud, quiet = (list(explain(an_alert(quiet=quiet), routing, NOON)) for quiet in (False, True))
    assert [line.what for line in quiet if line not in loud] == ["not told"]
    unnamed = Routing(read_routes(b"ask: [{when: {severity: low}}]\n", "r", NOON))
    assert not [line for line in explain(an_alert(quiet=True), unnamed, NOON) if "ask" in line.what]
    assert [line for line in explain(an_alert(), unnamed, NOON) if "ask" in line.what]
