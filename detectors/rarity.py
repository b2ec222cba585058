"""How rare each single feature is, and how rare the rarest three together: what a forest dilutes.

Only comparisons and the four operations of IEEE 754 on each number by itself, so that a batch changes no bit.
"""

from __future__ import annotations

from math import log10

import numpy as np
from numpy.typing import NDArray

from detectors.features import FEATURES

Floats = NDArray[np.float64]

RAREST = 3
TAIL = 0.01
"""Share of the events that say how steeply rarity grows with a value."""
MOST = 8.0
"""No single value counts as rarer than 1 in 10 ** MOST."""

_GROUPS = [place for place, it in enumerate(FEATURES) if place == 0 or it.group != FEATURES[place - 1].group]


class Tails:
    """Tail probabilities of every feature, from the quantiles on a model's card."""

    __slots__ = ("_bounds", "_columns", "_levels", "_slopes")

    def __init__(self, tails: tuple[float, ...], quantiles: tuple[tuple[float, ...], ...]) -> None:
        """`quantiles[i][j]` is what feature i exceeds in a share `tails[j]` of events; `tails` fall, quantiles rise.

        Beyond the last quantile the logarithm goes on as steeply as it did from `TAIL` on.
        """
        self._levels = np.array([-log10(tail) for tail in tails])
        self._bounds = np.array(quantiles, dtype=np.float64)
        start = max(place for place, tail in enumerate(tails[:-1]) if tail >= TAIL or place == 0)
        width = self._bounds[:, -1] - self._bounds[:, start]
        rise = self._levels[-1] - self._levels[start]
        self._slopes = np.where(width > 0, rise / np.where(width > 0, width, 1.0), 1.0)
        self._columns = np.arange(len(quantiles))

    def levels(self, rows: Floats) -> Floats:
        """-log10 of each value's tail probability, (n, features) -> (n, features); 0 up to the median."""
        bounds, levels, last = self._bounds, self._levels, len(self._levels) - 1
        exceeded = (rows[:, :, None] > bounds).sum(axis=2)
        below, above = np.maximum(exceeded - 1, 0), np.minimum(exceeded, last)
        low, high = bounds[self._columns, below], bounds[self._columns, above]
        part = (rows - low) / np.where(high > low, high - low, 1.0)
        between = levels[below] + part * (levels[above] - levels[below])
        beyond = np.minimum(levels[last] + (rows - bounds[:, last]) * self._slopes, MOST)
        inside: Floats = np.where(exceeded > last, beyond, between)
        return np.where(exceeded == 0, 0.0, inside)

    def rarity(self, rows: Floats) -> Floats:
        """Sum over the `RAREST` groups of features of their rarest value's level, (n, features) -> (n,)."""
        groups = np.maximum.reduceat(self.levels(rows), _GROUPS, axis=1)
        groups.sort(axis=1)
        total: Floats = groups[:, -1] + groups[:, -2] + groups[:, -RAREST]
        return total
