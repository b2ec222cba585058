"""From scores to how rare they are: strangeness = -log10 of the probability of a score as high or higher.

Below the 98 % quantile of the training scores the probability is read off their quantiles; above it, off a generalised
Pareto tail fitted by probability-weighted moments (Hosking and Wallis, "Parameter and Quantile Estimation for the
Generalized Pareto Distribution", Technometrics 29, 1987).
"""

from __future__ import annotations

from bisect import bisect_right
from math import isfinite, log1p, log10

import msgspec
import numpy as np
from numpy.typing import NDArray

TAIL = 0.02
"""Share of the training scores that the tail is fitted to."""
MIN_SCORES = 1_000
FOREST = 0.5
"""Weight of the forest's strangeness against that of the rarest features."""
HEAVIEST = 0.5
"""Largest shape for which the moments exist that the fit rests on."""

_LEVELS = np.linspace(0.0, 1.0 - TAIL, 99)
_LN10 = 2.302585092994046


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scores` rise strictly, `strangeness` belongs to them; above the last one the tail (`shape`, `scale`) takes over.

    Raises:
        ValueError: when the numbers do not describe a rising curve.
    """

    scores: tuple[float, ...]
    strangeness: tuple[float, ...]
    shape: float
    scale: float

    def __post_init__(self) -> None:
        lengths_fit = len(self.scores) == len(self.strangeness) >= 1
        finite = all(map(isfinite, (*self.scores, *self.strangeness, self.shape, self.scale)))
        rising = list(self.scores) == sorted(set(self.scores)) and list(self.strangeness) == sorted(self.strangeness)
        if not (lengths_fit and finite and rising and self.scale > 0 and 0 <= self.shape <= HEAVIEST):
            raise ValueError("calibration is no rising curve: train the model again")

    def __call__(self, score: float) -> float:
        """Strangeness of one score (higher = stranger), rounded to 1e-6 so that no last bit decides.

        One score at a time, so that what else is in a batch cannot matter.
        """
        scores, levels = self.scores, self.strangeness
        if score >= scores[-1]:
            return round(levels[-1] + self._beyond(score - scores[-1]), 6)
        place = bisect_right(scores, score)
        if place == 0:
            return round(levels[0], 6)
        low, high = scores[place - 1], scores[place]
        part = (score - low) / (high - low)
        return round(levels[place - 1] + part * (levels[place] - levels[place - 1]), 6)

    def _beyond(self, excess: float) -> float:
        """-log10 of the tail's survival function."""
        if self.shape == 0.0:
            return excess / self.scale / _LN10
        return log1p(self.shape * excess / self.scale) / self.shape / _LN10


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The forest and the rarity of single features, each as strangeness, added, and as strangeness once more.

    Adding the two logarithms found more attacks within a budget of alerts than either alone, and most of them with the
    forest at `FOREST`: it dilutes what is strange in one respect only.
    """

    forest: Curve
    rarity: Curve
    both: Curve

    def __call__(self, forest: NDArray[np.float64], rarity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Strangeness of events from their anomaly scores and rarities, (n,) and (n,) -> (n,)."""
        pairs = zip(forest.tolist(), rarity.tolist(), strict=True)
        both = [self.both(FOREST * self.forest(one) + self.rarity(two)) for one, two in pairs]
        return np.array(both, dtype=np.float64)


def calibrate(forest: NDArray[np.float64], rarity: NDArray[np.float64]) -> Calibration:
    """The calibration of a training set's anomaly scores and rarities, (n,) and (n,), higher = stranger.

    Raises:
        ValueError: with fewer than `MIN_SCORES` events.
    """
    one, two = fit_curve(forest), fit_curve(rarity)
    sums = [FOREST * one(score) + two(rare) for score, rare in zip(forest.tolist(), rarity.tolist(), strict=True)]
    return Calibration(one, two, fit_curve(np.array(sums)))


def fit_curve(scores: NDArray[np.float64]) -> Curve:
    """The curve of training scores (n,), higher = stranger.

    Raises:
        ValueError: with fewer than `MIN_SCORES` scores.
    """
    if scores.size < MIN_SCORES:
        raise ValueError(f"{scores.size} scores are too few to calibrate: train on at least {MIN_SCORES} events")
    grid = np.quantile(scores, _LEVELS)
    last_of_equals = np.append(np.diff(grid) > 0, True)
    shape, scale = fit_tail(scores[scores > grid[-1]] - grid[-1])
    return Curve(
        scores=tuple(grid[last_of_equals].tolist()),
        strangeness=tuple(-log10(1.0 - level) for level in _LEVELS[last_of_equals].tolist()),
        shape=shape,
        scale=scale,
    )


def fit_tail(excesses: NDArray[np.float64]) -> tuple[float, float]:
    """Shape (0 to `HEAVIEST`) and scale of a generalised Pareto distribution, by probability-weighted moments.

    A negative shape would give the distribution an end beyond which everything is equally impossible; the exponential
    (shape 0) is fitted instead, so that stranger always counts as stranger.
    """
    ordered = np.sort(excesses)
    mean = float(ordered.mean()) if ordered.size else 0.0
    if mean <= 0.0:
        return 0.0, 1.0
    weights = 1.0 - (np.arange(1, ordered.size + 1) - 0.35) / ordered.size
    moment = float((weights * ordered).mean())
    shape = 2.0 - mean / (mean - 2.0 * moment) if mean > 2.0 * moment else HEAVIEST
    if shape <= 0.0:
        return 0.0, mean
    shape = min(shape, HEAVIEST)
    return shape, mean * (1.0 - shape)
