from __future__ import annotations

from collections import Counter
from random import Random

import msgspec

from streams.simulate.cloudtrail import PARAMETERS
from streams.simulate.company import Company
from streams.simulate.habits import CALLS, REQUESTS, RHYTHMS, Weighted, habits, repos, things
from streams.simulate.model import Person


def test_weights_are_kept() -> None:
    drawn = Counter(Weighted(["often", "rarely"], [9, 1]).draw(Random(1), 2000))
    assert 1700 < drawn["often"] < 1900


def test_habits_are_a_persons_own_and_stay(acorn: Company) -> None:
    one, two = acorn.team("sre")[:2]
    assert habits(one, "sre").calls.items == habits(one, "sre").calls.items
    assert habits(one, "sre").calls.weights != habits(two, "sre").calls.weights


def test_a_person_uses_part_of_what_the_squad_owns(engineer: Person) -> None:
    own, all_ = habits(engineer, "payments").things, things("payments")
    assert set(own) == set(all_)
    assert all(set(own[about]) <= set(all_[about]) for about in own)
    assert len(own["object"]) < len(all_["object"])


def test_another_squad_has_other_things(engineer: Person) -> None:
    here, there = habits(engineer, "payments"), habits(engineer, "search")
    assert not set(here.things["bucket"]) & set(there.things["bucket"])
    assert "payments-api" in repos("payments")
    assert here.namespaces == ("payments",)


def test_every_call_of_a_team_has_things_and_parameters() -> None:
    known = things("payments")
    for team, shares in CALLS.items():
        for call, share in shares.items():
            assert call.about in known, (team, call)
            assert call.about in PARAMETERS, (team, call)
            assert share > 0


def test_every_team_has_a_rhythm_and_what_it_needs_for_it() -> None:
    for team, rhythm in RHYTHMS.items():
        assert 20 <= sum(msgspec.structs.astuple(rhythm)) <= 80
        assert (rhythm.aws > 0) == (team in CALLS)
        assert (rhythm.kubernetes > 0) == (team in REQUESTS)
