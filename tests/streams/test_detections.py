from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from audit.context import EMPTY
from audit.finding import Version
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
