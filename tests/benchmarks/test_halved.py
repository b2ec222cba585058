"""Every campaign half as large, everything else as it was."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.halved import halved
from streams.evaluate_labels import Labelled, simulated
from streams.simulate.organisation import simulate


@pytest.fixture(scope="module")
def whole() -> Labelled:
    return simulated(simulate(12, 4, 3))


def deeds(labelled: Labelled) -> Counter[tuple[str, str]]:
    attack_of = labelled.attack_of
    return Counter((attack_of[event.id].id, event.action) for event in labelled.events() if event.id in attack_of)


def test_each_deed_is_there_half_as_often_and_at_least_once(whole: Labelled) -> None:
    before, after = deeds(whole), deeds(halved(whole))
    assert max(before.values()) > 4
    assert after == Counter({deed: (times + 1) // 2 for deed, times in before.items()})


def test_ordinary_life_and_the_labels_stay(whole: Labelled) -> None:
    half = halved(whole)
    ids = whole.attack_of
    assert [e for e in half.events() if e.id not in ids] == [e for e in whole.events() if e.id not in ids]
    assert (half.attacks, half.lookalikes) == (whole.attacks, whole.lookalikes)
    assert len(list(half.events())) == len(list(half.events()))
