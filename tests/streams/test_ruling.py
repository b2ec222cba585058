"""What rules say of one event on its way through score: who is heard, who only counts, and what the past adds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from audit.context import EMPTY, Context
from audit.context_schema import Declared, End, Moment, Person, RoleChange, Ticket
from audit.event import AuditEvent, Resource
from audit.event import Principal as Actor
from detectors.features import observe
from detectors.peers import Group, Snapshot
from detectors.registry import default_model
from detectors.terms import KINDS
from rules.sigma import load
from rules.view import FIRST_SEEN
from streams.deed import Deed
from streams.detections import Detections
from streams.packet import mark
from streams.principal import Principal, terms_key
from streams.ruling import apply_rules
from streams.stage import Arrival

HOUR = 3_600_000_000
DAY = 24 * HOUR
RULE = """title: A rule
id: 11111111-1111-4111-8111-111111111111
level: medium
logsource: {{product: auditwatch}}
detection: {{s: {{{selection}}}, condition: s}}
auditwatch: {{stage: {stage}}}
"""
EXCEPTION = """exceptions:
  - rules: [11111111-1111-4111-8111-111111111111]
    selection: {actor.id: alice}
    owner: bob
    reason: she tests the alarm
    created: 2026-03-01
    expires: 2026-03-20
"""
TIME = 1_772_442_847_000_000  # 2026-03-02


def event(country: str = "DE", time: int = TIME) -> AuditEvent:
    return AuditEvent(f"e{time}", time, "okta", "login", "success", Actor("alice", "Alice"), country=country)


def detections(folder: Path, *texts: str) -> Detections:
    for number, text in enumerate(texts):
        (folder / f"{number}.yml").write_text(text)
    return Detections(load([folder]), default_model(), EMPTY)


def ruled(principal: Principal, made: AuditEvent, under: Detections) -> Deed:
    deed = Deed(Arrival(0, mark(1), made), principal, observe(made))
    assert apply_rules(deed, principal.meet(deed.observation), under) == []
    return deed


def test_the_kinds_of_rules_and_of_terms_are_the_same() -> None:
    assert FIRST_SEEN == KINDS


def test_a_live_rule_is_heard_and_its_event_is_grave(tmp_path: Path) -> None:
    deed = ruled(
        Principal.unpack(None, None),
        event(),
        detections(tmp_path, RULE.format(selection="action: login", stage="live")),
    )
    assert [finding.title for finding in deed.findings] == ["A rule"]
    assert deed.grave
    assert deed.unheard == []


def test_a_shadow_rule_only_counts(tmp_path: Path) -> None:
    deed = ruled(
        Principal.unpack(None, None),
        event(),
        detections(tmp_path, RULE.format(selection="action: login", stage="shadow")),
    )
    assert deed.findings == []
    assert not deed.grave
    assert deed.unheard == [("11111111-1111-4111-8111-111111111111", "shadow")]


def test_an_excuse_hides_until_it_expires_in_event_time_and_is_counted(tmp_path: Path) -> None:
    under = detections(tmp_path, RULE.format(selection="action: login", stage="live"), EXCEPTION)
    excused = ruled(Principal.unpack(None, None), event(), under)
    assert excused.findings == []
    assert excused.unheard == [("11111111-1111-4111-8111-111111111111", "excused")]
    later = ruled(Principal.unpack(None, None), event(time=TIME + 30 * DAY), under)
    assert len(later.findings) == 1


def test_a_rule_may_ask_what_was_never_seen_in_ninety_days(tmp_path: Path) -> None:
    selection = "first_seen.country: true, history_days|gte: 14"
    under = detections(tmp_path, RULE.format(selection=selection, stage="live"))
    alice = Principal.unpack(None, None)
    assert ruled(alice, event("DE"), under).findings == [], "nobody has a past on the first day"
    assert ruled(alice, event("NL", TIME + 13 * DAY), under).findings == [], "a past of 13 days is too short"
    assert len(ruled(alice, event("FR", TIME + 20 * DAY), under).findings) == 1
    assert ruled(alice, event("FR", TIME + 20 * DAY + HOUR), under).findings == [], "seen is seen"
    assert ruled(alice, event("DE", TIME + 80 * DAY), under).findings == []
    assert len(ruled(alice, event("NL", TIME + 104 * DAY), under).findings) == 1, "91 days unseen"


def test_a_rule_may_ask_what_peers_know(tmp_path: Path) -> None:
    selection = "first_seen.country: true, team_share.country|gte: 0.5"
    plain = detections(tmp_path, RULE.format(selection=selection, stage="live"))
    country = observe(event("FR")).tokens[2]
    org = Group(6, tuple({country: 4} if kind == 2 else {} for kind in range(6)))
    alone = Group(6, tuple({} for _ in range(6)))
    under = plain.with_snapshot(Snapshot(1, {"org": org}))

    def found(made: AuditEvent, detections: Detections) -> int:
        return len(ruled(Principal.unpack(None, None), made, detections).findings)

    assert found(event("FR"), under) == 1
    assert found(event("FR"), plain) == 0, "no peers, no share"
    assert found(event("IT"), under) == 0
    team = Detections(under.rules, under.model, Context(Declared(users=(Person(id="alice", team="blue"),))))
    narrow = team.with_snapshot(Snapshot(1, {"org": org, "team:blue": alone}))
    assert found(event("FR"), narrow) == 0, "the narrowest group that speaks is asked"
    assert found(event("FR"), team.with_snapshot(Snapshot(1, {"org": org, "team:red": alone}))) == 1


def test_who_knows_it_already_is_not_counted_among_the_peers(tmp_path: Path) -> None:
    plain = detections(tmp_path, RULE.format(selection="team_share.country|gte: 0.41", stage="live"))
    country = observe(event("FR")).tokens[2]
    under = plain.with_snapshot(
        Snapshot(1, {"org": Group(6, tuple({country: 3} if kind == 2 else {} for kind in range(6)))})
    )
    alice = Principal.unpack(None, None)
    assert len(ruled(alice, event("FR"), under).findings) == 1, "3 of 6: she is too new to be one of them"
    assert ruled(alice, event("FR", TIME + 5 * DAY), under).findings == [], "2 of the other 5"


def test_the_past_survives_the_store() -> None:
    alice = Principal.unpack(None, None)
    alice.meet(observe(event("DE")))
    parts = {entry.key: entry.value for entry in alice.pack("alice")}
    again = Principal.unpack(parts.get("b:alice"), parts["m:alice"], parts[terms_key("alice")])
    assert again.meet(observe(event("DE", TIME + HOUR))).new == 0


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100_000])
def test_a_raw_record_that_is_no_json_is_a_fault_and_nothing_else(raw: bytes) -> None:
    made = AuditEvent("e1", TIME, "okta", "login", "success", Actor("alice", "Alice"), raw=raw)
    deed = Deed(Arrival(0, mark(1), made), Principal.unpack(None, None), observe(made))
    (error,) = apply_rules(deed, None, Detections(load([]), default_model(), EMPTY))
    assert "no JSON" in error


def test_a_rule_may_ask_what_is_declared_and_how_long_the_actor_was_silent(tmp_path: Path) -> None:
    selection = "actor.employment: ended, actor.days_since_seen|gte: 45"
    plain = detections(tmp_path, RULE.format(selection=selection, stage="live"))
    gone = Person(id="alice", end_date=End(TIME + 30 * DAY), last_login=Moment(TIME - 60 * DAY))
    under = Detections(plain.rules, plain.model, Context(Declared(users=(gone,))))
    alice = Principal.unpack(None, None)
    assert ruled(alice, event(), under).findings == [], "silent for long, and still here"
    assert ruled(alice, event(time=TIME + 40 * DAY), under).findings == [], "gone, and seen 40 days ago"
    assert len(ruled(alice, event(time=TIME + 85 * DAY), under).findings) == 1
    assert ruled(alice, event(time=TIME + 85 * DAY + HOUR), under).findings == [], "seen an hour ago"
    assert ruled(alice, event(time=TIME + 140 * DAY), plain).findings == [], "nothing is declared"


CORRELATED = """title: Deed
id: 11111111-1111-4111-8111-111111111111
name: deed
level: high
logsource: {product: auditwatch}
detection: {s: {action: application.lifecycle.delete}, condition: s}
"""
MANY = """title: Many
id: 33333333-3333-4333-8333-333333333333
level: high
correlation: {type: event_count, rules: [deed], group-by: [auditwatch.actor.id], timespan: 1h, condition: {gte: 2}}
"""
FEW = MANY.replace("Many", "Few").replace("id: 33333333", "id: 44444444").replace("gte: 2", "lt: 2")


def papered(folder: Path, *texts: str, resource: str = "wiki") -> Detections:
    ticket = Ticket(
        id="CHG-1", type="change", requester="alice", subject="alice", approver="bob", system="okta",
        resource=resource, opened=Moment(TIME - HOUR), approved_at=Moment(TIME - HOUR), status="approved",
    )  # fmt: skip
    people = (Person(id="alice"), Person(id="bob"))
    return replace(detections(folder, *texts), context=Context(Declared(users=people, tickets=(ticket,))))


def change(action: str = "application.lifecycle.delete") -> AuditEvent:
    alice = Actor("alice", "alice", "human", "verified")
    return msgspec.structs.replace(event(), action=action, actor=alice, resource=Resource("app", "wiki"), country=None)


def test_what_paper_explains_is_told_and_not_grave(tmp_path: Path) -> None:
    deed = ruled(Principal.unpack(None, None), change(), papered(tmp_path, CORRELATED))
    (finding,) = deed.findings
    assert finding.explained.startswith("change CHG-1 approved by bob until")
    assert (finding.severity, finding.doubts) == ("high", ())
    assert deed.explained
    assert not deed.waits


def test_a_partial_fit_lowers_by_one_and_is_still_grave(tmp_path: Path) -> None:
    deed = ruled(Principal.unpack(None, None), change(), papered(tmp_path, CORRELATED, resource="payroll"))
    (finding,) = deed.findings
    assert (finding.severity, finding.risk, finding.explained) == ("medium", 30, "")
    assert finding.doubts[1:] == ("CHG-1 is about payroll",)
    assert deed.grave
    assert not deed.explained


def test_correlations_do_not_count_what_paper_explains(tmp_path: Path) -> None:
    deed = ruled(Principal.unpack(None, None), change(), papered(tmp_path, CORRELATED, MANY))
    assert deed.matches == []
    assert deed.unheard == [("33333333-3333-4333-8333-333333333333", "explained")]


@pytest.mark.parametrize(
    ("who", "to", "why"),
    [
        ("alice", "ada", [("change", "explained")]),
        ("okta:eve", "ada", [("change", "stranger")]),
        ("alice", "eve", []),
    ],
)
def test_rights_given_of_which_nothing_is_said_are_counted(
    tmp_path: Path, who: str, to: str, why: list[object]
) -> None:
    given = msgspec.structs.replace(
        change("application.user_membership.add"),
        actor=Actor(who, who, "human", "verified"),
        target=Actor(to, to),
    )
    quiet = RULE.format(selection="action: nothing", stage="live")
    foreseen = RoleChange(user="ada", system="okta", role="wiki", effective=Moment(TIME))
    under = replace(
        papered(tmp_path, quiet), context=Context(Declared(users=(Person(id="alice"),), role_changes=(foreseen,)))
    )
    deed = ruled(Principal.unpack(None, None), given, under)
    assert deed.unheard == why
    assert [finding.kind for finding in deed.findings] == ([] if why else ["access"])


def test_one_that_looks_for_too_little_still_counts_it(tmp_path: Path) -> None:
    deed = ruled(Principal.unpack(None, None), change(), papered(tmp_path, CORRELATED, FEW))
    assert [match.correlation for match in deed.matches] == ["44444444-3333-4333-8333-333333333333"]
    assert deed.unheard == []


def test_paper_that_cannot_be_weighed_costs_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Deed, "ask_paper", broken)
    deed = Deed(Arrival(0, mark(1), change()), Principal.unpack(None, None), observe(change()))
    errors = apply_rules(deed, None, papered(tmp_path, CORRELATED))
    assert errors == ["the check against declared paper failed: ZeroDivisionError()"]
    assert len(deed.findings) == 1
