"""Windows without room: what is kept up match by match is what the kept matches say, and no match is slow."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.correlation import BETWEEN, SCALE, Correlation, Entry, Match, family
from rules.correlation_fold import judge, take
from rules.correlation_window import Window
from rules.correlation_windows import MOST_WINDOWS, Windows
from tests.rules.correlating import (
    LATENESS,
    MINUTE,
    SECOND,
    START,
    V,
    absent,
    bounded,
    counting,
    distinct,
    matched,
    measuring,
    temporal,
)
from tests.rules.test_correlation_nested import nested

ALTERNATIVES = " or ".join(f"({a} and {b} and {c} and d)" for a in "efgh" for b in "ijkl" for c in "abc")
RULES: dict[str, Correlation] = {
    "count": counting(300),
    "values": distinct(150),
    "sum": measuring("value_sum", "gte", 5000),
    "mean": measuring("value_avg", "gt", 3),
    "percentile": measuring("value_percentile", "gt", 5, percentile=90),
    "all": temporal(3),
    "clauses": temporal(4, "a and (b or c) and d"),
    "in order": temporal(4, ordered=True),
    "two in order": temporal(4, ordered=True, need=2, bounds=(("gte", 2),)),
    "in order or": temporal(4, "(a and b) or (c and d)", ordered=True),
    "and not": temporal(3, "a and b and not c"),
    "fewer": bounded(("lt", 400)),
    "in order, not followed": absent(temporal(2, ordered=True), 5 * MINUTE),
}


def entry(rule: Correlation, at: int, when: int, random: Random, values: int) -> Entry:
    rules = len(rule.rule_ids) + (rule.absent >= 0) if rule.kind.startswith("temporal") else 1
    value = random.randrange(-2, 8) * SCALE if rule.fields == ("bytes",) else f"v{random.randrange(values)}"
    place = min(random.randrange(rules), random.randrange(rules))
    return Entry(when, "okta", f"{at:06}", place, f"p{at % 70}", value)


def flood(rule: Correlation, random: Random) -> list[Entry]:
    """More matches in a few minutes than a window has room for, in bursts of one rule or value, some late."""
    count = (rule.most_entries * 5) // 4 + random.randrange(300)
    step, grain = random.choice((SECOND // 20, SECOND // 3)), random.choice((1, SECOND))
    values, late = random.choice((5, 200, 10**6)), random.choice((1, 1, SECOND, LATENESS))
    found = [entry(rule, at, START + at * step // grain * grain, random, values) for at in range(count)]
    return sorted(found, key=lambda one: one.time + random.randrange(late))


@pytest.mark.parametrize("name", RULES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=4, deadline=None)
def test_what_a_window_remembers_of_what_had_to_go_never_shows(name: str, seed: int) -> None:
    rule, random = RULES[name], Random(seed)
    window, forgetful = Window(rule), Window(rule)
    for at, one in enumerate(flood(rule, random)):
        for each in (window, forgetful):
            take(each, one)
            if at % 40 == 0:
                judge(each, each.known)
        if at % 20 == 0:
            forgetful.prompt = forgetful.fraction = forgetful.lanes = forgetful.same = None
    assert window.evicted
    assert (window.times, window.fired, window.bins) == (forgetful.times, forgetful.fired, forgetful.bins)


# no match may cost more than 50 ms


MOST_SECONDS = 0.05
LAST = 40


def costs(rule: Correlation, matches: list[Match]) -> list[float]:
    """CPU seconds of folding each of the last matches and of telling what comes of it, at windows that are full."""
    windows, find = Windows(matches[0].entity), family(rule).get
    for match in matches[:-LAST]:
        windows.take(match, find)
    windows.tell(V, find)
    spent = []
    for match in matches[-LAST:]:
        start = time.process_time()
        windows.take(match, find)
        windows.tell(V, find)
        spent.append(time.process_time() - start)
    return spent


def assert_quick(rule: Correlation, matches: list[Match]) -> None:
    """None is slow, unless it is something else that is: every time another one."""
    runs = [costs(rule, matches)]
    while max(map(min, zip(*runs, strict=True))) > MOST_SECONDS:
        assert len(runs) < 3
        runs.append(costs(rule, matches))


LATER: dict[str, Callable[[int, int, Random], int]] = {
    "in order": lambda at, newest, _: newest + at * SECOND // 50,
    "all at once": lambda _, newest, __: newest,
    "backwards": lambda at, newest, _: newest - at * SECOND // 50,
    "in no order": lambda _, newest, random: newest - random.randrange(LATENESS),
}


@pytest.mark.parametrize("order", LATER)
@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (counting(10_000), 1),
        (counting(1), 1),
        (distinct(10_000), 10**6),
        (distinct(2), 499),
        (measuring("value_sum", "gte", 1), 1),
        (measuring("value_percentile", "gt", 1, percentile=99), 1),
        (temporal(12, ordered=True), 1),
        (temporal(12, ordered=True, need=6, bounds=(("gte", 6),)), 1),
        (temporal(12, ALTERNATIVES, ordered=True), 1),
        (temporal(2, "a and not b"), 1),
        (bounded(("gte", 1), ("lt", 9999)), 1),
        (absent(counting(1), 5 * MINUTE), 1),
    ],
    ids=lambda one: f"{one.kind}, {one.timing}, {one.need}" if isinstance(one, Correlation) else "",
)
def test_no_match_costs_more_than_50_ms(rule: Correlation, values: int, order: str) -> None:
    random, newest = Random(7), START + rule.most_entries * SECOND // 50
    made = [entry(rule, at, START + at * SECOND // 50, random, values) for at in range(rule.most_entries)]
    made += [entry(rule, 10**5 + at, LATER[order](at, newest, random), random, values) for at in range(LAST)]
    assert_quick(rule, [matched(one) for one in made])


def test_no_match_of_a_correlation_of_correlations_costs_more_than_50_ms() -> None:
    rule, random = nested("event_count", need=2), Random(3)
    matches = []
    for at in range(2500):
        group = f"agent{random.randrange(100)}{BETWEEN}x"
        one = Entry(START + at * SECOND // 2, "okta", f"{at:06}", 0, f"p{at % 70}")
        matches.append(Match("c1/many", group, "ip:x", one))
    assert_quick(rule, matches)


def test_nothing_is_slow_with_as_many_windows_as_there_may_be() -> None:
    rule = counting(1)
    matches = [matched(Entry(START + at, "okta", f"{at}", 0, "p"), group=f"g{at % 400}") for at in range(2000)]
    assert len({match.group for match in matches}) > MOST_WINDOWS
    assert_quick(rule, matches)
