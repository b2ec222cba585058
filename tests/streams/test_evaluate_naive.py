from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from audit.context import EMPTY
from audit.event import AuditEvent, Principal, Resource
from detectors.train import plain_forest
from streams.evaluate_labels import Labelled
from streams.evaluate_naive import Naive
from streams.simulate.model import DAY, HOUR, Attack

START = 20_460 * DAY


def event(number: int, who: str = "ada", action: str = "read", name: str = "bucket") -> AuditEvent:
    time = START + number * HOUR // 10
    actor = Principal(who, who, "human", "verified")
    return AuditEvent(str(number), time, "okta", action, "success", actor, resource=Resource("s3", name))


@pytest.fixture
def events() -> list[AuditEvent]:
    usual = [event(number, name=f"bucket{number % 3}") for number in range(900)]
    return [*usual, *(event(900 + number, "eve", f"steal{number}", f"secret{number}") for number in range(5))]


@pytest.fixture
def labelled(events: list[AuditEvent]) -> Labelled:
    ids = tuple(each.id for each in events[900:])
    attack = Attack("x", "theft", "easy", "eve", events[900].time, events[-1].time, ids, "T1", "A theft.")
    return Labelled("small", EMPTY, [attack], [], lambda: iter(events))


def test_what_is_rare_among_the_fields_is_strange(events: list[AuditEvent], labelled: Labelled) -> None:
    odd = {300: ("eve", "steal", "secret"), 600: ("mallory", "take", "vault")}
    mixed = [event(number, *odd[number]) if number in odd else each for number, each in enumerate(events[:900])]
    naive = Naive(labelled, plain_forest)
    naive.see(mixed)
    candidates = naive.candidates(mixed[899].time)
    assert {"eve", "mallory"} <= {each.principal for each in candidates}
    assert len(candidates) < 12  # of 25 episodes
    for each in candidates:
        assert all(one.rank <= two.rank for one, two in pairwise(each.steps))


def test_steps_gather_the_campaigns_they_rest_on(labelled: Labelled) -> None:
    scores = np.array([0.9, 0.2, 0.7, 0.95])
    naive = Naive(labelled, plain_forest)
    naive.see([event(10, "eve"), event(11, "eve"), event(900, "eve"), event(901, "eve")])
    early, late = naive._grouped(scores, 0.5)
    assert [(step.rank, step.attacks) for step in early.steps] == [(0.9, frozenset())]
    assert [(step.rank, step.attacks) for step in late.steps] == [(0.7, {"x"}), (0.95, {"x"})]


def test_it_is_fitted_on_the_peaceful_days_alone(events: list[AuditEvent], labelled: Labelled) -> None:
    shapes: list[tuple[int, ...]] = []

    def fit(rows: np.ndarray) -> object:
        shapes.append(rows.shape)
        return plain_forest(rows)

    naive = Naive(labelled, fit)  # type: ignore[arg-type]
    naive.see(events[:100])
    naive.see(events[100:])
    naive.candidates(events[900].time)
    assert shapes == [(900, 13)]


def test_an_alert_is_a_principal_in_an_episode(events: list[AuditEvent], labelled: Labelled) -> None:
    naive = Naive(labelled, plain_forest)
    naive.see(events)
    keys = [(each.principal, each.steps[0].time // (4 * HOUR)) for each in naive.candidates(events[900].time)]
    assert len(set(keys)) == len(keys)


def test_with_nothing_before_the_attacks_all_is_fitted(events: list[AuditEvent], labelled: Labelled) -> None:
    naive = Naive(labelled, plain_forest)
    naive.see(events)
    assert naive.candidates(START)


def test_the_forest_of_the_floor_is_scikit_learns_and_the_same_each_time() -> None:
    rows = np.arange(600, dtype=np.float64).reshape(200, 3) % 17
    one, two = plain_forest(rows), plain_forest(rows)
    assert one.to_bytes() == two.to_bytes()
    assert one.features == 3
