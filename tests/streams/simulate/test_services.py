from __future__ import annotations

from collections import Counter, defaultdict

from streams.simulate.company import Company
from streams.simulate.model import DAY, HOUR, MINUTE
from streams.simulate.plan import Plan
from streams.simulate.services import services_day


def who(record: dict) -> str:
    identity = record.get("userIdentity", {})
    return (
        identity.get("arn", identity.get("invokedBy", "")).split("/")[-1]
        or (record.get("user") or {}).get("username", "")
        or record.get("actor", "")
        if not isinstance(record.get("actor"), dict)
        else record["actor"]["alternateId"]
    )


def test_every_service_account_is_at_work(acorn: Company, plan: Plan) -> None:
    actors = {who(e.record) for e in services_day(plan, acorn, 1)}
    for name, service in acorn.services.items():
        names = {service.github, service.kubernetes, service.email, *(a.session for a in service.accesses)} - {""}
        assert names & actors, name


def test_backups_run_at_night_and_at_the_same_hour(acorn: Company, plan: Plan) -> None:
    for day in range(3):
        hours = {
            (e.time - plan.start - day * DAY) // HOUR
            for e in services_day(plan, acorn, day)
            if who(e.record) == "backup"
        }
        assert hours == {2}


def test_monitoring_is_periodic(acorn: Company, plan: Plan) -> None:
    times = sorted(e.time for e in services_day(plan, acorn, 0) if who(e.record) == "watchtower")
    rounds = sorted({time // (10 * MINUTE) for time in times})
    assert len(rounds) == 144
    assert rounds[-1] - rounds[0] == 143


def test_deployments_follow_the_working_week(acorn: Company, plan: Plan) -> None:
    runs = [
        sum(e.record.get("action") == "workflows.created_workflow_run" for e in services_day(plan, acorn, day))
        for day in range(7)
    ]
    assert min(runs[:5]) > 2 * max(runs[5:])


def test_throttling_is_no_stranger_to_machines(acorn: Company, plan: Plan) -> None:
    errors = Counter(e.record.get("errorCode") for day in range(5) for e in services_day(plan, acorn, day))
    assert errors["ThrottlingException"] > 5
    assert not errors["AccessDenied"]


def test_a_service_always_comes_from_the_same_address(acorn: Company, plan: Plan) -> None:
    seen = defaultdict(set)
    for day in (0, 3):
        for event in services_day(plan, acorn, day):
            if event.source == "cloudtrail":
                seen[who(event.record)].add(event.record["sourceIPAddress"])
    assert all(len(addresses) == 1 for addresses in seen.values())
