"""Counting who holds what: against a plain count, in bounded room whatever is logged. No two kinds share a token."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import tally as module
from detectors.baseline import ACTION, COUNTRY, RESOURCE, Baseline
from detectors.tally import UNIT, Tally
from tests.detectors.test_peers import baseline


def tallied(*members: Baseline) -> Tally:
    tally = Tally()
    for member in members:
        tally.add(Tally.rows(member))
    return tally


def test_a_row_is_a_share_of_what_was_done_of_its_kind() -> None:
    rows = Tally.rows(baseline(5, 5, 5, 9))
    shares = dict(zip(rows.tokens.tolist(), (rows.shares / UNIT).tolist(), strict=True))
    assert shares[5] == pytest.approx(0.75, abs=0.02)
    assert shares[9] == pytest.approx(0.25, abs=0.02)
    assert dict(zip(rows.tokens.tolist(), rows.kinds.tolist(), strict=True)) == {5: ACTION, 9: ACTION, 7: COUNTRY}
    assert rows.totals.tolist() == [1, 0, 1, 0, 0, 0]


def test_a_baseline_that_knows_nothing_adds_a_member_and_nothing_else() -> None:
    tally = tallied(Baseline(), Baseline())
    assert (tally.members, tally.totals, sum(tally.hours)) == (2, (0.0,) * 6, 0.0)
    assert tally.most_held(9) == (({},) * 6, ({},) * 6)
    assert Tally().most_held(9) == (({},) * 6, ({},) * 6)


@settings(max_examples=30, deadline=None)
@given(actions=st.lists(st.lists(st.integers(11, 22), min_size=1, max_size=8), min_size=2, max_size=12))
def test_it_counts_like_a_plain_counter(actions: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_PENDING", 8)
        people, _ = tallied(*(baseline(*each) for each in actions)).most_held(100)
    plain = Counter(action for each in actions for action in set(each))
    assert people[ACTION] == {action: members for action, members in plain.items() if members > 1}
    assert people[RESOURCE] == {}


def test_of_equals_the_lowest_tokens_are_kept_whatever_the_order() -> None:
    members = [baseline(*range(1, 31)) for _ in range(4)] + [baseline(40), baseline(40, 30)]
    Random(1).shuffle(members)
    people, counts = tallied(*members).most_held(5)
    assert list(people[ACTION]) == [30, 1, 2, 3, 4]
    assert people[ACTION].keys() == counts[ACTION].keys()


def test_a_flood_of_tokens_takes_bounded_room_and_hides_no_custom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", 64)
    monkeypatch.setattr(module, "LEAST_PENDING", 64)
    tally = tallied(*(baseline(1, *range(number * 30, number * 30 + 30)) for number in range(10, 60)))
    people, _ = tally.most_held(100)
    assert people[ACTION] == {1: 50}
    assert len(tally._tokens) <= 2 * 64
