from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from alerting.when import OTHERS, Known, When, facts_of, misfit
from audit.brief import EventBrief
from audit.context import Context
from audit.context_schema import Declared, Person
from tests.alerting.conftest import NOON, a_finding, an_alert

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


def briefs(*pairs: tuple[str, str]) -> tuple[EventBrief, ...]:
    return tuple(EventBrief(NOON, f"e{n}", source, resource=name) for n, (source, name) in enumerate(pairs))


def test_what_is_known_comes_from_the_events_too() -> None:
    alert = an_alert(evidence=briefs(("okta", "app Payroll"), ("github", "repo acme/core")))
    facts = facts_of(alert, KNOWN)
    assert facts.sources == ("okta", "github", "cloudtrail")
    assert facts.resources == ("Payroll", "acme/core")
    assert not misfit(When(sources=("github",), resources=("acme/*",)), facts)
    about = an_alert(entity="resource:secret", evidence=alert.evidence)
    assert facts_of(about, KNOWN).resources == ("secret",)


def test_what_is_not_known_of_its_events_is_said() -> None:
    alert = an_alert(evidence=briefs(("okta", "app Payroll")))
    assert facts_of(alert, KNOWN).resources == ("Payroll", OTHERS)
    assert facts_of(alert, KNOWN).sources == ("okta", "cloudtrail"), "rules say what they watch"
    assert facts_of(alert, Known()).sources == ("okta", OTHERS)


def test_wholly_means_that_it_is_about_nothing_else() -> None:
    both = an_alert(findings=(a_finding(detection="noisy"), a_finding(detection="grave")), attack=("T1110", "T1098"))
    facts = facts_of(both, Known())
    for when in (When(detections=("noisy",)), When(tags=("T1110",))):
        assert not misfit(when, facts)
        assert "the alert's are also" in misfit(when, facts, wholly=True)
    assert not misfit(When(detections=("noisy", "gr*"), tags=("T1110", "T1098")), facts, wholly=True)
    assert not misfit(When(teams=("core",)), facts_of(an_alert(), KNOWN), wholly=True), "a team of two is enough"
    partly = facts_of(an_alert(evidence=briefs(("okta", "bucket test-1"))), Known())
    assert OTHERS in misfit(When(resources=("test-*",)), partly, wholly=True)
