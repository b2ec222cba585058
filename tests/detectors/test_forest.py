"""The flat forest is scikit-learn's to the bit, in batches of any size, and refuses what is no forest."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from detectors.forest import Floats, Forest


def data(seed: int, rows: int, width: int, *, as_float32: bool = False, coarse: bool = False) -> Floats:
    made = np.random.default_rng(seed).normal(size=(rows, width))
    if coarse:  # ties with thresholds and equal rows
        made = made.round(1)
    return made.astype(np.float32) if as_float32 else made  # type: ignore[return-value]


def fitted(seed: int = 0, rows: int = 400, width: int = 5, **options: object) -> IsolationForest:
    options = {"n_estimators": 12, "random_state": seed} | options
    return IsolationForest(**options).fit(data(seed, rows, width))


@pytest.fixture(scope="module")
def forest() -> Forest:
    return Forest.from_sklearn(fitted())


class TestParity:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 2**31),
        rows=st.integers(2, 600),
        width=st.integers(1, 20),
        trees=st.integers(1, 40),
        max_samples=st.sampled_from([1, 2, 3, 17, 64, 256, "auto", 0.5, 1.0]),
        max_features=st.sampled_from([1, 0.3, 0.7, 1.0]),
        bootstrap=st.booleans(),
        as_float32=st.booleans(),
        coarse=st.booleans(),
    )
    def test_scores_equal_scikit_learn_to_the_bit(
        self, seed: int, rows: int, width: int, trees: int, max_samples: object, max_features: object,
        bootstrap: bool, as_float32: bool, coarse: bool,
    ) -> None:  # fmt: skip
        train = data(seed, rows, width, as_float32=as_float32, coarse=coarse)
        if isinstance(max_samples, int):
            max_samples = min(max_samples, rows)
        est = IsolationForest(
            n_estimators=trees,
            max_samples=max_samples,
            max_features=max_features,
            bootstrap=bootstrap,
            random_state=seed,
        ).fit(train)
        flat = Forest.from_bytes(Forest.from_sklearn(est).to_bytes())
        for probe in (train, 3 * data(seed + 1, 50, width), data(seed, 1, width)):
            assert np.array_equal(flat.score_samples(probe), est.score_samples(probe))

    def test_a_model_of_real_size(self) -> None:
        est = fitted(rows=3000, width=17, n_estimators=100, max_samples=256)
        probe = data(9, 2000, 17)
        assert np.array_equal(Forest.from_sklearn(est).score_samples(probe), est.score_samples(probe))

    def test_a_single_training_sample(self) -> None:
        est = fitted(max_samples=1)
        assert np.array_equal(Forest.from_sklearn(est).score_samples(data(1, 3, 5)), np.full(3, -0.5))


class TestBatches:
    @settings(max_examples=30, deadline=None)
    @given(cuts=st.sets(st.integers(1, 699), max_size=20))
    def test_how_rows_are_cut_into_batches_changes_no_bit(self, forest: Forest, cuts: set[int]) -> None:
        rows = data(5, 700, 5)
        edges = [0, *sorted(cuts), 700]
        parts = [forest.score_samples(rows[a:b]) for a, b in pairwise(edges)]
        assert np.array_equal(np.concatenate(parts), forest.score_samples(rows))

    def test_one_by_one_too(self, forest: Forest) -> None:
        rows = data(6, 300, 5)
        singles = np.concatenate([forest.score_samples(rows[i : i + 1]) for i in range(300)])
        assert np.array_equal(singles, forest.score_samples(rows))

    def test_layout_in_memory_does_not_matter(self, forest: Forest) -> None:
        rows = data(7, 64, 10)[:, ::2]
        assert np.array_equal(forest.score_samples(rows), forest.score_samples(np.asfortranarray(rows.copy())))

    def test_no_rows(self, forest: Forest) -> None:
        assert forest.score_samples(np.empty((0, 5))).shape == (0,)


class TestInput:
    @pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 6), (1, 3, 5)])
    def test_other_shapes_are_refused(self, forest: Forest, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="rows of 5 features"):
            forest.score_samples(np.zeros(shape))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
    def test_what_is_not_finite_is_refused(self, forest: Forest, value: float) -> None:
        rows = np.zeros((3, 5))
        rows[1, 2] = value
        with pytest.raises(ValueError, match="finite"):
            forest.score_samples(rows)


class TestBytes:
    def test_round_trip_is_exact(self, forest: Forest) -> None:
        twin = Forest.from_bytes(forest.to_bytes())
        assert twin.to_bytes() == forest.to_bytes()
        assert (twin.trees, twin.features) == (12, 5)

    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            (lambda raw: b"", "too few"),
            (lambda raw: raw[:-1], "nodes announced"),
            (lambda raw: raw + b"\0", "nodes announced"),
            (lambda raw: b"PK" + raw[2:], "begins with"),
            (lambda raw: raw[:4] + b"\xff\xff\xff\x7f" + raw[8:], "nodes announced"),
        ],
    )
    def test_other_bytes_are_refused(self, forest: Forest, damage: object, complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            Forest.from_bytes(damage(forest.to_bytes()))  # type: ignore[operator]

    @settings(max_examples=200, deadline=None)
    @given(place=st.integers(0, 10**6), byte=st.integers(1, 255))
    def test_a_flipped_byte_is_refused_or_still_terminates(self, forest: Forest, place: int, byte: int) -> None:
        raw = bytearray(forest.to_bytes())
        raw[place % len(raw)] ^= byte
        try:
            damaged = Forest.from_bytes(bytes(raw))
        except ValueError:
            return
        damaged.score_samples(np.zeros((2, damaged.features)))

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"left": {0: 0}}, "come after"),
            ({"left": {0: 3}}, "no parent"),
            ({"left": {0: 99}}, "come after"),
            ({"left": {2: 1}}, "come after"),
            ({"feature": {0: 2}}, "beyond the 2"),
            ({"number": {0: np.nan}}, "not finite"),
            ({"number": {1: np.inf}}, "not finite"),
            ({"number": {1: -1.0}}, "negative depth"),
            ({"denominator": np.nan}, "not finite"),
            ({"denominator": -1.0}, "not finite"),
            ({"features": 0}, "out of bounds"),
        ],
    )
    def test_what_is_no_tree_is_refused(self, change: dict[str, object], complaint: str) -> None:
        parts: dict[str, object] = {
            "left": np.array([1, 0, 3, 0, 0]),
            "feature": np.array([0, 0xFFFF, 1, 0xFFFF, 0xFFFF]),
            "number": np.array([0.5, 1.0, 0.25, 2.0, 2.0]),
            "features": 2,
            "denominator": 1.5,
        }
        assert np.allclose(Forest(**parts).score_samples(np.array([[1.0, 1.0]])), -(2 ** -(2 / 1.5)))  # type: ignore[arg-type]
        for name, new in change.items():
            if isinstance(new, dict):
                for place, value in new.items():
                    parts[name][place] = value  # type: ignore[index]
            else:
                parts[name] = new
        with pytest.raises(ValueError, match=complaint):
            Forest(**parts)  # type: ignore[arg-type]

    def test_a_node_with_two_parents_is_refused(self) -> None:
        with pytest.raises(ValueError, match="more than one"):
            Forest(np.array([2, 2, 0, 0, 0, 0]), np.array([0, 0, *[0xFFFF] * 4]), np.ones(6), 1, 1.0)

    def test_a_chain_too_deep_is_refused(self) -> None:
        depth = 600
        left = np.array([n + 1 if n % 2 == 0 and n < 2 * depth else 0 for n in range(2 * depth + 1)])
        feature = np.where(left > 0, 0, 0xFFFF)
        with pytest.raises(ValueError, match="deeper"):
            Forest(left, feature, np.ones(2 * depth + 1), 1, 1.0)
