from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.simulate.company import Company, company
from streams.simulate.model import DAY, HOUR, Person
from streams.simulate.places import HOMES, TRAVEL
from streams.simulate.plan import Plan, Shift, make_plan

from .conftest import MONDAY, START


def test_midnight_is_midnight_where_the_person_lives(plan: Plan) -> None:
    for city in (*HOMES, *TRAVEL):
        moment = datetime.fromtimestamp(plan.midnight(3, city) / 1e6, UTC).astimezone(ZoneInfo(city.timezone))
        assert (moment.date(), moment.hour, moment.minute) == (MONDAY + timedelta(days=3), 0, 0)


def test_midnight_follows_summer_time(acorn: Company) -> None:
    summer = Plan(1, (date(2026, 7, 1) - date(1970, 1, 1)).days * DAY, 2, {})
    assert summer.start - summer.midnight(0, HOMES[0]) == 2 * HOUR


@settings(max_examples=50)
@given(st.integers(0, 10**6))
def test_moments_of_a_shift_are_within_it_and_never_at_lunch(seed: int) -> None:
    shift = Shift(100, 200, 300, 500)
    moment = shift.moment(Random(seed))
    assert 100 <= moment < 200 or 300 <= moment < 500


def test_asking_twice_gives_the_same_day(plan: Plan, engineer: Person) -> None:
    one, two = plan.today(engineer, 1), plan.today(engineer, 1)
    assert one is not None
    assert two is not None
    assert (one.shift, one.seat.address, one.seat.session) == (two.shift, two.seat.address, two.seat.session)


def test_nobody_works_before_joining_after_leaving_or_when_lapsed(acorn: Company, plan: Plan) -> None:
    for person in acorn.people:
        for day in range(plan.days):
            if plan.today(person, day):
                assert person.started <= plan.date(day)
                assert person.ended is None or plan.date(day) <= person.ended
                assert person.dormant_since is None


def test_leave_is_no_work(acorn: Company, plan: Plan) -> None:
    away = [(p, e) for p in acorn.people for e in plan.episodes.get(p.id, ()) if e.kind == "leave"]
    assert away
    for person, episode in away:
        assert not any(plan.today(person, day) for day in range(episode.first, min(episode.last + 1, plan.days)))


def test_a_traveller_sits_abroad_in_local_hours_and_says_so_on_the_first_day(acorn: Company, plan: Plan) -> None:
    trips = [(p, e) for p in acorn.people for e in plan.episodes.get(p.id, ()) if e.kind == "travel"]
    seen = 0
    for person, trip in trips:
        for day in range(trip.first, min(trip.last + 1, plan.days)):
            if (today := plan.today(person, day)) is None:
                continue
            seen += 1
            assert today.seat.network == trip.network
            assert today.seat.network.city.country != person.city.country
            assert today.new_country == (day == trip.first)
            local = datetime.fromtimestamp(today.shift.start / 1e6, ZoneInfo(today.seat.network.city.timezone))
            assert 8 <= local.hour <= 15
    assert seen


def test_a_new_laptop_stays(acorn: Company, plan: Plan) -> None:
    person, laptop = next(
        (p, e) for p in acorn.people for e in plan.episodes.get(p.id, ()) if e.kind == "new_laptop" and e.first < 15
    )
    devices = [today.seat.device for day in range(plan.days) if (today := plan.today(person, day)) is not None]
    assert set(devices) <= {person.device, laptop.device}
    assert devices[-1] == laptop.device


def test_the_cluster_is_reached_from_the_office_or_the_vpn(acorn: Company, plan: Plan) -> None:
    kinds = {t.inside.network.kind for p in acorn.people for d in range(5) if (t := plan.today(p, d)) is not None}
    assert kinds == {"office", "vpn"}


def test_weekends_are_quiet(acorn: Company, plan: Plan) -> None:
    at_work = [sum(plan.works(p, day) for p in acorn.people) for day in range(14)]
    assert min(at_work[:5]) > 30
    assert max(at_work[5], at_work[6], at_work[12], at_work[13]) < 15


def test_a_one_day_plan_changes_nobodys_life() -> None:
    plan = make_plan(company(30, 1, Random(1), MONDAY), 1, 1, START)
    assert {e.kind for episodes in plan.episodes.values() for e in episodes} <= {"leave"}


def test_a_move_changes_the_squad(acorn: Company, plan: Plan, engineer: Person) -> None:
    moved = msgspec.structs.replace(plan, episodes={})
    assert (today := moved.today(engineer, 0)) is not None
    assert today.squad == engineer.squad
    mover = next(e for es in plan.episodes.values() for e in es if e.kind == "team_move")
    person = next(p for p in acorn.people if p.id == mover.person)
    days = [plan.today(person, day) for day in range(mover.first, plan.days)]
    assert {today.squad for today in days if today} <= {mover.squad}


def test_somebody_comes_back_from_months_of_leave_within_the_days(acorn: Company, plan: Plan) -> None:
    found = [(p, e) for p in acorn.people for e in plan.episodes.get(p.id, ()) if e.first < 0]
    assert found
    for person, leave in found:
        assert -250 < leave.first < -90
        assert 0 <= leave.last < plan.days - 2
        assert person.started < plan.date(leave.first)
        worked = [day for day in range(plan.days) if plan.today(person, day)]
        assert worked
        assert min(worked) > leave.last
