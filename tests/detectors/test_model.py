"""One model for everybody: the same bits in any batch, severities with their cap, no scikit-learn in the worker."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.event import AuditEvent
from detectors.baseline import Baseline
from detectors.features import FEATURES, features, learn, observe
from detectors.model import HIGH_ABOVE, YOUNG_ABOVE, Model
from detectors.train import matrix
from tests.detectors.company import AGENTS, MONDAY, event, usual


@pytest.fixture(scope="module")
def rows(events: list[AuditEvent]) -> list[list[float]]:
    return matrix(events, young=True).rows[:2000].tolist()


def old() -> Baseline:
    baseline = Baseline()
    for made in usual(28):
        learn(baseline, observe(made))
    return baseline


class TestScore:
    @settings(max_examples=25, deadline=None)
    @given(cuts=st.sets(st.integers(1, 1999), max_size=40))
    def test_batch_size_changes_no_bit(self, model: Model, rows: list[list[float]], cuts: set[int]) -> None:
        edges = [0, *sorted(cuts), len(rows)]
        parts = np.concatenate([model.score(rows[a:b]) for a, b in pairwise(edges)])
        assert parts.tobytes() == model.score(rows).tobytes()

    def test_one_by_one_too(self, model: Model, rows: list[list[float]]) -> None:
        assert b"".join(model.score([row]).tobytes() for row in rows[:400]) == model.score(rows[:400]).tobytes()

    def test_it_is_rounded_and_never_negative(self, model: Model, rows: list[list[float]]) -> None:
        said = model.score(rows)
        assert (said >= 0).all()
        assert said.tolist() == [round(value, 6) for value in said.tolist()]

    def test_no_rows(self, model: Model) -> None:
        assert model.score([]).shape == (0,)

    @pytest.mark.parametrize("row", [[0.0], [0.0] * (len(FEATURES) + 1), [float("nan")] * len(FEATURES)])
    def test_other_rows_are_refused(self, model: Model, row: list[float]) -> None:
        with pytest.raises(ValueError, match=r"reshape|finite"):
            model.score([row])

    def test_a_stolen_session_is_stranger_than_a_usual_day(self, model: Model) -> None:
        baseline, night = old(), MONDAY + 28 * 86_400 + 3 * 3600
        stolen = event(night, "CreateAccessKey", country="NL", asn=64511, source_ip="203.0.113.9", user_agent=AGENTS[2])
        usual_event = next(iter(usual(1, start=MONDAY + 28 * 86_400)))
        strange, plain = model.score([features(baseline, observe(one)) for one in (stolen, usual_event)])
        assert strange > model.threshold > plain + 1

    def test_day_one_says_nothing(self, model: Model) -> None:
        baseline = Baseline()
        for made in usual(2):
            (strange,) = model.score([features(baseline, observe(made))])
            assert strange < model.bar(baseline)
            learn(baseline, observe(made))


class TestSeverity:
    def test_by_strangeness(self, model: Model) -> None:
        baseline, limit = old(), model.threshold
        said = [model.severity(limit + beyond, baseline) for beyond in (-0.01, 0.0, HIGH_ABOVE - 0.01, HIGH_ABOVE)]
        assert said == ["low", "medium", "medium", "high"]

    def test_a_young_baseline_has_to_be_surprised_more(self, model: Model) -> None:
        assert model.bar(old()) == model.threshold
        assert model.bar(Baseline()) == model.threshold + YOUNG_ABOVE

    def test_it_is_low_while_the_baseline_is_young(self, model: Model) -> None:
        assert model.severity(99.0, Baseline()) == "low"
        assert model.severity(99.0, old()) == "high"


class TestIdentity:
    def test_the_hash_follows_the_card(self, model: Model) -> None:
        twin = Model(model.forest, model.card)
        other = Model(model.forest, type(model.card)(**{**_fields(model), "threshold": 9.0}))
        assert twin.hash == model.hash != other.hash
        assert len(model.hash) == 16

    def test_a_model_is_frozen(self, model: Model) -> None:
        with pytest.raises(AttributeError):
            model.forest = None  # type: ignore[misc,assignment]

    def test_features_are_this_programs(self, model: Model) -> None:
        assert model.features == tuple(feature.name for feature in FEATURES)


def _fields(model: Model) -> dict[str, object]:
    return {name: getattr(model.card, name) for name in type(model.card).__struct_fields__}


@pytest.mark.parametrize("module", ["model", "anomaly", "registry", "explain"])
def test_the_worker_never_loads_scikit_learn(module: str) -> None:
    code = f"import sys, detectors.{module}; print([name for name in ('sklearn', 'scipy') if name in sys.modules])"
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestRaised:
    def test_severity_and_bar_follow_the_raised_threshold(self, model: Model) -> None:
        raised = model.raised(model.threshold + 1)
        assert raised.bar(old()) == model.threshold + 1
        assert raised.bar(Baseline()) == model.threshold + 1 + YOUNG_ABOVE
        assert raised.severity(model.threshold + 1, old()) == "medium"
        assert raised.severity(model.threshold + 1 + HIGH_ABOVE, old()) == "high"
        assert raised.hash == model.hash

    def test_it_is_never_lowered(self, model: Model) -> None:
        assert model.raised(0.1).threshold == model.raised(None).threshold == model.threshold
        assert model.raised(9.0).raised(None) == model
