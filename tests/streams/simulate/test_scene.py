from __future__ import annotations

from itertools import pairwise
from random import Random

import msgspec

from streams.simulate.model import DAY, HOUR, SECOND
from streams.simulate.scene import Casting, Paperwork, Scene, Stage

from .conftest import START


def test_tickets_are_approved_before_their_window_and_numbered(stage: Stage) -> None:
    paper = stage.paper
    one = paper.ticket("change", "a", "b", (START + DAY, START + 2 * DAY), system="aws")
    two = paper.ticket("access", "a", "b", (START + DAY, START + 2 * DAY))
    assert (one, two) == ("CHG-1001", "ACC-1002")
    row = paper.tickets[0]
    assert row["opened"] < row["approved_at"] < row["window_start"] == "2026-01-06T00:00:00.000Z" < row["window_end"]
    assert row["system"] == "aws"


def test_papers_of_two_companies_do_not_mix() -> None:
    Paperwork().tickets.append({})
    assert Paperwork().tickets == []


def test_an_administrator_for_a_time_is_written_down(stage: Stage, scene: Scene) -> None:
    access = stage.paper.administrator(scene.person, "boss", (START, START + HOUR), "ACC-1")
    assert "AdministratorAccess" in access.arn
    (grant,) = stage.paper.temporary_grants
    assert (grant["user"], grant["granted_by"], grant["ticket"]) == (scene.person.id, "boss", "ACC-1")
    assert stage.paper.accesses[scene.person.id] == [access]


def test_the_pager_goes_round_weekly_among_those_who_stay(stage: Stage) -> None:
    assert stage.on_call(0) == stage.on_call(6)
    assert stage.on_call(0).team == "sre"
    assert stage.on_call(0).ended is None


def test_the_usual_seat_is_the_days_own(scene: Scene) -> None:
    today = scene.stage.plan.today(scene.person, scene.day)
    assert today is not None
    assert scene.usual().address == today.seat.address
    assert scene.usual().session == today.seat.session
    assert scene.inside().address == today.inside.address


def test_on_a_day_off_people_sit_at_home(scene: Scene) -> None:
    absent = msgspec.structs.replace(scene, person=next(p for p in scene.stage.company.people if p.dormant_since))
    seat = absent.usual()
    assert seat.network.kind == "home"
    assert seat.network.city == absent.person.city


def test_an_attacker_sits_abroad_with_other_tools(scene: Scene) -> None:
    seat = scene.away()
    assert seat.network.kind == "hosting"
    assert seat.network.city.country != scene.person.city.country
    assert seat.device.aws_agent != scene.person.device.aws_agent
    assert seat.person == scene.person


def test_times_rise_from_the_start_on(scene: Scene) -> None:
    times = list(scene.times(50, 10))
    assert times[0] == scene.start
    assert all(later - earlier >= SECOND for earlier, later in pairwise(times))
    assert list(scene.times(1, 10, START)) == [START]


def test_casting_finds_somebody_at_work_within_the_days(stage: Stage) -> None:
    casting = Casting(lambda stage, day: stage.employed(day, "engineering"))
    used: set[str] = set()
    for seed in range(20):
        found = casting.cast(stage, (5, 12), Random(seed), used)
        assert found is not None
        assert 5 <= found.day < 12
        today = stage.plan.today(found.person, found.day)
        assert today is not None
        assert today.shift.start - 2 * HOUR <= found.start <= today.shift.end
    assert len(used) > 10


def test_a_story_that_takes_days_begins_early_enough(stage: Stage) -> None:
    casting = Casting(lambda stage, day: stage.employed(day), takes=4)
    days = {s.day for seed in range(40) if (s := casting.cast(stage, (10, 18), Random(seed), set()))}
    assert max(days) <= 14


def test_night_is_night_where_the_person_lives(stage: Stage) -> None:
    casting = Casting(lambda stage, day: stage.employed(day), "night")
    for seed in range(20):
        scene = casting.cast(stage, (3, 9), Random(seed), set())
        assert scene is not None
        assert HOUR <= scene.start - stage.plan.midnight(scene.day, scene.person.city) < 4 * HOUR


def test_nobody_fitting_is_no_scene(stage: Stage) -> None:
    assert Casting(lambda stage, day: []).cast(stage, (0, 5), Random(1), set()) is None


def test_unused_people_go_first(stage: Stage) -> None:
    two = stage.employed(0, "engineering")[:2]
    casting = Casting(lambda stage, day: two, "ever")
    used = {two[0].id}
    scene = casting.cast(stage, (0, 5), Random(1), used)
    assert scene is not None
    assert scene.person == two[1]


def test_workdays_are_the_persons_own_from_the_storys_on(scene: Scene) -> None:
    found = list(scene.workdays(9))
    assert 3 <= len(found) <= 9
    assert all(moment >= scene.start for moment, _ in found)
    days = [scene.stage.plan.day_of(today.shift.start) for _, today in found]
    assert days == sorted(set(days))
    assert all(0 <= day - scene.day < 9 for day in days)
    assert {today.seat.person.id for _, today in found} == {scene.person.id}


def test_a_colleague_sits_where_they_sit_that_day(scene: Scene) -> None:
    other = next(p for p in scene.stage.employed(scene.day, "support") if scene.stage.plan.today(p, scene.day))
    today = scene.stage.plan.today(other, scene.day)
    assert today is not None
    seat = scene.seat_of(other, scene.stage.plan.start + scene.day * DAY)
    assert (seat.person, seat.address, seat.session) == (other, today.seat.address, today.seat.session)


def test_at_work_is_within_the_shift(scene: Scene) -> None:
    today = scene.stage.plan.today(scene.person, scene.day)
    assert today is not None
    assert scene.stage.at_work(scene.person, today.shift.start + HOUR)
    assert not scene.stage.at_work(scene.person, today.shift.end + HOUR)
    gone = next(p for p in scene.stage.company.people if p.dormant_since)
    assert not scene.stage.at_work(gone, today.shift.start)


def test_there_is_room_until_the_last_day(scene: Scene) -> None:
    left = (scene.stage.plan.days - 1) * DAY + scene.stage.plan.start - scene.start
    assert scene.room(left - 1)
    assert not scene.room(left)
