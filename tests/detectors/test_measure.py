from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from audit.brief import Measure
from detectors import measure
from detectors.baseline import FOLDS, RATE_MEAN, SPREAD_MEAN
from detectors.measure import measures


@pytest.fixture
def known() -> Any:
    """A baseline of someone with usual peaks of about 3 events and 2 resources."""
    scalars = [0.0] * 64
    scalars[FOLDS] = 20.0
    scalars[RATE_MEAN] = 1.386  # log1p(3)
    scalars[SPREAD_MEAN] = 1.0986  # log1p(2)
    return SimpleNamespace(baseline=SimpleNamespace(scalars=scalars))


def counts(monkeypatch: pytest.MonkeyPatch, *found: float) -> None:
    monkeypatch.setattr(measure, "short_counts", lambda baseline, obs: found)


def test_what_is_beyond_its_usual_is_told_with_both_numbers(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts(monkeypatch, 41.03, 2.0, 5.0, 4.0)
    assert measures(known, None) == (  # type: ignore[arg-type]
        Measure("events in 15 min", 41.0, 3.0),
        Measure("refused in 15 min", 9.0, 0.0),
    )


def test_what_is_usual_is_not_told(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts(monkeypatch, 5.0, 3.0, 1.0, 1.0)
    assert measures(known, None) == ()  # type: ignore[arg-type]


def test_without_a_usual_there_is_nothing_to_compare_with(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counts(monkeypatch, 100.0, 100.0, 100.0, 100.0)
    known.baseline.scalars[FOLDS] = 0.0
    assert measures(known, None) == ()  # type: ignore[arg-type]
