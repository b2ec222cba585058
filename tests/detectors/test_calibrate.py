"""Strangeness rises with the score, means what it says, and does not depend on company."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.calibrate import HEAVIEST, MIN_SCORES, TAIL, Curve, calibrate, fit_curve, fit_tail

RNG = np.random.default_rng(11)
EXPONENTIAL = RNG.exponential(size=20_000)
CURVE = fit_curve(EXPONENTIAL)


class TestCurve:
    def test_strangeness_is_minus_log10_of_the_tail_probability(self) -> None:
        for probability in (0.5, 0.1, 0.021, 0.01, 1e-3, 1e-4):
            assert CURVE(-np.log(probability)) == pytest.approx(-np.log10(probability), rel=0.1)

    def test_below_all_training_scores_it_is_zero(self) -> None:
        assert CURVE(-1.0) == CURVE(float(EXPONENTIAL.min())) == 0.0

    @given(st.floats(-10, 1000), st.floats(-10, 1000))
    def test_it_never_falls(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert CURVE(low) <= CURVE(high)

    def test_it_goes_on_rising_beyond_everything_seen(self) -> None:
        top = float(EXPONENTIAL.max())
        assert CURVE(top) < CURVE(top + 1) < CURVE(top + 2)

    def test_it_is_continuous_where_the_tail_takes_over(self) -> None:
        cut = CURVE.scores[-1]
        assert CURVE(cut) == pytest.approx(-np.log10(TAIL), abs=1e-6)
        assert CURVE(cut - 1e-9) == pytest.approx(CURVE(cut), abs=1e-5)

    @given(st.floats(0, 30))
    def test_it_is_rounded(self, score: float) -> None:
        assert CURVE(score) == round(CURVE(score), 6)

    def test_scores_with_many_equals_are_no_trouble(self) -> None:
        curve = fit_curve(np.repeat([0.0, 1.0, 5.0], [1500, 490, 10]))
        assert curve(0.0) == pytest.approx(-np.log10(0.25), abs=0.02)
        assert curve(1.0) < curve(5.0)
        assert fit_curve(np.zeros(MIN_SCORES))(0.0) < fit_curve(np.zeros(MIN_SCORES))(1.0)

    def test_too_few_scores_are_refused(self) -> None:
        with pytest.raises(ValueError, match="at least 1000"):
            fit_curve(np.arange(999.0))

    @pytest.mark.parametrize(
        "change",
        [
            {"scores": (1.0, 1.0), "strangeness": (0.0, 1.0)},
            {"scores": (2.0, 1.0), "strangeness": (0.0, 1.0)},
            {"strangeness": (0.0,)},
            {"strangeness": (1.0, 0.0)},
            {"scores": (), "strangeness": ()},
            {"scale": 0.0},
            {"scale": float("nan")},
            {"shape": -0.1},
            {"shape": 0.6},
            {"scores": (0.0, float("inf"))},
        ],
    )
    def test_what_is_no_rising_curve_is_refused(self, change: dict[str, object]) -> None:
        parts: dict[str, object] = {"scores": (0.0, 1.0), "strangeness": (0.0, 1.7), "shape": 0.1, "scale": 1.0}
        Curve(**parts)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="rising"):
            Curve(**(parts | change))  # type: ignore[arg-type]

    def test_it_survives_json(self) -> None:
        assert msgspec.json.decode(msgspec.json.encode(CURVE), type=Curve) == CURVE


class TestTail:
    @pytest.mark.parametrize("shape", [0.1, 0.2, 0.3])
    def test_a_generalised_pareto_tail_is_recovered(self, shape: float) -> None:
        uniform = np.random.default_rng(5).uniform(size=50_000)
        found, scale = fit_tail(3.0 / shape * (uniform**-shape - 1.0))
        assert found == pytest.approx(shape, abs=0.03)
        assert scale == pytest.approx(3.0, rel=0.05)

    def test_a_bounded_tail_is_fitted_by_an_exponential(self) -> None:
        excesses = RNG.uniform(size=1000)
        assert fit_tail(excesses) == (0.0, pytest.approx(excesses.mean()))

    def test_the_heaviest_tail_is_bounded(self) -> None:
        assert fit_tail(RNG.uniform(size=1000) ** -3.0)[0] <= HEAVIEST

    def test_no_tail_at_all(self) -> None:
        assert fit_tail(np.empty(0)) == (0.0, 1.0)


class TestCalibration:
    def test_both_together_are_a_tail_probability_again(self) -> None:
        one, two = RNG.normal(size=20_000), RNG.exponential(size=20_000)
        said = calibrate(one, two)(one, two)
        for level in (1.0, 2.0, 3.0):
            assert (said >= level).mean() == pytest.approx(10**-level, rel=0.3)

    def test_either_makes_it_stranger(self) -> None:
        one, two = RNG.normal(size=5_000), RNG.exponential(size=5_000)
        low, forest, rare = calibrate(one, two)(np.array([0.0, 9.0, 0.0]), np.array([0.5, 0.5, 30.0]))
        assert forest > low < rare
