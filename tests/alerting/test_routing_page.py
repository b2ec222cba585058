"""The example of docs/routing.md is a right file and does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

from alerting.route import Routing
from alerting.route_explain import explain
from alerting.route_read import read_routes
from alerting.webhook_sign import header_of
from audit.brief import EventBrief
from audit.event import parse_rfc3339
from tests.alerting.conftest import NOON, a_finding, an_alert

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "routing.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_the_example_says_of_the_alert_what_the_page_shows() -> None:
    now = parse_rfc3339("2026-11-24T21:00:00Z")
    routes = read_routes(block("yaml").encode(), "routing.md", now)
    alert = an_alert(
        severity="low",
        attack=("T1078",),
        time=now,
        event_ids=("e1",),
        evidence=(EventBrief(now, "e1", "okta", resource="app Payroll"),),
        findings=(a_finding(detection="okta-new-country", severity="low"),),
    )
    shown = [
        line.split(maxsplit=2)
        for line in PAGE.splitlines()
        if re.match(r"      (alert|not |route|quiet|dig|bud)", line)
    ]
    said = [f"{line.what} {line.name} {line.why}" for line in explain(alert, Routing(routes), now)]
    assert [" ".join(" ".join(words).split()) for words in shown] == said


def test_the_receivers_check_on_the_page_is_right() -> None:
    scope: dict[str, object] = {}
    exec(block("python"), scope)
    scope["time"] = type("Clock", (), {"time": staticmethod(lambda: NOON / 1e6)})
    genuine = scope["genuine"]
    assert callable(genuine)
    header = header_of("0123456789abcdef", b"{}", NOON)
    assert genuine("0123456789abcdef", header, b"{}")
    assert not genuine("0123456789abcdef", header, b"{ }")
    assert not genuine("0123456789abcdeX", header, b"{}")
