from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.correlation import Correlation, Entry
from rules.correlation_measure import (
    Average,
    Quantile,
    affected,
    follows,
    least,
    percentile,
    reached,
)
from rules.correlation_prompt import Prompt, prompt_measure
from tests.rules.correlating import correlation, distinct, measuring, temporal

PROMPT = {
    "count": correlation(timespan=10),
    "distinct": distinct(timespan=10),
    "sum": measuring("value_sum", "gte", 10, timespan=10),
    "all": temporal(3, timespan=10),
    "two": temporal(3, need=2, timespan=10),
    "clauses": temporal(3, "a and (b or c)", timespan=10),
    "order": temporal(3, ordered=True, timespan=10),
    "order of two": temporal(3, ordered=True, need=2, bounds=(("gte", 2),), timespan=10),
    "orders": temporal(3, "(a and b) or c", ordered=True, timespan=10),
}
drawn = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(-3, 8)), min_size=1, max_size=20)


def entries_of(rows: Sequence[tuple[int, int, int]], rule: Correlation) -> list[Entry]:
    return [
        Entry(time, "okta", f"e{at}", place, "p", number * 1_000_000 if rule.kind == "value_sum" else f"v{number}")
        for at, (time, place, number) in enumerate(rows)
    ]


def window(entries: Sequence[Entry], at: int) -> list[Entry]:
    return [one for one in entries[: at + 1] if one.time > entries[at].time - 10]


@pytest.mark.parametrize("name", PROMPT)
@given(rows=drawn)
def test_a_measure_answers_as_its_window_does(name: str, rows: list[tuple[int, int, int]]) -> None:
    rule = PROMPT[name]
    entries = entries_of(sorted(rows), rule)
    measure = prompt_measure(rule)
    for at, entry in enumerate(entries):
        assert measure.push(entry) == reached(rule, window(entries, at))


@pytest.mark.parametrize("name", PROMPT)
@given(rows=drawn, late=st.integers(0, 19))
def test_a_measure_takes_in_what_comes_late(name: str, rows: list[tuple[int, int, int]], late: int) -> None:
    rule = PROMPT[name]
    ordered = entries_of(sorted(rows), rule)
    newest = ordered[-1].time
    ordered.append(Entry(newest + 1, "okta", "last", 0, "p", ordered[0].value))
    place = min(late, len(ordered) - 2)
    if ordered[place].time <= newest + 1 - 10:
        return
    measure: Prompt = prompt_measure(rule)
    for entry in [*ordered[:place], *ordered[place + 1 : -1]]:
        measure.push(entry)
    if measure.late(ordered[place]):
        assert measure.push(ordered[-1]) == reached(rule, window(ordered, len(ordered) - 1))


@pytest.mark.parametrize("name", PROMPT)
@given(rows=drawn, at=st.integers(0, 19))
def test_a_match_changes_nothing_outside_of_what_it_affects(
    name: str, rows: list[tuple[int, int, int]], at: int
) -> None:
    rule = PROMPT[name]
    entries = entries_of(sorted(rows), rule)
    at = min(at, len(entries) - 1)
    low, high = affected(rule, [entry.time for entry in entries], entries, at)
    before = [*entries[:at], *entries[at + 1 :]]
    for place, entry in enumerate(entries):
        last = max(one for one, other in enumerate(entries) if other.time == entry.time)
        without = [one for one in before if entry.time - 10 < one.time <= entry.time]
        changed = reached(rule, window(entries, last)) and not reached(rule, without)
        assert not changed or low <= place < high or entry.time == entries[at].time


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-50, 50)), min_size=1, max_size=15))
def test_mean_and_quantile_are_exact(rows: list[tuple[int, int]]) -> None:
    average, middle, ninth = Average(10), Quantile(50, 10), Quantile(90, 10)
    entries = [Entry(time, "okta", f"e{at}", 0, "p", number) for at, (time, number) in enumerate(sorted(rows))]
    for at, entry in enumerate(entries):
        values = [int(one.value) for one in window(entries, at)]
        assert Fraction(*average.push(entry)) == Fraction(sum(values), len(values))
        assert Fraction(*middle.push(entry)) == median(map(Fraction, values))
        assert min(values) <= Fraction(*ninth.push(entry)) <= max(values)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([5], 95, 5),
        ([1, 2], 50, Fraction(3, 2)),
        ([1, 2, 3, 4], 90, Fraction(37, 10)),
        ([1, 9], 0, 1),
        ([1, 9], 100, 9),
    ],
)
def test_percentiles(values: list[int], percent: int, expected: Fraction) -> None:
    assert Fraction(*percentile(values, percent)) == expected


@pytest.mark.parametrize(
    ("op", "number", "scale", "smallest"),
    [("gte", 3, 1, 3), ("gt", 3, 1, 4), ("gte", 1.5, 10, 15), ("gt", 1.5, 10, 16), ("gte", 1.55, 10, 16)],
)
def test_the_least_that_satisfies(op: str, number: float, scale: int, smallest: int) -> None:
    assert least(op, number, scale) == smallest


def test_a_clause_that_forbids_looks_ahead_from_what_it_wants() -> None:
    rule = temporal(3, "a and b and not c", ordered=True)
    assert follows(rule, [[5], [7], []], 5, 14)
    assert not follows(rule, [[5], [7], [9]], 5, 14)
    assert follows(rule, [[5], [7], [15]], 5, 14)
    assert not follows(rule, [[7], [5], []], 5, 14)
    assert not follows(rule, [[5], [5], []], 5, 14)
    assert not follows(rule, [[5], [7], []], 6, 14)
    assert follows(temporal(3, "a and b and not c"), [[7], [5], []], 5, 14)


def test_negative_amounts_hide_nothing() -> None:
    rule = measuring("value_sum", "gte", 10)
    many = [Entry(at, "okta", f"e{at}", 0, "p", amount) for at, amount in enumerate((10_000_000, -10_000_000))]
    assert reached(rule, many)
