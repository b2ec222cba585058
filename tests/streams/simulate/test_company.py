from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.simulate.company import Company, company, new_laptop, squads
from streams.simulate.model import Person

from .conftest import MONDAY


@settings(max_examples=15, deadline=None)
@given(st.integers(10, 400), st.integers(1, 40), st.integers(0, 10**9))
def test_a_company_of_any_size_has_every_team_and_no_name_twice(users: int, days: int, seed: int) -> None:
    made = company(users, days, Random(seed), MONDAY)
    assert len(made.people) == users
    assert len({p.team for p in made.people}) == 7
    everybody = [*made.people, *made.services.values()]
    for names in (
        [p.id for p in everybody],
        [p.github for p in everybody if p.github],
        [a.arn for p in everybody for a in p.accesses],
        [p.access_key for p in everybody if p.access_key],
        [p.kubernetes for p in everybody if p.kubernetes],
    ):
        assert len(names) == len(set(names))


def test_more_people_than_names_still_have_their_own() -> None:
    made = company(4000, 2, Random(1), MONDAY)
    assert len({p.id for p in made.people}) == 4000


def test_too_few_people_are_refused_with_the_number_needed() -> None:
    with pytest.raises(ValueError, match="at least 10 users, not 9"):
        company(9, 2, Random(1), MONDAY)


def test_the_same_seed_makes_the_same_company() -> None:
    assert company(40, 9, Random(3), MONDAY) == company(40, 9, Random(3), MONDAY)
    assert company(40, 9, Random(3), MONDAY) != company(40, 9, Random(4), MONDAY)


def test_managers_exist_and_the_chain_ends_at_one_person(acorn: Company) -> None:
    boss = {p.id: p.manager for p in acorn.people}
    top = [p for p, manager in boss.items() if not manager]
    assert len(top) == 1
    for person in boss:
        seen = []
        while person:
            assert person not in seen
            seen.append(person)
            person = boss[person]
        assert seen[-1] == top[0]


def test_some_people_are_contractors_key_holders_and_lapsed(acorn: Company) -> None:
    kinds = Counter(p.kind for p in acorn.people)
    assert 0 < kinds["contractor"] <= len(acorn.people) // 6
    assert any(p.access_key and p.iam_user for p in acorn.people)
    assert any(p.dormant_since and p.dormant_since < MONDAY - timedelta(days=60) for p in acorn.people)
    assert any(p.kind == "contractor" and p.ended and p.ended < MONDAY + timedelta(days=11) for p in acorn.people)
    assert any(p.started > MONDAY for p in acorn.people)


def test_leaders_neither_leave_nor_lapse(acorn: Company) -> None:
    for lead in (p for p in acorn.people if p.title.endswith("Lead")):
        assert lead.ended is None
        assert lead.dormant_since is None
        assert lead.started < MONDAY


def test_only_the_teams_that_need_them_have_accounts(acorn: Company) -> None:
    for person in acorn.team("support", "it-helpdesk"):
        assert not person.accesses
        assert not person.github
        assert not person.kubernetes
    for person in acorn.team("engineering", "sre"):
        assert person.accesses
        assert person.github
        assert person.kubernetes == person.email


def test_a_new_laptop_is_another_computer(engineer: Person) -> None:
    other = new_laptop(engineer, Random(1))
    assert other.os != engineer.device.os
    assert other.browser_agent != engineer.device.browser_agent


def test_squads_grow_with_the_company() -> None:
    assert len(squads(10)) == 2
    assert len(squads(100)) < len(squads(300)) <= 12


def test_dates_lie_within_reach_of_the_simulation() -> None:
    made = company(300, 30, Random(2), date(2026, 3, 2))
    for person in made.people:
        if person.started > date(2026, 3, 2):
            assert person.started < date(2026, 4, 1)
