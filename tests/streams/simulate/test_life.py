from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import orjson

from streams.simulate.company import Company
from streams.simulate.life import person_day, pod
from streams.simulate.model import MINUTE, Person, SimEvent
from streams.simulate.plan import Plan
from streams.simulate.words import AWS_APP, GITHUB_APP, KUBERNETES_APP


def first(events: list[SimEvent], **wanted: str) -> int:
    return min(e.time for e in events if all(e.record.get(key) == value for key, value in wanted.items()))


def sso(events: list[SimEvent], app: str) -> int:
    return min(
        e.time for e in events
        if e.record.get("eventType") == "user.authentication.sso" and e.record["target"][0]["displayName"] == app
    )  # fmt: skip


def test_a_day_is_the_same_whenever_it_is_asked_for(plan: Plan, engineer: Person) -> None:
    one = [orjson.dumps(e.record) for e in person_day(plan, engineer, 1)]
    two = [orjson.dumps(e.record) for e in person_day(plan, engineer, 1)]
    assert one == two


def test_a_day_off_is_empty(acorn: Company, plan: Plan) -> None:
    lapsed = next(p for p in acorn.people if p.dormant_since)
    assert person_day(plan, lapsed, 1) == []


def test_a_day_has_the_size_of_a_working_day(acorn: Company, plan: Plan) -> None:
    sizes = [len(events) for p in acorn.people for day in range(5) if (events := person_day(plan, p, day))]
    assert 40 <= mean(sizes) <= 65


def test_sign_in_comes_before_everything_and_an_apps_before_the_app(plan: Plan, engineer: Person) -> None:
    for day in range(5):
        events = person_day(plan, engineer, day)
        if not events:
            continue
        login = first(events, eventType="policy.evaluate_sign_on")
        assert login <= min(e.time for e in events if e.source != "okta")
        for source, app in (("cloudtrail", AWS_APP), ("github", GITHUB_APP), ("kubernetes", KUBERNETES_APP)):
            used = [e.time for e in events if e.source == source and "AKIA" not in str(e.record.get("userIdentity"))]
            assert not used or sso(events, app) < min(used)


def test_one_human_shows_under_every_identity(day_of_work: list[SimEvent], engineer: Person) -> None:
    for event in day_of_work:
        record = event.record
        match event.source:
            case "okta":
                assert record["actor"]["alternateId"] == engineer.email
            case "cloudtrail":
                assert record["userIdentity"]["arn"] in [access.arn for access in engineer.accesses]
            case "github":
                assert record["actor"] == engineer.github
            case "kubernetes":
                assert record["user"]["username"] == engineer.email


def test_work_happens_at_work(
    plan: Plan, day_of_work: list[SimEvent], engineer: Person, working_day: Callable[[Person], int]
) -> None:
    today = plan.today(engineer, working_day(engineer))
    assert today is not None
    inside = [today.shift.start - 5 * MINUTE <= e.time <= today.shift.end + 30 * MINUTE for e in day_of_work]
    assert all(inside)


def test_okta_and_github_see_one_address_the_cluster_the_inner_one(
    plan: Plan, day_of_work: list[SimEvent], engineer: Person, working_day: Callable[[Person], int]
) -> None:
    today = plan.today(engineer, working_day(engineer))
    assert today is not None
    for event in day_of_work:
        if event.source == "okta":
            assert event.record["client"]["ipAddress"] == today.seat.address
        if event.source == "kubernetes":
            assert event.record["sourceIPs"] == [today.inside.address]


def test_key_holders_still_run_their_scripts(acorn: Company, plan: Plan) -> None:
    holder = next(p for p in acorn.people if p.access_key and p.ended is None)
    events = [e for day in range(plan.days) for e in person_day(plan, holder, day)]
    assert any(e.record.get("userIdentity", {}).get("accessKeyId") == holder.access_key for e in events)


def test_refusals_are_rare_but_there(acorn: Company, plan: Plan) -> None:
    calls = [
        e.record
        for p in acorn.people
        for day in range(10)
        for e in person_day(plan, p, day)
        if e.source == "cloudtrail"
    ]
    refused = sum("AccessDenied" in r.get("errorCode", "") or "Unauthorized" in r.get("errorCode", "") for r in calls)
    assert 0.001 < refused / len(calls) < 0.02
    assert any(r.get("errorCode") == "ThrottlingException" for r in calls)


def test_pods_have_stable_names() -> None:
    assert pod("payments", "api", 0) == pod("payments", "api", 0)
    assert pod("payments", "api", 0) != pod("payments", "api", 1)
