"""Tail probabilities of single features, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.features import FEATURES
from detectors.rarity import MOST, Tails

WIDTH = len(FEATURES)
TAILS = (0.5, 0.1, 0.01)
HALF = -np.log10(0.5)
RARITY = Tails(TAILS, ((0.0, 1.0, 3.0),) * WIDTH)


def place(name: str) -> int:
    return [feature.name for feature in FEATURES].index(name)


def rows(**values: float) -> np.ndarray:
    made = np.zeros((1, WIDTH))
    for name, value in values.items():
        made[0, place(name)] = value
    return made


class TestLevels:
    @pytest.mark.parametrize(
        ("value", "level"),
        [
            (-5.0, 0.0),
            (0.0, 0.0),
            (0.5, (HALF + 1.0) / 2),
            (1.0, 1.0),
            (2.0, 1.5),
            (3.0, 2.0),
            (4.0, 2.0 + (2.0 - 1.0) / (3 - 1)),
            (1e9, MOST),
        ],
    )
    def test_between_and_beyond_the_quantiles(self, value: float, level: float) -> None:
        assert RARITY.levels(rows(gap=value))[0, place("gap")] == pytest.approx(level)

    def test_equal_quantiles(self) -> None:
        tails = Tails(TAILS, ((0.0, 0.0, 1.0),) * WIDTH)
        assert tails.levels(rows(gap=0.0))[0, -1] == 0.0
        assert tails.levels(rows(gap=0.5))[0, -1] == pytest.approx(1.5)
        assert tails.levels(rows(gap=1.0))[0, -1] == pytest.approx(2.0)

    def test_a_feature_that_never_varied(self) -> None:
        tails = Tails(TAILS, ((0.0, 0.0, 0.0),) * WIDTH)
        assert tails.levels(rows(gap=0.0))[0, -1] == 0.0
        assert tails.levels(rows(gap=0.5))[0, -1] == pytest.approx(2.5)

    @given(st.floats(-50, 50), st.floats(-50, 50))
    def test_more_is_never_more_usual(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert RARITY.levels(rows(gap=low))[0, -1] <= RARITY.levels(rows(gap=high))[0, -1]


class TestRarity:
    def test_the_rarest_three_groups_add_up(self) -> None:
        strange = rows(gap=3.0, hour_surprise=2.0, agent_surprise=1.0, resource_surprise=0.5)
        assert RARITY.rarity(strange) == pytest.approx([2.0 + 1.5 + 1.0])

    def test_a_group_counts_once(self) -> None:
        trip = rows(country_surprise=3.0, asn_surprise=3.0, network_surprise=2.0, origin_surprise=2.0)
        assert RARITY.rarity(trip) == pytest.approx([2.0])

    def test_each_row_for_itself(self) -> None:
        many = np.random.default_rng(1).normal(size=(300, WIDTH)) * 3
        together = RARITY.rarity(many)
        assert np.array_equal(together, np.concatenate([RARITY.rarity(many[i : i + 1]) for i in range(300)]))
