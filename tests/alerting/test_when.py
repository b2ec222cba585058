from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from alerting.when import Known, When, facts_of, misfit
from audit.context import Context
from audit.context_schema import Declared, Person
from tests.alerting.conftest import a_finding, an_alert

KNOWN = Known(
    Context(Declared(users=(Person(id="alice", team="platform", squad="core"), Person(id="bob")))),
    {"r-root-login": ("cloudtrail",)},
)


@dataclass
class Case:
    when: dict[str, Any]
    why: str = ""
    alert: dict[str, Any] | None = None


@pytest.mark.parametrize(
    "case",
    [
        Case({}),
        Case({"severity": "high"}),
        Case({"severity": "critical"}, "severity high is below critical"),
        Case({"sources": ("okta", "CloudTrail")}),
        Case({"sources": ("okta",)}, "sources okta: the alert's are cloudtrail"),
        Case({"sources": ("okta",)}, "not known", {"findings": (a_finding(detection="anomaly"),)}),
        Case({"teams": ("Platform",)}),
        Case({"teams": ("core",)}),
        Case({"teams": ("data",)}, "platform, core"),
        Case({"teams": ("data",)}, "not known", {"principal": "bob"}),
        Case({"teams": ("data",)}, "not known", {"principal": "nobody"}),
        Case({"tags": ("t1078",)}),
        Case({"tags": ("T1078.004",)}),
        Case({"tags": ("T107",)}, "T1078.004"),
        Case({"tags": ("T1078.004",)}, "T1078", {"attack": ("T1078",)}),
        Case({"resources": ("secret-*",)}, "not known"),
        Case({"resources": ("secret-*",)}, "", {"entity": "resource:secret-plans"}),
        Case({"resources": ("secret-*",)}, "public", {"entity": "resource:public"}),
        Case({"principals": ("a*e",)}),
        Case({"principals": ("*",)}, "not known", {"principal": ""}),
        Case({"detections": ("r-root-*",)}),
        Case({"detections": ("other", "r-root")}, "r-root-login"),
        Case({"severity": "low", "teams": ("platform",), "tags": ("T1078",), "detections": ("nope",)}, "nope"),
    ],
    ids=str,
)
def test_what_fits_and_why_not(case: Case) -> None:
    why = misfit(When(**case.when), facts_of(an_alert(**(case.alert or {})), KNOWN))
    assert case.why in why
    assert bool(why) == bool(case.why)


def test_a_hostile_name_costs_no_time() -> None:
    alert = an_alert(principal="a" * 100_000)
    assert misfit(When(principals=("*a" * 30 + "b",)), facts_of(alert, Known()))
