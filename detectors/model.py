"""The one model that scores everybody: a forest over relative features, a calibration, and the card that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from audit.finding import Severity
from detectors.baseline import Baseline
from detectors.calibrate import Calibration
from detectors.forest import Forest

YOUNG = 50
"""Events a baseline must have learnt before what it finds strange may count as more than low."""
HIGH_ABOVE = 2.0
"""Strangeness above the threshold (powers of ten) from which an anomaly is of high severity."""


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is, what it was trained on and how to tell that it still works; stored as card.json.

    `quantiles[i][j]` is the value that feature i exceeds in a share `tails[j]` of the training events.
    `golden_rows` are rows of features, `golden_strangeness` what the model must say to them.
    """

    features: tuple[str, ...]
    threshold: float
    alerts_per_day: float
    calibration: Calibration
    tails: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]
    golden_rows: tuple[tuple[float, ...], ...]
    golden_strangeness: tuple[float, ...]
    forest_sha256: str
    events: int
    principals: int
    first: str
    last: str
    seed: int
    n_estimators: int
    max_samples: int
    libraries: dict[str, str]


@dataclass(frozen=True)
class Model:
    """A forest and its card. Strangeness is -log10 of a probability: 3 is once in a thousand training events."""

    forest: Forest
    card: Card

    @property
    def features(self) -> tuple[str, ...]:
        """Names of a row's columns."""
        return self.card.features

    @property
    def calibration(self) -> Calibration:
        """Forest score to strangeness."""
        return self.card.calibration

    @property
    def threshold(self) -> float:
        """Strangeness from which an anomaly finding is raised."""
        return self.card.threshold

    @cached_property
    def hash(self) -> str:
        """16 hex digits over the card, which holds the forest's sha256; the model's id in a registry."""
        return blake2b(msgspec.json.encode(self.card), digest_size=8).hexdigest()

    def score(self, rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Strangeness of each row, (n, features) -> (n,); the same to the bit in a batch of any size.

        Raises:
            ValueError: when a row has another width or holds a number that is not finite.
        """
        return strangeness(self.forest, self.calibration, rows)

    def severity(self, strangeness: float, baseline: Baseline) -> Severity:
        """How grave an anomaly is: low below the threshold or while the baseline is young, else medium or high."""
        if strangeness < self.threshold or baseline.events < YOUNG:
            return "low"
        return "high" if strangeness >= self.threshold + HIGH_ABOVE else "medium"


def strangeness(
    forest: Forest, calibration: Calibration, rows: Sequence[Sequence[float]] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """What `Model.score` does, for a model still in the making."""
    table = np.asarray(rows, dtype=np.float64).reshape(len(rows), forest.features)
    scores = forest.score_samples(table)
    return np.array([calibration(-score) for score in scores.tolist()], dtype=np.float64)
