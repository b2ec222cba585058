"""The same YAML and the same events through pysigma-backend-sqlite: the same groups fire at the same times.

Its windows are closed at both ends, ours are (t - timespan, t]: with times in whole seconds ours over N seconds are
its over N - 1. Counts with an upper bound are left out: it judges them at every match, while they grow; we judge
complete windows (docs/correlations.md).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.backends.sqlite import sqliteBackend
from sigma.backends.sqlite.runtime import execute_plan
from sigma.collection import SigmaCollection

from audit.event import MICROSECONDS
from rules.compile import RuleSet
from rules.correlation import Correlation, match_of
from rules.correlation_window import Window
from rules.correlation_windows import Windows
from tests.rules.conftest import event

SPAN = 60
START = 1_772_438_400
FAR = 4_000_000_000

RULES = "".join(
    f"""---
title: Rule {name}
id: {name * 8}-{name * 4}-4{name * 3}-8{name * 3}-{name * 12}
name: {name}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{action: {name}}}, condition: s}}
"""
    for name in "abc"
)
CORRELATION = """title: C
id: 22222222-2222-4222-8222-222222222222
correlation:
  type: {type}
  rules: [{rules}]
  group-by: [group]
  timespan: {span}s
"""
CASES = {
    "event_count": ("event_count", "a", "{gte: 3}"),
    "event_count of two rules": ("event_count", "a, b", "{gt: 3}"),
    "value_count": ("value_count", "a, b", "{field: user, gte: 3}"),
    "value_sum": ("value_sum", "a", "{field: size, gte: 10}"),
    "value_avg above": ("value_avg", "a", "{field: size, gt: 3}"),
    "value_avg below": ("value_avg", "a", "{field: size, lte: 2}"),
    "value_median": ("value_median", "a", "{field: size, gte: 4}"),
    "value_percentile": ("value_percentile", "a", "{field: size, percentile: 90, gt: 4}"),
    "value_percentile equal": ("value_percentile", "a", "{field: size, percentile: 0, eq: 1}"),
    "temporal": ("temporal", "a, b, c", ""),
    "temporal two of three": ("temporal", "a, b, c", "{gte: 2}"),
    "temporal_ordered": ("temporal_ordered", "a, b, c", ""),
    "temporal_ordered two of three": ("temporal_ordered", "a, b, c", "{gte: 2}"),
    "extended": ("temporal", "a, b, c", "a and (b or c)"),
    "extended ordered": ("temporal_ordered", "a, b, c", "(a and b) or (b and c)"),
    "extended not": ("temporal", "a, b", "a and not b"),
    "extended ordered not": ("temporal_ordered", "a, b, c", "a and c and not b"),
}


def text_of(kind: str, rules: str, condition: str, span: int) -> str:
    written = CORRELATION.format(type=kind, rules=rules, span=span)
    return written + (f"  condition: {condition}\n" if condition else "")


Event = tuple[int, str, str, str, int]


def theirs(text: str, events: Sequence[Event]) -> set[tuple[str, int]]:
    backend = sqliteBackend(timestamp_field="time", event_id_field="id", timestamp_format="unix", observation_end=FAR)
    converted = json.loads(backend.convert(SigmaCollection.from_yaml(text + RULES), output_format="zircolite"))
    (found,) = [one for one in converted if one.get("correlation") and one["title"] == "C"]
    connection = sqlite3.connect(":memory:")
    connection.execute('CREATE TABLE logs (id TEXT, time INT, action TEXT, "group" TEXT, user TEXT, size INT)')
    rows = [(f"e{at}", time, action, group, user, size) for at, (time, action, group, user, size) in enumerate(events)]
    connection.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", rows)
    alerts, _ = execute_plan(connection, found["correlation_plan"], include_events=False)
    connection.close()
    return {
        (
            str((json.loads(keys) if isinstance(keys := one["group_keys"], str) else keys)["group"]),
            round(one["window_end"]),
        )
        for one in alerts
    }


def ours(rules: RuleSet, events: Sequence[Event], monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    fired: set[tuple[str, int]] = set()
    group_now = ""

    def fire(window: Window, time: int, fire: Callable[[Window, int], None] = Window.fire) -> None:
        fired.add((group_now, time))
        fire(window, time)

    monkeypatch.setattr(Window, "fire", fire)
    (correlation,) = rules.correlations
    for group_now in sorted({group for _, _, group, _, _ in events}):
        windows = Windows("x")
        for at, (time, action, group, user, size) in enumerate(events):
            if group != group_now:
                continue
            record = {"action": action, "group": group, "user": user, "size": size}
            made = event(id=f"e{at}", time=time * MICROSECONDS, action=action)
            for rule in rules.match(made, record):
                for feed in rules.feeds_of(rule.id):
                    match = match_of(feed, made, record)
                    assert match is not None
                    windows.take(match, rules.correlation)
        windows.ends(correlation.id, rules.correlation)
    monkeypatch.undo()
    return {(group, _second(correlation, time)) for group, time in fired}


def _second(correlation: Correlation, time: int) -> int:
    """The end of a window as they have it: of one that looks ahead, its last whole second."""
    return time // MICROSECONDS if correlation.timing == "forward" else round(time / MICROSECONDS)


drawn = st.lists(
    st.tuples(
        st.integers(START, START + 300),
        st.sampled_from("abc"),
        st.sampled_from("gh"),
        st.sampled_from("uvwx"),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_groups_fire_at_the_same_times(
    name: str, data: st.DataObject, rule_set: Callable[..., RuleSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = sorted(data.draw(drawn))
    rules = rule_set(text_of(*CASES[name], SPAN), *RULES.split("---\n")[1:])
    assert ours(rules, events, monkeypatch) == theirs(text_of(*CASES[name], SPAN - 1), events)


def test_nested_correlations_fire_as_theirs(rule_set: Callable[..., RuleSet], monkeypatch: pytest.MonkeyPatch) -> None:
    many = (
        text_of("event_count", "a", "{gte: 3}", 30).replace("title: C", "title: M\nname: many").replace("2222", "3333")
    )
    outer = text_of("temporal_ordered", "many, b", "", SPAN)
    events: list[Event] = [(START + at, "a", "g", "u", 0) for at in (0, 10, 20, 25)]
    events += [(START + at, "b", "g", "u", 0) for at in (5, 22, 40, 84, 90)]
    documents: list[Any] = RULES.split("---\n")[1:]
    rules = rule_set(outer, many, *documents)
    found = {(name, time) for name, time in _of_outer(rules, sorted(events), monkeypatch)}
    closed = text_of("temporal_ordered", "many, b", "", SPAN - 1) + "---\n" + many.replace("30s", "29s")
    assert found == theirs(closed, sorted(events))
    assert found


def _of_outer(rules: RuleSet, events: Sequence[Event], monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    fired: set[tuple[str, int]] = set()

    def fire(window: Window, time: int, fire: Callable[[Window, int], None] = Window.fire) -> None:
        if window.correlation.parent is None:
            fired.add(("g", time // MICROSECONDS))
        fire(window, time)

    monkeypatch.setattr(Window, "fire", fire)
    windows = Windows("x")
    for at, (time, action, group, *_) in enumerate(events):
        record = {"action": action, "group": group}
        made = event(id=f"e{at}", time=time * MICROSECONDS, action=action)
        for rule in rules.match(made, record):
            for feed in rules.feeds_of(rule.id):
                if match := match_of(feed, made, record):
                    windows.take(match, rules.correlation)
    monkeypatch.undo()
    return fired
