from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from audit.event import rfc3339
from streams.simulate.attacks import CATALOGUE
from streams.simulate.model import DAY, SimEvent
from streams.simulate.organisation import Organisation, simulate


def test_a_small_company_sees_at_least_eight_kinds(organisation: Organisation) -> None:
    assert len({attack.kind for attack in organisation.attacks}) >= 8


def test_a_hundred_people_see_every_kind_and_all_difficulties() -> None:
    attacks = simulate(users=100, days=12, seed=2).attacks
    assert {attack.kind for attack in attacks} == {kind.name for kind in CATALOGUE}
    assert {attack.difficulty for attack in attacks} == {"easy", "medium", "hard"}


@pytest.mark.parametrize("seed", [1, 2])
def test_three_hundred_people_see_every_kind_and_the_hard_form_of_each_that_has_one(seed: int) -> None:
    attacks = simulate(users=300, days=28, seed=seed).attacks
    assert {attack.kind for attack in attacks} == {kind.name for kind in CATALOGUE}
    hard = {attack.kind for attack in attacks if attack.difficulty == "hard"}
    assert len(hard) >= 0.8 * sum("hard" in kind.difficulties for kind in CATALOGUE)


def test_which_difficulty_comes_first_is_the_seeds_choice() -> None:
    firsts = {attack.difficulty for seed in range(4) for attack in simulate(30, 8, seed).attacks}
    assert firsts == {"easy", "medium", "hard"}


def test_campaigns_grow_with_the_company() -> None:
    counts = [len(simulate(users=users, days=20, seed=2).attacks) for users in (30, 200, 300)]
    assert counts == [8, 30, 45]


def test_no_attack_begins_before_its_day(organisation: Organisation) -> None:
    assert organisation.attack_after == 4
    for attack in organisation.attacks:
        assert attack.start >= organisation.plan.start + organisation.attack_after * DAY
        assert attack.start < organisation.plan.start + organisation.plan.days * DAY


def test_labels_and_events_agree(organisation: Organisation, events: list[SimEvent]) -> None:
    labelled = Counter(event.attack for event in events if event.attack)
    assert labelled == {attack.id: len(attack.event_ids) for attack in organisation.attacks}
    by_id = {event.id: event for event in events}
    for attack in organisation.attacks:
        times = [by_id[id].time for id in attack.event_ids]
        assert {by_id[id].attack for id in attack.event_ids} == {attack.id}
        assert (attack.start, attack.end) == (min(times), max(times))


def test_lookalikes_are_benign_events_that_exist(organisation: Organisation, events: list[SimEvent]) -> None:
    by_id = {event.id: event for event in events}
    assert len({odd.id for odd in organisation.lookalikes}) == len(organisation.lookalikes)
    for odd in organisation.lookalikes:
        assert odd.event_ids
        assert all(by_id[id].attack is None for id in odd.event_ids)
        assert odd.start == min(by_id[id].time for id in odd.event_ids)


def test_lookalikes_are_of_many_kinds() -> None:
    kinds = {odd.kind for odd in simulate(users=100, days=20, seed=3).lookalikes}
    assert kinds >= {
        "travel", "new_laptop", "team_move", "new_hire", "oncall_night", "planned_change", "migration", "pentest",
        "temporary_grant", "helpdesk_reset", "benign_denials", "forgotten_password", "role_chain", "key_rotation",
        "approved_app", "access_request", "back_from_leave",
    }  # fmt: skip


def test_who_comes_back_was_away_on_declared_leave_for_months() -> None:
    organisation = simulate(users=100, days=20, seed=3)
    users = {user["id"]: user for user in organisation.context["users"]}
    backs = [odd for odd in organisation.lookalikes if odd.kind == "back_from_leave"]
    assert backs
    for odd in backs:
        (leave,) = users[odd.principal]["leave"]
        assert (date.fromisoformat(leave["end"]) - date.fromisoformat(leave["start"])).days > 100
        assert users[odd.principal]["last_login"] < leave["start"]
        assert rfc3339(odd.start)[:10] >= leave["end"]


def test_a_lookalikes_ticket_is_in_the_context(organisation: Organisation) -> None:
    tickets = {ticket["id"] for ticket in organisation.context["tickets"]}
    named = {odd.ticket for odd in organisation.lookalikes if odd.ticket}
    assert named
    assert named <= tickets


def test_attacks_leave_the_rest_of_life_alone() -> None:
    early, late = simulate(30, 4, 9, attack_after=1), simulate(30, 4, 9, attack_after=3)
    one, two = ([e.id for e in o.events() if e.attack is None] for o in (early, late))
    assert one == two
