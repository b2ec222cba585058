from __future__ import annotations

from collections.abc import Callable
from datetime import date
from random import Random

import pytest

from streams.simulate.company import Company, company
from streams.simulate.life import person_day
from streams.simulate.model import DAY, Person, Seat, SimEvent
from streams.simulate.organisation import Organisation, simulate
from streams.simulate.places import ISPS, address
from streams.simulate.plan import Plan, make_plan
from streams.simulate.scene import Paperwork, Scene, Stage

MONDAY = date(2026, 1, 5)
START = (MONDAY - date(1970, 1, 1)).days * DAY


@pytest.fixture(scope="session")
def organisation() -> Organisation:
    return simulate(users=50, days=8, seed=7)


@pytest.fixture(scope="session")
def events(organisation: Organisation) -> list[SimEvent]:
    return list(organisation.events())


@pytest.fixture(scope="session")
def acorn() -> Company:
    return company(60, 20, Random(5), MONDAY)


@pytest.fixture(scope="session")
def plan(acorn: Company) -> Plan:
    return make_plan(acorn, 20, 5, START)


@pytest.fixture
def stage(acorn: Company, plan: Plan) -> Stage:
    return Stage(acorn, plan, Paperwork())


@pytest.fixture(scope="session")
def engineer(acorn: Company) -> Person:
    return next(p for p in acorn.team("engineering") if p.kind == "human" and p.ended is None and p.started < MONDAY)


@pytest.fixture
def seat(engineer: Person) -> Seat:
    network = ISPS[engineer.city.name]
    return Seat(engineer, network, address(network, 7), engineer.device, Random(1), "102session")


@pytest.fixture
def working_day(plan: Plan) -> Callable[[Person], int]:
    return lambda person: next(
        day for day in range(plan.days) if plan.today(person, day) and plan.date(day).weekday() < 5
    )


@pytest.fixture
def scene(stage: Stage, engineer: Person, working_day: Callable[[Person], int]) -> Scene:
    day = working_day(engineer)
    today = stage.plan.today(engineer, day)
    assert today is not None
    return Scene(stage, engineer, day, today.shift.start, Random(3))


@pytest.fixture
def day_of_work(plan: Plan, engineer: Person, working_day: Callable[[Person], int]) -> list[SimEvent]:
    return person_day(plan, engineer, working_day(engineer))
