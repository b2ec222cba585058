from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random

import pytest

from audit.event import parse_rfc3339
from streams.simulate.lookalikes import CATALOGUE, Kind
from streams.simulate.model import MINUTE, SimEvent
from streams.simulate.scene import Scene, Stage


def played(name: str, stage: Stage, seed: int = 1) -> tuple[Scene, list[SimEvent]]:
    kind = next(k for k in CATALOGUE if k.name == name)
    scene = kind.casting.cast(stage, (0, 20), Random(seed), set())
    assert scene is not None
    return scene, list(kind.play(scene))


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.name)
def test_every_kind_can_be_played_and_belongs_to_no_attack(stage: Stage, kind: Kind) -> None:
    for seed in range(4):
        _, events = played(kind.name, stage, seed)
        assert events
        assert all(e.attack is None for e in events)
        assert len({e.id for e in events}) == len(events)


@pytest.mark.parametrize(
    "name",
    [
        "oncall_night", "planned_change", "migration", "pentest", "temporary_grant", "role_chain", "key_rotation",
        "approved_app",
    ],
)  # fmt: skip
def test_paper_explains_the_events_it_belongs_to(stage: Stage, name: str) -> None:
    scene, events = played(name, stage)
    (ticket,) = stage.paper.tickets
    start, end = parse_rfc3339(ticket["window_start"]), parse_rfc3339(ticket["window_end"])
    assert all(start <= e.time <= end for e in events)
    assert ticket["requester"] == scene.person.id != ticket["approver"]
    assert ticket["status"] == "approved"


def test_the_pager_rings_who_carries_it_at_night(stage: Stage) -> None:
    scene, events = played("oncall_night", stage)
    assert scene.person == stage.on_call(scene.day)
    assert {e.source for e in events} == {"okta", "kubernetes"}


def test_testers_come_from_their_declared_range(stage: Stage) -> None:
    scene, events = played("pentest", stage)
    (window,) = stage.paper.pentest_windows
    assert window["testers"] == [scene.person.id]
    declared = ip_network(window["source_ranges"][0])
    assert all(ip_address(e.record["sourceIPAddress"]) in declared for e in events)
    assert window["ticket"] == stage.paper.tickets[0]["id"]


def test_a_grant_is_used_only_while_it_lasts(stage: Stage) -> None:
    _, events = played("temporary_grant", stage)
    (grant,) = stage.paper.temporary_grants
    assert all(parse_rfc3339(grant["start"]) <= e.time <= parse_rfc3339(grant["expires"]) for e in events)
    assert all("AdministratorAccess" in e.record["userIdentity"]["arn"] for e in events)


def test_the_helpdesk_acts_on_the_locked_persons_ticket(stage: Stage) -> None:
    scene, events = played("helpdesk_reset", stage)
    (ticket,) = stage.paper.tickets
    assert scene.person.team == "it-helpdesk"
    assert {e.record["target"][0]["alternateId"] for e in events} == {ticket["resource"]}
    assert ticket["requester"] != scene.person.id


def test_a_forgotten_password_is_remembered(stage: Stage) -> None:
    _, events = played("forgotten_password", stage)
    results = [e.record["outcome"]["result"] for e in events if e.record["eventType"] == "user.session.start"]
    assert 2 <= len(results) <= 4
    assert results[-1] == "SUCCESS"
    assert set(results[:-1]) == {"FAILURE"}


def test_a_migration_reads_and_writes_as_often(stage: Stage) -> None:
    _, events = played("migration", stage)
    names = [e.record["eventName"] for e in events]
    assert names.count("GetObject") == names.count("PutObject") >= 60
    assert max(e.time for e in events) - min(e.time for e in events) < 90 * MINUTE


def test_a_chained_role_is_the_pagers_own_name(stage: Stage) -> None:
    scene, events = played("role_chain", stage)
    assert scene.person.team == "sre"
    (access,) = stage.paper.accesses[scene.person.id]
    assert {e.record["userIdentity"]["arn"] for e in events[1:]} == {access.arn}


def test_a_rotated_key_is_tried_from_the_same_place(stage: Stage) -> None:
    scene, events = played("key_rotation", stage)
    records = [e.record for e in events]
    assert [r["eventName"] for r in records] == [
        "ListAccessKeys", "DeleteAccessKey", "CreateAccessKey", "GetCallerIdentity",
    ]  # fmt: skip
    made = records[2]["responseElements"]["accessKey"]["accessKeyId"]
    assert records[3]["userIdentity"]["accessKeyId"] == made
    assert records[1]["requestParameters"]["accessKeyId"] not in (made, scene.person.access_key)
    assert len({r["sourceIPAddress"] for r in records}) == 1


def test_each_group_somebody_asked_for_has_its_request(stage: Stage) -> None:
    _, events = played("access_request", stage)
    assert len(events) == len(stage.paper.tickets) >= 2
    for event, ticket in zip(events, stage.paper.tickets, strict=True):
        assert parse_rfc3339(ticket["window_start"]) <= event.time <= parse_rfc3339(ticket["window_end"])
        assert ticket["requester"] != ticket["approver"]
    assert len({e.record["target"][0]["alternateId"] for e in events}) == 1
