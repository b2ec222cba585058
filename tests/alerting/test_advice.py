from __future__ import annotations

import re

from hypothesis import given, settings

from alerting.advice import _MEANING, addresses, so_what, what_to_do
from alerting.alert import Alert
from audit.brief import EventBrief
from tests.alerting.conftest import NOON, a_finding, an_alert
from tests.alerting.hostile import hostile_alerts

SEEN = EventBrief(NOON, "e", "cloudtrail", "X", "success", "alice", "bob", "s3 payroll", "203.0.113.9", "KP")


def of(*attack: str, **changes: object) -> Alert:
    return an_alert(attack=attack, findings=(), **changes)


def test_the_technique_s_step_comes_first_and_the_question_last() -> None:
    steps = what_to_do(of("T1110.003", "T1078.004", "T1098", evidence=(SEEN,)))
    assert steps[0].startswith("See whether an attempt from 203.0.113.9 (KP) on alice succeeded")
    assert steps[1].startswith("End the sessions of alice")
    assert steps[2].startswith("Ask alice over a second channel")
    assert len(steps) == 3


def test_a_rule_s_own_runbook_goes_before_all_and_is_filled_in() -> None:
    steps = (
        "Ask {principal} about {resource}.",
        "Look at {address} and {target}.",
        "{nonsense} stays.",
        "four",
        "five",
    )
    alert = an_alert(findings=(a_finding(runbook=steps),), evidence=(SEEN,))
    assert what_to_do(alert) == (
        "Ask alice about s3 payroll.",
        "Look at 203.0.113.9 (KP) and bob.",
        "{nonsense} stays.",
    ), "a step asks the person already"


def test_nothing_alone_is_no_advice_where_something_graver_is() -> None:
    low = a_finding(severity="low", runbook=("Nothing alone.",), attack=())
    assert what_to_do(an_alert(findings=(low,), attack=()))[0] == "Nothing alone."
    assert "Nothing alone." not in what_to_do(an_alert(findings=(a_finding(), low)))


def test_an_unknown_technique_still_gives_a_step() -> None:
    assert len(what_to_do(of("T9999", "nonsense"))) == 1
    assert so_what(of("T9999")) == "What the rule looks for should not happen unnoticed."


def test_kinds_speak_where_techniques_do_not() -> None:
    strange = an_alert(attack=(), findings=(a_finding(kind="anomaly", attack=()),))
    assert "unlike this account" in so_what(strange)
    assert what_to_do(strange)[0] == "Look for a reason in the open: a ticket, a release, travel of alice."
    beyond = an_alert(attack=(), findings=(a_finding(kind="access", attack=()),), evidence=(SEEN,))
    assert "nothing you declared permits it" in so_what(beyond)
    assert "to do this on s3 payroll" in what_to_do(beyond)[0]


def test_the_gravest_finding_says_what_it_means() -> None:
    findings = (a_finding(attack=("T1485",)), a_finding(attack=("T1078",)))
    assert so_what(an_alert(findings=findings, attack=("T1078", "T1485"))).startswith("Data or access may be lost")


def test_nobody_can_ask_an_address() -> None:
    (step,) = what_to_do(of(entity="ip:203.0.113.9", principal=""))
    assert step == "See which accounts 203.0.113.9 reached; block it if nobody owns it."


def test_who_has_dealt_with_it_needs_no_advice() -> None:
    assert what_to_do(an_alert(status="resolved")) == ()


def test_addresses_are_named_once_and_many_are_counted() -> None:
    seen = tuple(EventBrief(NOON, f"e{n}", address=f"10.0.0.{n % 4}", country="DE" * (n % 2)) for n in range(9))
    assert addresses(an_alert(evidence=seen)) == "10.0.0.0, 10.0.0.1 (DE) and 2 more"
    assert addresses(an_alert()) == ""


@settings(max_examples=100, deadline=None)
@given(hostile_alerts)
def test_any_alert_gives_a_few_bounded_steps(alert: Alert) -> None:
    assert len(what_to_do(alert)) <= 4
    assert all(step.isprintable() and 1 <= len(step) <= 300 for step in what_to_do(alert))
    assert re.fullmatch(r"[\w ,.:;'-]+", so_what(alert))


def test_each_technique_has_one_meaning() -> None:
    listed = " ".join(_MEANING).split()
    assert len(listed) == len(set(listed))
    assert all(re.fullmatch(r"T\d{4}", one) for one in listed)
