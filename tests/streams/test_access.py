"""The authorization model on an event's way through score: once a day, observed, a gap of the model."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.context import Context
from audit.finding import Finding
from detectors.features import observe
from detectors.peers import Snapshot
from detectors.registry import default_model
from rules.access import access_of
from rules.access_finding import permission_code
from rules.correlation_section import LATENESS
from rules.sigma import load
from rules.view import View
from streams.access import judge_access
from streams.deed import Deed
from streams.detections import Detections
from streams.packet import mark
from streams.principal import FIRST_USES, UNDECLARED, Principal, Use, memory_key, undeclared_in
from streams.replay import Run
from streams.ruling import apply_rules
from streams.snapshots import GAP_PRINCIPALS, of_values
from streams.stage import Arrival
from tests.rules.accessing import DAY, NOON, call, context

RULE = """title: Undeclared secret
id: 22222222-2222-4222-8222-222222222222
level: low
logsource: {product: auditwatch}
detection:
  s: {access.decision: undeclared}
  condition: s
"""


@pytest.fixture
def detections(tmp_path: Path) -> Detections:
    return under(context(tmp_path), tmp_path)


def under(known: Context, folder: Path) -> Detections:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "r.yml").write_text(RULE)
    return Detections(load([folder / "rules"]), default_model(), known)


def judged(principal: Principal, seen: Any, detections: Detections) -> Deed:
    event, record = seen
    deed = Deed(Arrival(0, mark(1), event), principal, observe(event))
    known = detections.context
    judge_access(deed, View(event, record, None, known.person(event.actor.id), known), detections)
    return deed


def test_what_nobody_declared_becomes_a_finding_at_its_first_uses_in_a_day(detections: Detections) -> None:
    ada = Principal.unpack(None, None)
    first = judged(ada, call(on="q"), detections)
    assert [finding.detection for finding in first.findings] == ["access.undeclared"]
    assert first.findings[0].version == detections.version
    assert judged(ada, call(on="q", time=NOON + LATENESS), detections).findings
    again = judged(ada, call(on="q", time=NOON + LATENESS + 1), detections)
    assert (again.findings, again.unheard) == ([], [("access.undeclared", "repeat")])
    assert judged(ada, call(on="acorn-finance-x", time=NOON + LATENESS + 1), detections).findings  # another permission
    assert judged(ada, call(on="q", time=NOON + DAY), detections).findings
    assert judged(ada, call(), detections).findings == []


def test_a_low_one_may_be_learnt_and_a_grave_one_waits(detections: Detections) -> None:
    assert not judged(Principal.unpack(None, None), call(on="q"), detections).grave
    ada = Principal.unpack(None, None)
    assert judged(ada, call(on="acorn-finance-x"), detections).grave
    again = judged(ada, call(on="acorn-finance-x", time=NOON + DAY // 3), detections)
    assert (again.findings, again.grave) == ([], True)  # a repeat does not teach


def test_observe_only_counts_and_says_nothing(tmp_path: Path) -> None:
    observing = under(context(tmp_path, observe_only=True), tmp_path)
    deed = judged(Principal.unpack(None, None), call("cy"), observing)
    assert (deed.findings, deed.unheard) == ([], [("access.after_end", "observed")])
    assert not deed.grave


def test_what_so_many_use_is_a_gap_of_the_model(detections: Detections) -> None:
    seen = call(on="q")
    access = access_of(detections.context)
    code = permission_code(access, seen[0], access.decide(*seen))
    wide = detections.with_snapshot(Snapshot(made=1, gaps=(code,)))
    deed = judged(Principal.unpack(None, None), seen, wide)
    assert (deed.findings, deed.unheard) == ([], [("access.undeclared", "gap")])
    assert judged(Principal.unpack(None, None), call("cy"), wide).findings  # who has left is no gap


def test_who_goes_round_a_decision_or_is_in_a_place_of_others_is_no_gap(tmp_path: Path) -> None:
    """However many do."""
    grant = {"system": "aws", "role": "aws-admin", "start": "2026-03-01", "expires": "2026-03-09"}
    role = {"name": "aws-night", "system": "aws", "actions": ["*"], "resources": ["night-*"]}
    known = context(
        tmp_path,
        temporary_grants=[{**grant, "user": "eve", "granted_by": "eve"}],
        plus_users=[{"id": "owl", "roles": ["aws-night"]}],
        plus_roles=[{**role, "conditions": {"hours": "22:00-23:00"}}],
    )
    for seen, name in (
        (call("aws:legacy"), "access.stranger"),
        (call("eve", on="q"), "access.self_granted"),
        (call("owl", on="night-x"), "access.condition"),
        (call(on="acorn-finance-x"), "access.undeclared"),
    ):
        access = access_of(known)
        code = permission_code(access, seen[0], access.decide(*seen))
        wide = under(known, tmp_path).with_snapshot(Snapshot(made=1, gaps=(code,)))
        deed = judged(Principal.unpack(None, None), seen, wide)
        assert [finding.detection for finding in deed.findings] == [name]


def test_of_somebody_who_has_left_each_kind_of_deed_is_told(detections: Detections) -> None:
    cy = Principal.unpack(None, None)
    assert judged(cy, call("cy", on="q"), detections).findings
    assert judged(cy, call("cy", on="q", time=NOON + DAY // 3), detections).findings == []
    assert judged(cy, call("cy", "iam:CreateUser", "q", time=NOON + DAY // 3), detections).findings


def test_beyond_so_many_a_day_only_what_is_grave_is_told_and_the_rest_is_counted(detections: Detections) -> None:
    ada = Principal.unpack(None, None)
    for number in range(FIRST_USES):
        assert ada.uses(number, NOON) == "first"
    late = NOON + LATENESS + 1
    deed = judged(ada, call(on="q", time=late), detections)
    assert (deed.findings, deed.unheard) == ([], [("access.undeclared", "surplus")])
    for time in (late, late + DAY // 3):
        deed = judged(ada, call(on="acorn-finance-x", time=time), detections)
        assert (len(deed.findings), deed.unheard, deed.grave) == (1, [], True)
    assert judged(ada, call(on="q", time=NOON + DAY), detections).findings


def test_each_is_told_once_a_day_however_many_there_are(detections: Detections) -> None:
    ada = Principal.unpack(None, None)
    rounds = [ada.uses(code, NOON + 2 * LATENESS * number) for number in range(10) for code in range(FIRST_USES + 1)]
    assert rounds.count("first") == FIRST_USES + 1


def test_without_declared_roles_the_model_is_silent(tmp_path: Path) -> None:
    bare = under(context(tmp_path, roles=[], users=[{"id": "ada"}]), tmp_path)
    assert judged(Principal.unpack(None, None), call(on="q"), bare).findings == []


def test_what_was_used_survives_the_store_and_is_bounded(detections: Detections) -> None:
    ada = Principal.unpack(None, None)
    judged(ada, call(on="q"), detections)
    stored = {entry.key: entry.value for entry in ada.pack("ada")}[memory_key("ada")]
    again = Principal.unpack(None, stored)
    assert judged(again, call(on="q", time=NOON + DAY // 3), detections).findings == []
    assert len(undeclared_in(stored)) == 1
    assert undeclared_in(None) == []


@pytest.mark.parametrize("step", [DAY, -DAY, 1, 0, DAY // 100])
def test_how_many_are_remembered_is_bounded_whenever_they_come(step: int) -> None:
    ada = Principal.unpack(None, None)
    for number in range(400):
        ada.uses(hash(str(number)), NOON + 9 * DAY + number // 2 * step)
        ada.uses(hash(str(number)), NOON)
    assert len(ada.undeclared) <= UNDECLARED + 2 * FIRST_USES
    full = Principal.unpack(None, None)
    full.undeclared = [(2**64 - 1, 2**62)] * (UNDECLARED + 2 * FIRST_USES)
    assert sum(len(entry.value) for entry in full.pack("ada")) < 6_000


def test_what_is_used_day_after_day_leaves_room_for_what_was_used_last_week() -> None:
    ada = Principal.unpack(None, None)
    ada.uses(7, NOON)
    for day in range(1, 8):
        for code in range(100, 100 + FIRST_USES):
            ada.uses(code, NOON + day * DAY)
    assert (7, NOON) in ada.undeclared


def test_a_day_is_settled_once_nothing_of_it_can_come_any_more() -> None:
    """Or what had room in it for a moment would be forgotten of the days before."""
    midnight = NOON + 5 * DAY // 2
    ada, bob = Principal.unpack(None, None), Principal.unpack(None, None)
    with patch("streams.principal.FIRST_USES", 1):
        for code, time in ((7, NOON), (5, midnight + 1), (7, midnight - 1), (8, midnight - 2)):
            ada.uses(code, time)
        for code, time in ((7, NOON), (8, midnight - 2), (7, midnight - 1), (5, midnight + 1)):
            bob.uses(code, time)
    assert sorted(ada.undeclared) == sorted(bob.undeclared) == [(5, midnight + 1), (7, NOON), (8, midnight - 2)]


def test_a_memory_with_an_entry_for_each_code_and_day_is_read() -> None:
    old = Principal.unpack(None, None)
    old.undeclared = [(code, NOON + day * DAY) for day in range(8) for code in range(8)]
    stored = {entry.key: entry.value for entry in old.pack("ada")}[memory_key("ada")]
    ada = Principal.unpack(None, stored)
    assert ada.uses(3, NOON + 7 * DAY + LATENESS + 1) == "repeat"
    assert ada.uses(9, NOON + 8 * DAY) == "first"
    assert len(ada.undeclared) == 9


def test_an_older_memory_has_none_of_it() -> None:
    assert undeclared_in(b"\x93\xc4\x00\x00\x90") == []


@given(st.lists(st.integers(0, 2 * DAY), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_which_uses_are_told_does_not_depend_on_the_order_they_come_in(times: list[int], random: Random) -> None:
    """When none is later than LATENESS."""
    ordered = sorted(times)
    late = sorted(times, key=lambda time: time + random.randrange(LATENESS))
    one, other = Principal.unpack(None, None), Principal.unpack(None, None)
    assert {time: one.uses(7, time) for time in ordered} == {time: other.uses(7, time) for time in late}
    assert sorted(one.undeclared) == sorted(other.undeclared)


@given(
    st.lists(st.tuples(st.integers(0, 40 * 3), st.integers(0, 7)), min_size=30, max_size=80, unique=True),
    st.randoms(use_true_random=False),
)
def test_nor_where_there_are_more_than_there_is_room_for(uses: list[tuple[int, int]], random: Random) -> None:
    """Over three midnights, of forty steps each."""
    made = sorted((step // 40 * DAY + (step % 40 - 20) * LATENESS // 4, code) for step, code in uses)
    made = [use for use in made if use[0] >= 0]
    late = sorted(made, key=lambda use: use[0] + random.randrange(LATENESS))

    def told(order: list[tuple[int, int]]) -> tuple[dict[tuple[int, int], Use], list[tuple[int, int]]]:
        principal = Principal.unpack(None, None)
        answers = {(time, code): principal.uses(code, time) for time, code in order}
        principal.uses(99, 99 * DAY)
        return answers, sorted(principal.undeclared)

    with patch("streams.principal.FIRST_USES", 3), patch("streams.principal.UNDECLARED", 4):
        assert told(made) == told(late)


def test_rules_may_ask_for_the_decision(tmp_path: Path) -> None:
    asking = under(context(tmp_path), tmp_path)
    event, _ = call(on="q")
    deed = Deed(Arrival(0, mark(1), event), Principal.unpack(None, None), observe(event))
    assert apply_rules(deed, None, asking) == []
    assert {finding.kind for finding in deed.findings} == {"rule", "access"}


class TestRuns:
    async def findings(self, known: Context, folder: Path, days: list[list[Any]]) -> dict[str, Finding]:
        run = Run(under(known, folder))
        await run.open()
        for day in days:
            await run.feed([event for event, _ in day])
        await run.close()
        assert run.result.faults == []
        self.alerts, self.observed = run.result.alerts, run.result.observed
        return {name: finding for name, finding in run.result.findings.items() if finding.kind == "access"}

    def wave(self, day: int) -> list[Any]:
        return [
            call(f"user-{number}", on="acorn-wave", id=f"{day}-{number}", time=NOON + day * DAY + number)
            for number in range(GAP_PRINCIPALS + 2)
        ]

    async def test_a_wave_is_told_on_its_first_day_and_then_left_to_the_report(self, tmp_path: Path) -> None:
        people = [{"id": f"user-{number}", "roles": ["aws-web-prod"]} for number in range(GAP_PRINCIPALS + 2)]
        known = context(tmp_path, plus_users=people)
        usual = [
            call(f"user-{number}", "ec2:DescribeVpcs", "", id=f"u{number}") for number in range(GAP_PRINCIPALS + 2)
        ]
        first = await self.findings(known, tmp_path, [usual, self.wave(0)])
        both = await self.findings(known, tmp_path, [usual, self.wave(0), self.wave(1)])
        assert len(first) == GAP_PRINCIPALS + 2
        assert both.keys() == first.keys()
        assert self.observed == {"access.undeclared": GAP_PRINCIPALS + 2}

    async def test_what_is_only_observed_is_counted(self, tmp_path: Path) -> None:
        known = context(tmp_path, observe_only=True)
        assert await self.findings(known, tmp_path, [[call("cy", id="1"), call(on="q", id="2")]]) == {}
        assert self.observed == {"access.after_end": 1, "access.undeclared": 1}

    async def test_who_went_round_a_decision_is_alerted(self, tmp_path: Path) -> None:
        ticket = {"id": "T-1", "type": "access", "requester": "ada", "approver": "ada", "opened": "2026-03-01",
                  "approved_at": "2026-03-01", "status": "approved"}  # fmt: skip
        grant = {"system": "aws", "role": "aws-admin", "start": "2026-03-01"}
        known = context(
            tmp_path,
            tickets=[ticket],
            temporary_grants=[
                {**grant, "user": "ada", "expires": "2026-03-09", "ticket": "T-1", "granted_by": "bob"},
                {**grant, "user": "eve", "expires": "2026-03-02", "granted_by": "bob"},
                {**grant, "user": "bo", "expires": "2026-03-09", "granted_by": "bo"},
            ],
            plus_users=[{"id": "bo"}],
        )
        deeds = [call(who, on="q", id=who, time=NOON + at) for at, who in enumerate(("ada", "eve", "bo", "cy"))]
        await self.findings(known, tmp_path, [deeds])
        told = {
            alert.principal: {one.detection for one in alert.findings if one.kind == "access"}
            for alert in self.alerts.values()
        }
        assert told == {
            "ada": {"access.unapproved"},
            "eve": {"access.expired"},
            "bo": {"access.self_granted"},
            "cy": {"access.after_end"},
        }


def test_gaps_are_counted_over_a_week_of_principals(detections: Detections) -> None:
    values: dict[tuple[int, str], bytes] = {}
    for number in range(GAP_PRINCIPALS):
        who = Principal.unpack(None, None)
        who.learn(observe(call()[0]))
        who.uses(7, NOON)
        who.uses(7, NOON - DAY)
        who.uses(8, NOON - 30 * DAY)
        values |= {(0, entry.key): entry.value for entry in who.pack(f"u{number}")}
    snapshot = of_values(values, detections.context, NOON, 10)
    assert snapshot.gaps == (7,)
    assert Snapshot.unpack(snapshot.pack()).gaps == (7,)
    assert Snapshot.unpack(replace(snapshot, gaps=()).pack()).hash != snapshot.hash
