from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from audit.context import EMPTY
from audit.finding import Version
from detectors.peers import NONE, Snapshot
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.detections import Detections


def test_the_version_names_what_each_part_holds() -> None:
    rules, model = RuleSet((), (), ["a"]), default_model()
    detections = Detections(rules, model, EMPTY)
    assert detections.version == Version(rules.hash, model.hash, EMPTY.hash)
    assert Detections(RuleSet((), (), ["b"]), model, EMPTY).version.rules != rules.hash


def test_it_is_swapped_whole_never_changed() -> None:
    detections = Detections(RuleSet(), default_model(), EMPTY)
    with pytest.raises(FrozenInstanceError):
        detections.rules = RuleSet()  # type: ignore[misc]


def test_a_snapshot_brings_its_bar_to_both_models_and_changes_no_hash() -> None:
    model = default_model()
    detections = Detections(RuleSet(), model, EMPTY, shadow=model)
    assert detections.snapshot is NONE
    raised = detections.with_snapshot(Snapshot(5, {}, model.threshold + 1))
    assert raised.shadow is not None
    assert raised.model.threshold == raised.shadow.threshold == model.threshold + 1
    assert raised.version == detections.version
    lowered = raised.with_snapshot(Snapshot(6, {}, 0.5))
    assert lowered.model.threshold == model.threshold, "the card's threshold stays the floor"
    assert raised.with_snapshot(Snapshot(7)).model == model
