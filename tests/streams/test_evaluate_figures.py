from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.evaluate import Campaign, Closed, Heard, Measured, Odd
from streams.evaluate_figures import by_kind, by_lookalike, false_causes, false_lookalikes, figure, summarise


def measured(budget: float = 10, **changes: object) -> Measured:
    fields: dict[str, object] = {
        "organisation": "one", "system": "auditwatch", "budget": budget, "users": 50, "days": 10, "attack_after": 5,
        "events": 100,
        "campaigns": (
            Campaign("spray", "easy", 60.0, ("Spray",)), Campaign("spray", "easy", None),
            Campaign("creep", "hard", 600.0, ("Creep", "New role")),
        ),
        "lookalikes": (Odd("trip", True), Odd("trip", False), Odd("move", False), Odd("move", False)),
        "alerts": (
            Heard(0, "ada", False, "trip", ("Unusual",)), Heard(0, "ada", False, "", ("Unusual",)),
            Heard(6, "bob", False, "", ("Spray", "Unusual")), Heard(6, "eve", True, "trip", ("Spray",)),
        ),
    }  # fmt: skip
    return Measured(**{**fields, **changes})  # type: ignore[arg-type]


def mean(found: object) -> float:
    assert found is not None
    return found.mean  # type: ignore[attr-defined, no-any-return]


def test_a_summary_counts_what_it_says() -> None:
    (summary,) = summarise([measured()])
    assert mean(summary.found) == pytest.approx(2 / 3)
    assert {name: found.mean for name, found in summary.found_by.items()} == {"easy": 0.5, "hard": 1.0}
    assert (summary.median_delay, summary.p90_delay) == (330.0, pytest.approx(546.0))
    assert mean(summary.alerts_a_day) == 0.4
    assert mean(summary.false_a_day) == 0.3
    assert mean(summary.false_a_day_under_attack) == 0.2
    assert mean(summary.precision) == 0.25
    assert mean(summary.lookalikes_alerted) == 0.25
    assert mean(summary.alerted_on_day_one) == 1 / 50
    assert mean(summary.alerted_when_cold) == pytest.approx(1 / 150)


def test_a_summary_counts_what_paper_closed() -> None:
    closed = (Closed("ada", (), ("pentest",)), Closed("bob", ("a1", "a2"), ("planned_change",)), Closed("eve"))
    (summary,) = summarise([measured(closed=closed, left_open=2, mixed=1)])
    assert mean(summary.explained_closed) == 0.5
    assert (summary.attacks_closed, summary.mixed) == (2, 1)
    (summary,) = summarise([measured()])
    assert (summary.explained_closed, summary.attacks_closed) == (None, 0)


def test_nothing_told_is_no_precision_and_no_time() -> None:
    silent = measured(alerts=(), campaigns=(Campaign("spray", "easy", None),))
    (summary,) = summarise([silent])
    assert summary.precision is None
    assert (summary.median_delay, summary.p90_delay) == (None, None)
    assert mean(summary.found) == mean(summary.false_a_day) == 0.0


def test_budgets_and_systems_are_kept_apart() -> None:
    summaries = summarise([measured(5), measured(10), measured(5, alerts=()), measured(5, system="naive forest")])
    assert [(each.system, each.budget, each.organisations) for each in summaries] == [
        ("auditwatch", 5, 2), ("auditwatch", 10, 1), ("naive forest", 5, 1),
    ]  # fmt: skip


def test_the_interval_is_students() -> None:
    found = figure([0.8, 0.9, 0.85, 0.95])
    assert found is not None
    assert found.mean == pytest.approx(0.875)
    assert found.low == pytest.approx(0.875 - 3.18 * 0.0645497 / 2, abs=1e-4)
    assert figure([0.5]) is not None
    assert figure([0.5]).low is None  # type: ignore[union-attr]
    assert figure([]) is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_the_interval_holds_the_mean_and_stays_within_what_is_possible(values: list[float]) -> None:
    found = figure(values)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1


def test_kinds_have_a_row_each_and_its_causes() -> None:
    rows = list(by_kind([measured(5, campaigns=(Campaign("spray", "easy", None),) * 2), measured(10)]))
    creep, spray = rows
    assert (creep.kind, creep.difficulty, creep.count, creep.median_delay) == ("creep", "hard", 1, 600.0)
    assert set(creep.causes) == {"Creep", "New role"}
    assert (spray.count, spray.found) == (2, {5: 0, 10: 1})


def test_lookalikes_have_a_row_a_kind() -> None:
    assert [(row.kind, row.count, row.alerted) for row in by_lookalike([measured()])] == [
        ("move", 2, {10: 0}), ("trip", 2, {10: 1}),
    ]  # fmt: skip


def test_causes_are_those_of_false_alerts() -> None:
    assert false_causes([measured()]) == {("Unusual",): 2, ("Spray", "Unusual"): 1}
    assert false_lookalikes([measured()]) == {"trip": 1, "ordinary life": 2}
