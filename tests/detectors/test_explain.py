"""Reasons name what an analyst would name, with the numbers, and carry no control characters."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from audit.context import Context
from audit.context_schema import Company, Declared, IpRange, Person, Sensitive
from audit.event import AuditEvent, Resource
from detectors.baseline import Baseline
from detectors.explain import MOST, TEXT_CHARS, clip, explain
from detectors.features import FEATURES, features, learn, observe
from detectors.known import Known
from detectors.model import Model
from detectors.names import Names, with_names
from detectors.peers import NONE, Group, Snapshot
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
    return explain(model, Known(baseline), obs, strange, features(baseline, obs))


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
            learn(baseline, observe(event(NOON + second, f"Get{second}", resource=KNOWN, outcome="denied")))
        said = reasons(model, baseline, event(NOON + 9, "GetMore", resource=KNOWN, outcome="denied"))
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


class TestUsual:
    """What would have been normal, for oneself and for the peers."""

    COMPANY = Context(
        Declared(
            users=(Person(id="alice", team="payments", timezone="Europe/Berlin"),),
            ip_ranges=(IpRange(cidr="192.0.2.0/24", kind="office", site="Berlin"),),
            company=Company(sensitive=Sensitive(buckets=("payroll",))),
        )
    )

    def known(self, peers: int = 0, **changed: object) -> Known:
        """Alice after four weeks in a team of eleven mature members, of which so many have what an event brings."""
        baseline, names = Baseline(), Names()
        for made in usual(28):
            obs = observe(made, self.COMPANY)
            learn(baseline, obs)
            names = with_names(names, baseline, obs, made)
        tokens = observe(event(NOON, **changed)).tokens  # type: ignore[arg-type]
        people = tuple({token: peers} if peers else {} for token in tokens)
        team = Group(11, people, tuple({} for _ in tokens))
        return Known(baseline, names, self.COMPANY, Snapshot(NOON, {"team:payments": team, "org": Group(50)}))

    def said(self, model: Model, known: Known, strange: AuditEvent, **more: object) -> tuple[str, ...]:
        obs = msgspec.structs.replace(observe(strange, self.COMPANY), **more)
        groups = known.snapshot.peers_of(self.COMPANY.person("alice"), "human")
        return explain(model, known, obs, strange, features(known.baseline, obs, groups))

    def test_of_a_place(self, model: Model) -> None:
        away: dict[str, object] = {"resource": KNOWN, "country": "NL", "asn": 64500, "source_ip": "203.0.113.9"}
        said = self.said(model, self.known(3, **away), event(NOON, **away))
        assert any(
            reason.startswith("first time from NL (AS64500) (")
            and reason.endswith("; usual: DE, AS64496, office Berlin; 3 of 10 others in team payments do")
            for reason in said
        )

    def test_of_a_tool(self, model: Model) -> None:
        said = self.said(model, self.known(), event(NOON, resource=KNOWN, user_agent=AGENTS[2]))
        assert any(
            reason.startswith("first time with aws-cli linux (")
            and reason.endswith("; usual: chrome mac; 0 of 10 others in team payments do")
            for reason in said
        )

    def test_of_the_hours_on_the_own_clock(self, model: Model) -> None:
        said = self.said(model, self.known(), event(DAY + 3 * 3600, resource=KNOWN))
        wanted = "active on a weekday at 05 h Europe/Berlin: 0 of "
        assert any(reason.startswith(wanted) and reason.endswith("; usual on a weekday: 10 to 18 h") for reason in said)

    def test_of_an_action(self, model: Model) -> None:
        said = self.said(model, self.known(4), event(NOON, "create", resource=Resource("pods/exec", "a/b")))
        assert any(
            reason.startswith("first privileged create pods/exec by this principal (")
            and reason.endswith("; 0 of 10 others in team payments do")
            for reason in said
        )

    def test_of_what_is_sensitive(self, model: Model) -> None:
        said = self.said(model, self.known(), event(NOON, "PutObject", resource=Resource("s3 bucket", "payroll")))
        assert any(reason.startswith("first time on sensitive s3 bucket payroll (") for reason in said)

    def test_of_a_way_and_a_session(self, model: Model) -> None:
        known = self.known()
        learn(known.baseline, msgspec.structs.replace(observe(event(NOON, session_id="s")), place=(52.5, 13.4)))
        strange = event(NOON + 1800, resource=KNOWN, country="JP", asn=64500, source_ip="203.0.113.9", session_id="s")
        row = [0.0] * len(FEATURES)
        for name in ("travel", "session_moved"):
            row[[feature.name for feature in FEATURES].index(name)] = 9.0
        obs = msgspec.structs.replace(observe(strange, self.COMPANY), place=(35.7, 139.7))
        told = msgspec.structs.replace(
            model.card, quantiles=((0.0,) * len(model.card.tails),) * len(FEATURES)
        )  # a model that never saw either
        said = explain(replace(model, card=told), known, obs, strange, row)
        assert "8917 km from where it was 30 min before: 17835 km/h; usual: DE" in said
        assert "its session began elsewhere from AS64496, now from JP (AS64500)" in said

    def test_without_a_snapshot_nothing_is_said_of_peers(self, model: Model) -> None:
        known = msgspec.structs.replace(self.known(), snapshot=NONE)
        said = self.said(model, known, event(NOON, "StopLogging", country="NL", asn=1))
        assert said
        assert not any("others in" in reason for reason in said)
