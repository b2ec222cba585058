from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from audit.context import EMPTY, Context
from audit.context_schema import Declared, Person
from audit.event import AuditEvent, Principal
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.detections import Detections
from streams.replay import Run
from streams.sessions import sessions_of
from streams.timeline import Moment, NobodySuch, concerns, similar, spells, timeline, whose
from tests.streams.usual_life import ALICE, HOUR, MONDAY, at, weeks

PEOPLE = Context(
    Declared(
        users=(
            Person(id="alice", identities={"okta": ("alice@acorn.example",), "github": ("al",), "slack": ("U1",)}),
            Person(id="bob", identities={"github": ("bob",), "slack": ("U2", "shared")}),
            Person(id="carol", identities={"slack": ("shared",)}),
        )
    )
)


@pytest.fixture(scope="module")
def detections() -> Detections:
    return Detections(RuleSet([]), default_model(), EMPTY)


def told(events: list[AuditEvent], detections: Detections, since: int = 0) -> list[Moment]:
    return asyncio.run(timeline(events, detections, "alice", since))


@pytest.mark.parametrize("name", ["alice", "alice@acorn.example", "ALICE@acorn.example", "al", "U1"])
def test_a_person_is_found_under_every_name(name: str) -> None:
    assert whose(PEOPLE, name) == "alice"


def test_a_name_of_nobody_declared_is_a_principal_itself() -> None:
    assert whose(PEOPLE, "aws:arn:aws:iam::1:role/ci") == "aws:arn:aws:iam::1:role/ci"


def test_a_name_of_two_people_is_not_guessed() -> None:
    with pytest.raises(NobodySuch, match="bob and carol"):
        whose(PEOPLE, "shared")


def test_similar_names_are_offered() -> None:
    assert similar("alise", ["alice", "bob"]) == ["alice"]
    assert similar("deploy", ["github:svc-deploy-prod", "bob"]) == ["github:svc-deploy-prod"]


def test_what_is_out_of_the_usual_is_marked_and_the_rest_is_not(detections: Detections) -> None:
    abroad = {"source_ip": "203.0.113.9", "country": "JP", "asn": 64511, "user_agent": "curl/8.5"}
    moments = told([*weeks(), at(8.5), at(9, **abroad)], detections, MONDAY + 10 * 24 * HOUR)
    assert [moment.id for moment in moments] == ["e8.5", "e9"]
    usual, strange = moments
    assert not usual.marked
    assert not usual.new
    assert not usual.deviations
    assert strange.unusual
    assert {"country", "asn", "user_agent"} <= set(strange.new)
    assert strange.deviations[0].title.startswith("Unusual for")
    assert strange.deviations[0].reasons
    assert strange.alerts


def test_a_deed_names_every_alert_that_rests_on_it(detections: Detections, monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(Run):
        async def close(self) -> None:
            await super().close()
            for alert in [*self.result.alerts.values()]:
                self.result.alerts["another"] = replace(alert, id="another")

    monkeypatch.setattr("streams.timeline.Run", Twice)
    abroad = {"source_ip": "203.0.113.9", "country": "JP", "asn": 64511, "user_agent": "curl/8.5"}
    (strange,) = told([*weeks(), at(9, **abroad)], detections, MONDAY + 10 * 24 * HOUR)
    assert len(strange.alerts) == 2
    assert strange.alerts[1] == "another"


def test_the_days_before_teach_and_are_not_shown(detections: Detections) -> None:
    assert len(told(weeks(), detections)) == len(weeks())
    assert told(weeks(), detections, MONDAY + 10 * 24 * HOUR) == []


def test_nothing_is_new_to_somebody_unknown(detections: Detections) -> None:
    assert not any(moment.marked for moment in told([at(1), at(2)], detections))


def test_what_was_done_to_somebody_names_who_did_it(detections: Detections) -> None:
    reset = at(3, actor=Principal("bob", "bob"), target=ALICE, action="user.account.reset_password")
    other = at(4, actor=Principal("bob", "bob"))
    assert concerns(reset, "alice")
    assert not concerns(other, "alice")
    (moment,) = told([reset, other], detections)
    assert (moment.by, moment.action) == ("bob", "user.account.reset_password")


ROLE = Principal("aws:arn:aws:sts::1:assumed-role/vendor-sync", "vendor-sync")
ISSUED = b'{"eventSource":"sts.amazonaws.com","responseElements":{"credentials":{"accessKeyId":"ASIA2"}}}'


def in_role() -> list[AuditEvent]:
    """Alice assumes a role; it works in the session that she opened, and in one of which nobody knows who opened it."""
    aws = {"source": "cloudtrail", "session_id": "ASIA1"}
    assumed = at(1, **aws | {"action": "AssumeRole", "raw": ISSUED})
    work = [at(hours, **aws | {"actor": ROLE, "action": "GetObject", "session_id": "ASIA2"}) for hours in (1.1, 1.2)]
    return [assumed, *work, at(2, **aws | {"actor": ROLE, "action": "PutObject", "session_id": "ASIA9"})]


def test_what_was_done_in_a_session_they_opened_is_theirs_by_session_only(detections: Detections) -> None:
    events = in_role()
    moments = asyncio.run(timeline(events, detections, "alice", 0, sessions_of(events)))
    assert [(one.action, one.by, one.tied) for one in moments] == [
        ("AssumeRole", "", ""),
        ("GetObject", ROLE.id, "ASIA2"),
        ("GetObject", ROLE.id, "ASIA2"),
    ]
    assert [one.begins for one in moments] == [True, True, False]
    assert [one.hands_out for one in moments] == ["ASIA2", "", ""]
    assert moments[0].issued == ""
    assert moments[1].issued == "issued by session ASIA1 of alice (AssumeRole, 2026-01-15T01:00Z)"
    assert [spell.count for spell in spells(moments)] == [1, 2]


def test_without_the_sessions_nothing_is_tied_to_anybody(detections: Detections) -> None:
    assert [one.action for one in told(in_role(), detections)] == ["AssumeRole"]


def test_a_tie_teaches_nothing_about_the_person(detections: Detections) -> None:
    events = [*weeks(), *in_role(), at(3, action="GetObject", source="cloudtrail")]
    moments = asyncio.run(timeline(events, detections, "alice", MONDAY + 10 * 24 * HOUR, sessions_of(events)))
    assert "action" in moments[-1].new
    assert (moments[-1].by, moments[-1].tied) == ("", "")


def test_a_session_that_began_before_does_not_begin_again(detections: Detections) -> None:
    events = in_role()
    moments = asyncio.run(timeline(events, detections, "alice", events[2].time, sessions_of(events)))
    assert [(one.tied, one.begins) for one in moments] == [("ASIA2", False)]


def moment(minute: int, **changes: Any) -> Moment:
    made = Moment(
        id=f"m{minute}", time=f"2026-01-05T08:{minute:02}:00.000Z", source="okta", name="al", identity="verified",
        by="", action="sso", outcome="success", resource="app mail", source_ip="192.0.2.7", country="DE", session_id="",
        strangeness=0.1, unusual=False,
    )  # fmt: skip
    return replace(made, **changes)


def test_deeds_alike_are_one_line() -> None:
    (spell,) = spells([moment(0), moment(5, resource="app wiki"), moment(9)])
    assert (spell.first.id, spell.last.id, spell.count, spell.resources) == ("m0", "m9", 3, 2)


@pytest.mark.parametrize(
    "change",
    [{"action": "login"}, {"outcome": "denied"}, {"source_ip": "192.0.2.8"}, {"resource": "group x"}, {"name": "alice"},
     {"by": "bob"}, {"time": "2026-01-05T08:31:00.000Z"}, {"unusual": True}, {"new": ("country",)}, {"alerts": ("a",)},
     {"tied": "ASIA2"}, {"begins": True, "issued": "issued by bob"}],
)  # fmt: skip
def test_deeds_not_alike_are_not(change: dict[str, Any]) -> None:
    assert [spell.count for spell in spells([moment(0), moment(0, **change)])] == [1, 1]


def test_a_session_that_nobody_is_known_to_have_issued_breaks_no_line() -> None:
    assert [spell.count for spell in spells([moment(0), moment(0, begins=True)])] == [2]


def test_a_new_resource_alone_is_everyday_work() -> None:
    assert not moment(0, new=("resource", "action")).marked
    assert moment(0, new=("resource", "network")).marked
