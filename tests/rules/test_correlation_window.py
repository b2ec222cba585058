"""Every type against a reference that looks at all matches at once, in order and shuffled, with restarts between."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.finding import Finding
from rules.correlation import SCALE, Correlation, Entry
from rules.correlation_windows import Windows
from tests.rules.correlating import (
    HOUR,
    MINUTE,
    SECOND,
    START,
    V,
    absent,
    bounded,
    correlation,
    counting,
    distinct,
    ended,
    expected,
    last,
    matched,
    measuring,
    summed_up,
    temporal,
    told,
)

RULES: dict[str, Correlation] = {
    "count": correlation(),
    "count one": counting(1),
    "count with own lateness": correlation(lateness=2 * MINUTE),
    "count over hours": counting(4, timespan=90 * MINUTE),
    "count over a day": counting(4, timespan=24 * HOUR),
    "values": distinct(),
    "fewer": bounded(("lt", 3)),
    "exactly": bounded(("eq", 2)),
    "not exactly": bounded(("neq", 2)),
    "between": bounded(("gte", 2), ("lte", 3)),
    "values between": bounded(("gt", 1), ("lt", 4), kind="value_count"),
    "sum": measuring("value_sum", "gte", 12),
    "sum below": measuring("value_sum", "lt", 5),
    "mean": measuring("value_avg", "gt", 3),
    "mean below": measuring("value_avg", "lte", 2),
    "median": measuring("value_median", "gte", 4),
    "median not": measuring("value_median", "neq", 3),
    "percentile": measuring("value_percentile", "gt", 4, percentile=90),
    "any two of three": temporal(3, need=2, bounds=(("gte", 2),)),
    "at most two of three": temporal(3, timing="complete", bounds=(("lte", 2),)),
    "all": temporal(3),
    "in order": temporal(3, ordered=True),
    "in order or": temporal(3, "(a and b) or (b and c)", ordered=True),
    "clauses": temporal(3, "a and (b or c)"),
    "and not": temporal(3, "a and not b"),
    "in order and not": temporal(3, "a and c and not b", ordered=True),
    "not followed": absent(counting(1), 7 * MINUTE),
    "many not followed": absent(correlation(), 3 * MINUTE),
    "in order, not followed": absent(temporal(2, ordered=True), 20 * MINUTE),
}


@st.composite
def entries(draw: st.DrawFn, rule: Correlation) -> list[Entry]:
    """Matches over two hours around the border of an episode, several at the same second, in order."""
    numeric = rule.fields == ("bytes",)
    rules = len(rule.rule_ids) if rule.kind.startswith("temporal") else 1
    places = [*range(rules), *([rule.absent] if rule.absent >= 0 else [])]
    unit = max(1, rule.timespan // (20 * MINUTE))
    drawn = draw(
        st.lists(
            st.tuples(st.integers(-60 * 60, 60 * 60), st.sampled_from(places), st.integers(-2, 6)),
            min_size=1,
            max_size=30,
        )
    )
    return [
        Entry(
            START + second * unit * SECOND, "okta", f"e{number}", place, "p", value * SCALE if numeric else f"v{value}"
        )
        for number, (second, place, value) in enumerate(sorted(drawn))
    ]


def in_order(rule: Correlation, drawn: Sequence[Entry]) -> dict[str, Finding]:
    windows = Windows("ip:1.2.3.4")
    said = told(rule, drawn, windows)
    return last([*said, *ended(rule, windows)])


@pytest.mark.parametrize("name", RULES)
@given(data=st.data())
@settings(max_examples=60)
def test_it_says_what_all_matches_say(name: str, data: st.DataObject) -> None:
    rule = RULES[name]
    drawn = data.draw(entries(rule))
    assert summed_up(rule, in_order(rule, drawn).values()) == expected(rule, drawn)


def disturbed(rule: Correlation, drawn: Sequence[Entry], random: Random) -> list[Finding]:
    """What is said when matches come late, twice, in batches of any size, with restarts and ticks between."""
    find = {rule.id: rule}.get
    delayed = sorted(((one.time + random.randrange(rule.lateness), one) for one in drawn), key=lambda pair: pair[0])
    windows = Windows("ip:1.2.3.4")
    said: list[Finding] = []
    newest = 0
    for _, one in delayed:
        newest = max(newest, one.time)
        for _ in range(random.choice((1, 1, 2))):
            windows.take(matched(one), find)
        if random.random() < 0.4:
            said += windows.tell(V, find)
        if random.random() < 0.3:
            clock = newest
            windows.tick(lambda _: clock, find)  # noqa: B023
            said += windows.tell(V, find, lambda _: clock)  # noqa: B023
        if random.random() < 0.2:
            said += windows.tell(V, find)
            windows = restarted(windows)
    return [*said, *ended(rule, windows)]


def restarted(windows: Windows) -> Windows:
    packed = msgspec.msgpack.encode((windows.pack(), windows.dues))
    kept, dues = msgspec.msgpack.decode(packed, type=tuple[dict[str, msgspec.Raw], dict[str, int]])
    return Windows("ip:1.2.3.4", kept, dues)


@pytest.mark.parametrize("name", RULES)
@given(data=st.data(), seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_neither_order_nor_batches_nor_restarts_show(name: str, data: st.DataObject, seed: int) -> None:
    rule = RULES[name]
    drawn = data.draw(entries(rule))
    said = disturbed(rule, drawn, Random(seed))
    wanted = in_order(rule, drawn)
    assert last(said) == wanted
    assert {(one.id, one.time // (4 * HOUR)) for one in said} == {
        (one.id, one.time // (4 * HOUR)) for one in wanted.values()
    }
