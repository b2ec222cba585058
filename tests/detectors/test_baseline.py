"""A baseline is small, bounded, exact in storage and decays in event time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.baseline import (
    ACTION,
    AGENT,
    CAPACITY,
    COUNTRY,
    ENTRIES,
    HALF_LIFE,
    LANDMARK,
    REBASE_AFTER,
    RESOURCE,
    SIZE,
    TOTAL,
    YOUNG_EVENTS,
    YOUNG_SECONDS,
    Baseline,
)
from detectors.features import Observation, features, learn, observe
from tests.detectors.company import MONDAY, usual


def observation(time: int, *tokens: int, **flags: bool) -> Observation:
    return Observation(time, (*tokens, *[0] * (6 - len(tokens))), **flags)  # type: ignore[arg-type]


observations = st.builds(
    Observation,
    st.one_of(
        st.integers(MONDAY - 7200, MONDAY + 7200),
        st.integers(MONDAY, MONDAY + 400 * 86_400),
        st.integers(0, 2**32 - 1),
    ),
    st.tuples(
        *[
            st.one_of(st.just(0), st.integers(10 * kind + 1, 10 * kind + 5), st.integers(100, 2**64 - 1))
            for kind in range(6)
        ]
    ),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from([0, 3600, -18000, 20700]),
    st.one_of(st.none(), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
    st.one_of(st.just(0), st.integers(1, 12)),
    st.booleans(),
)


def habitual() -> Baseline:
    baseline = Baseline()
    for event in usual(14):
        learn(baseline, observe(event))
    return baseline


class TestStorage:
    def test_a_packed_baseline_is_within_its_budget(self) -> None:
        assert len(Baseline().pack()) == len(habitual().pack()) == SIZE <= 3200

    def test_what_is_unpacked_equals_what_was_packed(self) -> None:
        baseline = habitual()
        twin = Baseline.unpack(baseline.pack())
        assert twin == baseline
        assert twin.slots == baseline.slots
        assert twin.events == baseline.events == 480

    @settings(max_examples=150, deadline=None)
    @given(st.lists(observations, max_size=60), st.sets(st.integers(0, 59)))
    def test_packing_between_any_two_events_changes_no_later_result(
        self, stream: list[Observation], stops: set[int]
    ) -> None:
        kept, stored = Baseline(), Baseline()
        for place, obs in enumerate(stream):
            if place in stops:
                stored = Baseline.unpack(stored.pack())
            assert features(stored, obs) == features(kept, obs)
            learn(kept, obs)
            learn(stored, obs)
        assert stored.pack() == kept.pack()

    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            (lambda data: b"", "0 bytes"),
            (lambda data: data[:-1], "expected"),
            (lambda data: data + b"\0", "expected"),
            (lambda data: data * 1000, "expected"),
            (lambda data: b"BL\x02\n" + data[4:2088], "another version.*forget it"),
            (lambda data: b"XX\x03\n" + data[4:], "begins with"),
            (lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:], "checksum"),
        ],
    )
    def test_other_bytes_are_refused(self, damage: object, complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            Baseline.unpack(damage(habitual().pack()))  # type: ignore[operator]

    @given(st.binary(max_size=SIZE + 1))
    def test_random_bytes_are_refused(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="baseline"):
            Baseline.unpack(data)

    def test_numbers_that_are_not_finite_are_refused(self) -> None:
        baseline = habitual()
        baseline.scalars[TOTAL] = float("nan")
        with pytest.raises(ValueError, match="not finite"):
            Baseline.unpack(baseline.pack())

    def test_a_copy_is_equal_and_independent(self) -> None:
        baseline = habitual()
        before = baseline.pack()
        twin = baseline.copy()
        assert twin == baseline
        learn(twin, observation(MONDAY + 20 * 86_400, 7, 8, 9))
        assert twin != baseline
        assert baseline.pack() == before

    def test_equality_is_with_baselines_only(self) -> None:
        assert Baseline() == Baseline()
        assert Baseline() != b""


class TestTable:
    def test_tokens_are_counted_and_the_first_time_is_told(self) -> None:
        baseline = Baseline()
        assert baseline.record(ACTION, 5, 1.0, 100)
        assert not baseline.record(ACTION, 5, 2.0, 90)
        slot = baseline.slots[5]
        assert (baseline.counts[slot], baseline.seen[slot]) == (3.0, 100)

    def test_a_full_region_gives_up_its_lowest_count(self) -> None:
        baseline = Baseline()
        for token in range(1, CAPACITY[COUNTRY] + 1):
            baseline.record(COUNTRY, token, 1.0 + (token != 3), 0)
        baseline.record(COUNTRY, 99, 1.0, 0)
        assert 3 not in baseline.slots
        assert set(baseline.slots) == {1, 2, 4, 5, 6, 99}

    def test_of_equals_the_first_place_goes(self) -> None:
        baseline = Baseline()
        for token in range(1, CAPACITY[AGENT] + 2):
            baseline.record(AGENT, token, 1.0, 0)
        assert 1 not in baseline.slots
        assert 2 in baseline.slots

    def test_a_flood_of_one_kind_pushes_out_none_of_another(self) -> None:
        baseline = habitual()
        action = next(iter(usual(1)))
        for token in range(10_000):
            baseline.record(RESOURCE, 2**63 + token, 1.0, MONDAY)
        assert observe(action).tokens[ACTION] in baseline.slots

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(1, 2**64 - 1), min_size=200, max_size=400, unique=True))
    def test_hostile_tokens_do_not_make_it_grow(self, tokens: list[int]) -> None:
        baseline = Baseline()
        for place, (one, other) in enumerate(pairwise(tokens)):
            learn(baseline, observation(MONDAY + place, one, other, one ^ 1, other ^ 1, one ^ 2, other ^ 2))
        assert len(baseline.slots) <= ENTRIES
        assert len(baseline.pack()) == SIZE
        assert baseline.slots == {key: slot for slot, key in enumerate(baseline.keys) if key}


class TestYouth:
    def test_a_burst_is_no_history(self) -> None:
        baseline = Baseline()
        for second in range(1000):
            learn(baseline, observation(MONDAY + second, 5))
        assert baseline.young
        learn(baseline, observation(MONDAY + YOUNG_SECONDS, 5))
        assert not baseline.young

    def test_nor_are_few_events(self) -> None:
        baseline = Baseline()
        for day in range(YOUNG_EVENTS):
            assert baseline.young
            learn(baseline, observation(MONDAY + day * 86_400, 5))
        assert not baseline.young

    def test_an_old_date_makes_nobody_old(self) -> None:
        baseline = Baseline()
        for second in range(100):
            learn(baseline, observation(MONDAY + second, 5))
        learn(baseline, observation(0, 5))
        assert baseline.young


class TestDecay:
    def test_a_count_halves_in_a_half_life(self) -> None:
        baseline = Baseline()
        for _ in range(8):
            learn(baseline, observation(MONDAY, 5))
        assert baseline.count(5, MONDAY) == 8.0
        assert baseline.count(5, MONDAY + HALF_LIFE) == 4.0
        assert baseline.count(5, MONDAY + 3 * HALF_LIFE) == 1.0
        assert baseline.count(6, MONDAY) == 0.0

    def test_weights_neither_overflow_nor_fail_at_the_ends_of_time(self) -> None:
        baseline = habitual()
        assert baseline.weight(0) == 0.0
        assert baseline.weight(2**32 - 1) < float("inf")

    def test_moving_the_landmark_keeps_every_decayed_count(self) -> None:
        baseline = habitual()
        later = MONDAY + 100 * 86_400
        tokens = list(baseline.slots)
        before = [baseline.count(token, later) for token in tokens]
        baseline.rebase(later)
        assert later - baseline.scalars[LANDMARK] < HALF_LIFE
        assert [baseline.count(token, later) for token in tokens] == pytest.approx(before, rel=1e-12)

    def test_learning_moves_the_landmark_before_counts_overflow(self) -> None:
        baseline = Baseline()
        for step in range(12):
            learn(baseline, observation(step * 10 * HALF_LIFE, 5))
            age = baseline.scalars[LANDMARK] - step * 10 * HALF_LIFE
            assert -age <= REBASE_AFTER * HALF_LIFE
        assert baseline.scalars[LANDMARK] > 0
        assert baseline.count(5, 110 * HALF_LIFE) == pytest.approx(1.0, rel=1e-2)
