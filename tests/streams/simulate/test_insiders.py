from __future__ import annotations

from collections import Counter

from streams.simulate.insiders import CHAINED_ROLES, STRANGE_ACCOUNT
from streams.simulate.model import SimEvent
from streams.simulate.scene import Stage
from streams.simulate.words import ACCOUNTS

from .test_attacks import actions, played


def test_the_slow_insider_stays_within_hours_and_own_things(stage: Stage) -> None:
    scene, events = played("insider_low_and_slow", stage)
    days = {stage.plan.day_of(e.time) for e in events}
    assert len(days) >= 2
    for event in events:
        assert event.record["requestParameters"]["bucketName"].startswith(f"acorn-{scene.person.squad}-")
        assert "errorCode" not in event.record
        shifts = [stage.plan.today(scene.person, day) for day in range(stage.plan.days)]
        assert any(t and t.shift.start <= event.time <= t.shift.end + 3_600_000_000 for t in shifts)


def test_the_quieter_insider_takes_less_a_day(stage: Stage) -> None:
    def most(hard: bool) -> int:
        _, events = played("insider_low_and_slow", stage, hard=hard)
        return max(Counter(stage.plan.day_of(event.time) for event in events).values())

    assert most(hard=True) <= 24 < 35 <= most(hard=False) <= 60


def test_within_permissions_is_the_squads_own_without_a_refusal(stage: Stage) -> None:
    for hard in (False, True):
        scene, events = played("insider_within_permissions", stage, hard=hard)
        assert {e.source for e in events} == {"cloudtrail", "github"}
        for event in events:
            assert "errorCode" not in event.record
            if event.record.get("eventName") == "GetObject":
                assert event.record["requestParameters"]["bucketName"].startswith(f"acorn-{scene.person.squad}-")
        assert {e.record["userIdentity"]["arn"] for e in events if e.source == "cloudtrail"} == {
            scene.person.accesses[0].arn
        }


def test_rights_creep_by_a_policy_a_day(stage: Stage) -> None:
    _, events = played("permission_creep", stage)
    attached = [e for e in events if e.record["eventName"] == "AttachRolePolicy"]
    days = [stage.plan.day_of(e.time) for e in attached]
    assert len(attached) >= 3
    assert len(set(days)) == len(days)
    assert not any("Administrator" in e.record["requestParameters"]["policyArn"] for e in attached)


def test_quiet_creep_is_granted_by_colleagues_in_three_systems_and_used_each_time(stage: Stage) -> None:
    scene, events = next(
        (scene, events)
        for scene, events in (played("permission_creep", stage, seed, hard=True) for seed in range(20))
        if len(events) == 6
    )
    grants, uses = events[::2], events[1::2]
    assert [e.source for e in grants] == ["okta", "github", "cloudtrail"]
    assert [_who(e) == _name(scene.person, e) for e in grants] == [False] * 3
    assert [_who(e) == _name(scene.person, e) for e in uses] == [True] * 3
    assert all(use.time > grant.time for grant, use in zip(grants, uses, strict=True))
    assert grants[1].record["user"] == scene.person.github
    assert not stage.paper.tickets


def _who(event: SimEvent) -> str:
    record = event.record
    if event.source == "okta":
        return str(record["actor"]["alternateId"])
    return str(record["actor"] if event.source == "github" else record["userIdentity"]["arn"].rpartition("/")[2])


def _name(person: object, event: SimEvent) -> str:
    return str(getattr(person, "github" if event.source == "github" else "email"))


def test_a_chain_begins_with_the_persons_role_and_goes_on_in_another(stage: Stage) -> None:
    for hard in (False, True):
        scene, events = played("new_role_chain", stage, hard=hard)
        first, *others = (e.record for e in events)
        assert (first["eventName"], first["userIdentity"]["arn"]) == ("AssumeRole", scene.person.accesses[0].arn)
        roles = {r["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] for r in others}
        assert len(roles) == 1
        assert roles <= set(CHAINED_ROLES)
        assert {r["recipientAccountId"] for r in others} == {ACCOUNTS["data"]}
        assert others[0]["userIdentity"]["arn"].endswith(scene.person.email) == hard


def test_snapshots_are_opened_to_a_stranger(stage: Stage) -> None:
    for hard, count in ((False, 3), (True, 1)):
        _, events = played("snapshot_sharing", stage, hard=hard)
        shared = [e.record["requestParameters"] for e in events if e.record["eventName"] == "ModifySnapshotAttribute"]
        assert len({request["snapshotId"] for request in shared}) == count
        assert STRANGE_ACCOUNT not in ACCOUNTS.values()
        assert all(
            request["createVolumePermission"] == {"add": {"items": [{"userId": STRANGE_ACCOUNT}]}} for request in shared
        )


def test_destruction_takes_backups_before_databases(stage: Stage) -> None:
    _, events = played("data_destruction", stage)
    order = [e.record["eventName"] for e in events]
    assert order.index("DeleteDBSnapshot") < order.index("DeleteDBInstance") < order.index("DeleteBucket")
    assert actions(events)["DeleteLogGroup"] >= 3


def test_a_backdoor_is_an_account_a_binding_and_a_token(stage: Stage) -> None:
    for hard, role in ((False, "cluster-admin"), (True, "edit")):
        _, events = played("cluster_backdoor", stage, hard=hard)
        account, binding, token = (e.record for e in events[:3])
        assert account["objectRef"]["resource"] == "serviceaccounts"
        assert binding["requestObject"]["roleRef"]["name"] == role
        assert binding["requestObject"]["subjects"][0]["name"] == account["objectRef"]["name"]
        assert token["objectRef"]["subresource"] == "token"
