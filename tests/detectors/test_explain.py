"""Reasons name what an analyst would name, with the numbers, and carry no control characters."""

from __future__ import annotations

import pytest

from audit.event import AuditEvent, Resource
from detectors.baseline import Baseline
from detectors.explain import MOST, TEXT_CHARS, clip, explain
from detectors.features import features, learn, observe
from detectors.model import Model
from tests.detectors.company import AGENTS, MONDAY, event, usual

DAY = MONDAY + 28 * 86_400
NOON = DAY + 12 * 3600
KNOWN = Resource("bucket", "reports-1")


@pytest.fixture
def baseline() -> Baseline:
    made = Baseline()
    for one in usual(28):
        learn(made, observe(one))
    return made


def reasons(model: Model, baseline: Baseline, strange: AuditEvent) -> tuple[str, ...]:
    obs = observe(strange)
    return explain(model, baseline, obs, strange, features(baseline, obs))


class TestReasons:
    def test_a_new_place(self, model: Model, baseline: Baseline) -> None:
        said = reasons(model, baseline, event(NOON, resource=KNOWN, country="NL", asn=64500, source_ip="203.0.113.9"))
        assert any(reason.startswith("first time from NL (AS64500) (") for reason in said)

    def test_a_new_provider_in_the_usual_country(self, model: Model, baseline: Baseline) -> None:
        said = reasons(model, baseline, event(NOON, resource=KNOWN, asn=64500, source_ip="203.0.113.9"))
        assert any(reason.startswith("first time from AS64500 (DE) (") for reason in said)

    def test_a_place_without_geography(self, model: Model, baseline: Baseline) -> None:
        strange = event(NOON, resource=KNOWN, country=None, asn=None, source_ip="203.0.113.9")
        assert any("first time from 203.0.113.0/24" in reason for reason in reasons(model, baseline, strange))

    def test_a_new_privileged_action(self, model: Model, baseline: Baseline) -> None:
        said = reasons(model, baseline, event(NOON, "AttachUserPolicy", resource=KNOWN))
        assert any(reason.startswith("first privileged AttachUserPolicy by this principal (") for reason in said)

    def test_a_new_tool(self, model: Model, baseline: Baseline) -> None:
        said = reasons(model, baseline, event(NOON, resource=KNOWN, user_agent=AGENTS[2]))
        assert any(reason.startswith("first time with aws-cli linux (") for reason in said)

    def test_an_hour_nobody_expects(self, model: Model, baseline: Baseline) -> None:
        said = reasons(model, baseline, event(DAY + 3 * 3600, resource=KNOWN))
        assert any(reason.startswith("active on a weekday at 03 h UTC: 0 of ") for reason in said)

    def test_a_burst_with_its_usual(self, model: Model, baseline: Baseline) -> None:
        for second in range(40):
            learn(baseline, observe(event(NOON + second, resource=Resource("object", str(second)))))
        said = reasons(model, baseline, event(NOON + 40, resource=Resource("object", "40")))
        assert "about 40 events in 15 min, usual peak 2, highest 2.1" in said
        assert "about 40 resources in 15 min, usual peak 2, highest 2.1" in said

    def test_denials(self, model: Model, baseline: Baseline) -> None:
        for second in range(9):
            learn(baseline, observe(event(NOON + second, resource=KNOWN, outcome="denied")))
        said = reasons(model, baseline, event(NOON + 9, resource=KNOWN, outcome="denied"))
        assert any(reason.startswith("about 0 failed and 10 denied of 10 events in 15 min, usual ") for reason in said)

    def test_a_long_absence(self, model: Model, baseline: Baseline) -> None:
        said = reasons(model, baseline, event(NOON + 90 * 86_400, resource=KNOWN))
        assert any(reason.startswith("seen again after 9") and reason.endswith(" days") for reason in said)

    def test_something_rare_but_known(self, model: Model, baseline: Baseline) -> None:
        learn(baseline, observe(event(NOON - 86_400, resource=KNOWN, user_agent=AGENTS[2])))
        said = reasons(model, baseline, event(NOON, resource=KNOWN, user_agent=AGENTS[2]))
        assert any(reason.startswith("with aws-cli linux: 1 of ") for reason in said)


class TestForm:
    def test_at_most_three_and_each_once(self, model: Model, baseline: Baseline) -> None:
        everything = event(
            DAY + 3 * 3600, "StopLogging", outcome="denied", country="NL", asn=1, source_ip="::1", user_agent=AGENTS[2]
        )
        said = reasons(model, baseline, everything)
        assert len(said) == len(set(said)) == MOST

    def test_there_is_always_a_reason(self, model: Model, baseline: Baseline) -> None:
        today = list(usual(1, start=DAY))
        for made in today[:20]:
            learn(baseline, observe(made))
        usual_event = today[20]
        assert reasons(model, baseline, usual_event) == ("an unusual combination of things that are each usual",)

    def test_it_does_not_teach(self, model: Model, baseline: Baseline) -> None:
        before = baseline.pack()
        reasons(model, baseline, event(NOON, "StopLogging"))
        assert baseline.pack() == before

    def test_hostile_text_is_cut_and_cleaned(self, model: Model, baseline: Baseline) -> None:
        nasty = "Stop\x1b[31m\nLogging" + "\u202e" + "x" * 10_000
        said = reasons(model, baseline, event(NOON, nasty, resource=Resource(nasty, nasty), user_agent=nasty))
        assert all(reason.isprintable() and len(reason) < 3 * TEXT_CHARS for reason in said)

    def test_clip(self) -> None:
        assert clip("a\x00b\u2028c") == "a?b?c"
        assert len(clip("x" * 1000)) == TEXT_CHARS
