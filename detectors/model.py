"""The one model that scores everybody: a forest over relative features, how rare single ones are, and the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from audit.finding import Severity
from detectors.baseline import Baseline
from detectors.calibrate import Calibration
from detectors.forest import Forest
from detectors.rarity import Tails

HIGH_ABOVE = 0.7
"""Strangeness above the threshold (powers of ten) from which an anomaly is of high severity."""
YOUNG_ABOVE = 1.0
"""Strangeness above the threshold from which an event says something though its principal's baseline is young."""


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
    """A forest and its card. Strangeness is -log10 of a probability: 3 is once in a thousand training events.

    `floor` raises the card's threshold where the alert budget asks for it; it is no part of the model's hash.
    """

    forest: Forest
    card: Card
    floor: float = 0.0

    @property
    def features(self) -> tuple[str, ...]:
        """Names of a row's columns."""
        return self.card.features

    @property
    def calibration(self) -> Calibration:
        """Anomaly score and rarity to strangeness."""
        return self.card.calibration

    @property
    def threshold(self) -> float:
        """Strangeness from which an anomaly finding is raised."""
        return max(self.card.threshold, self.floor)

    @cached_property
    def tails(self) -> Tails:
        """How rare single values are."""
        return Tails(self.card.tails, self.card.quantiles)

    @cached_property
    def hash(self) -> str:
        """16 hex digits over the card, which holds the forest's sha256; the model's id in a registry."""
        return blake2b(msgspec.json.encode(self.card), digest_size=8).hexdigest()

    def score(self, rows: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Strangeness of each row, (n, features) -> (n,); the same to the bit in a batch of any size.

        Raises:
            ValueError: when a row has another width or holds a number that is not finite.
        """
        table = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(self.features))
        return self.calibration(-self.forest.score_samples(table), self.tails.rarity(table))

    def raised(self, bar: float | None) -> Model:
        """The same model with its threshold at `bar` or, where that is higher or there is no bar, at the card's."""
        return replace(self, floor=bar or 0.0)

    def bar(self, baseline: Baseline) -> float:
        """Strangeness from which an event of this principal is worth a finding; to the young, nearly all is new."""
        return self.threshold + YOUNG_ABOVE if baseline.young else self.threshold

    def severity(self, strangeness: float, baseline: Baseline) -> Severity:
        """How grave an anomaly at or above the bar is: low while the baseline is young, else medium or high."""
        if strangeness < self.threshold or baseline.young:
            return "low"
        return "high" if strangeness >= round(self.threshold + HIGH_ABOVE, 6) else "medium"
