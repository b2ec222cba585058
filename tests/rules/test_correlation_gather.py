"""What is gathered bit by bit is what looking at everything says, whatever came late, had to go or was made up."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.correlation import Entry
from rules.correlation_evidence import MOST_EVENT_IDS, Evidence
from rules.correlation_fold import judge, take
from rules.correlation_gather import Gathered, Smallest, beyond
from rules.correlation_window import Window
from tests.rules.correlating import HOUR, LATENESS, MINUTE, START, absent, bounded, counting, distinct, temporal

RULES = {
    "count": counting(3),
    "values": distinct(3),
    "all": temporal(3),
    "in order": temporal(3, ordered=True),
    "between": bounded(("gte", 2), ("lt", 50)),
    "not followed": absent(counting(2), 7 * MINUTE),
}


def stream(random: Random, count: int, rules: int) -> list[Entry]:
    """Matches over two hours or so, late and at the same times; some events match twice, some ids are made up twice."""
    hours, grain = random.choice((0.1, 1, 3)), random.choice((1, MINUTE))
    names = random.choice((count, count, count // 2))
    found = []
    for _ in range(count):
        time = START + random.randrange(round(hours * HOUR)) // grain * grain
        name = f"{random.randrange(names) * 2654435761 % 2**32:08x}"
        found.append(
            Entry(time, "okta", name, random.randrange(rules), f"p{name[:2]}", f"v{random.randrange(count):04}")
        )
    return sorted(found, key=lambda one: one.time + random.randrange(LATENESS))


@pytest.mark.parametrize("name", RULES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_gathered_bit_by_bit_or_at_once(name: str, seed: int) -> None:
    rule, random = RULES[name], Random(seed)
    window = Window(rule)
    asked = random.choice((0.02, 0.3))
    for one in stream(random, random.choice((20, 400, 2500)), max(1, len(rule.rule_ids))):
        take(window, one)
        if random.random() < 0.1:
            judge(window, window.known)
        if random.random() < asked:
            compare(window)


def compare(window: Window) -> None:
    for one in window.bins:
        whole = window.evidence(one)
        basis, weight = whole.basis(), whole.weight
        gathered = window.gather(one)
        assert gathered.weight == weight
        found = gathered.basis()
        assert found.event_ids == basis.event_ids
        assert (found.earliest, found.latest) == (basis.earliest, basis.latest)
        assert (list(found.principals), list(found.values)) == (basis.principals, basis.values)
        if len(whole.events) < MOST_EVENT_IDS:
            assert found.count == basis.count


def test_beyond_its_bounds_events_are_still_counted_once() -> None:
    window = Window(counting(3))
    for at in range(5000):
        take(window, Entry(START + at * MINUTE // 100, "okta", f"{at * 2654435761 % 2**32:08x}", 0, "p"))
        if at % 70 == 0:
            compare(window)
    (one,) = window.bins
    assert window.gather(one).count == window.evidence(one).count == 5000
    assert len(window.gather(one).basis().event_ids) == MOST_EVENT_IDS


def entry(name: str, time: int) -> Entry:
    return Entry(time, "okta", name, 0, "p", name)


def test_it_says_which_events_are_new() -> None:
    gathered = Gathered(Evidence())
    gathered.add([entry("b", 1), entry("a", 2)], True)
    assert gathered.basis().fresh is None
    gathered.add([entry("a", 2), entry("c", 3)], True)
    assert gathered.basis().fresh == ["c"]
    assert gathered.basis().fresh == []
    assert gathered.basis().event_ids == ("b", "a", "c")
    gathered.add([entry("b", 4)], True)
    assert gathered.basis().event_ids == ("a", "c", "b")
    assert gathered.count == 3


def test_all_that_are_not_among_the_smallest_are_never_new() -> None:
    gathered = Gathered(Evidence())
    gathered.add([entry(f"m{at:04}", at) for at in range(MOST_EVENT_IDS)], False)
    first = gathered.basis().event_ids
    gathered.add([entry("z", 5000)], False)
    basis = gathered.basis()
    assert (basis.event_ids, basis.fresh, basis.count) == (first, [], MOST_EVENT_IDS + 1)
    gathered.add([entry("a", 6000)], False)
    basis = gathered.basis()
    assert basis.fresh == ["a"]
    assert basis.event_ids == (*first[:-1], "a")


@given(st.lists(st.lists(st.text("abc", max_size=3), max_size=6), max_size=8), st.integers(1, 5))
def test_the_smallest_of_all_that_was_told(parts: list[list[str]], most: int) -> None:
    smallest, told = Smallest(most), set[str]()
    for part in parts:
        before = set(smallest.texts)
        fresh = smallest.add(part)
        told |= {*part}
        assert smallest.texts == sorted(told)[:most]
        assert fresh == {*smallest.texts} - before


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_what_is_beyond_what_is_known(wanted: set[int], known: set[int]) -> None:
    found = [time for after, until in beyond(runs(wanted), runs(known)) for time in range(after + 1, until + 1)]
    assert found == sorted(wanted - known)


def runs(times: set[int]) -> list[tuple[int, int]]:
    """(after, until) of each run of whole times."""
    begins = [time for time in sorted(times) if time - 1 not in times]
    ends = [time for time in sorted(times) if time + 1 not in times]
    return [(begin - 1, end) for begin, end in zip(begins, ends, strict=True)]
