from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import MICROSECONDS, Principal
from audit.finding import Finding, Version, stable_id
from rules.compile import RuleSet
from rules.correlation import LATENESS, Correlation, Match, Window, fold, match_of
from rules.fields import getter
from tests.rules.conftest import event

MINUTE = 60 * MICROSECONDS
START = 1_772_442_600 * MICROSECONDS  # a whole multiple of ten minutes
V = Version(rules="r")


def correlation(**fields: Any) -> Correlation:
    given: dict[str, Any] = {
        "id": "c1",
        "name": "spray",
        "title": "Many failures",
        "severity": "high",
        "risk": 60,
        "attack": ("T1110",),
        "author": "somebody",
        "path": Path("c.yml"),
        "status": "",
        "description": "",
        "falsepositives": (),
        "runbook": (),
        "tests": (),
        "rule_ids": ("r1",),
        "group_by": ("auditwatch.source_ip",),
        "timespan": 10 * MINUTE,
        "kind": "event_count",
        "field": "",
        "op": "gte",
        "threshold": 3,
        "entity_kind": "ip",
        "groups": (getter("auditwatch.source_ip"),),
        "value": None,
    }
    return Correlation(**{**given, **fields})


def distinct(threshold: int = 3) -> Correlation:
    return correlation(
        kind="value_count", field="auditwatch.actor.name", threshold=threshold, value=getter("auditwatch.actor.name")
    )


def match(at: float, identity: str = "", value: str = "", principal: str = "alice") -> Match:
    """A match `at` minutes after START."""
    moment = START + int(at * MINUTE)
    return Match("c1", "1.2.3.4", "ip:1.2.3.4", moment, identity or f"e{at}", "okta", principal, value)


def run(rule: Correlation, matches: list[Match], window: Window | None = None) -> tuple[Window, list[Finding | None]]:
    found: list[Finding | None] = []
    for one in matches:
        window, finding = fold(rule, window, one, V)
        found.append(finding)
    return window or Window(), found


def ids(findings: list[Finding | None]) -> list[str | None]:
    return [finding.id if finding else None for finding in findings]


def test_it_fires_at_once_when_the_threshold_is_reached() -> None:
    _, found = run(correlation(), [match(0), match(1), match(2)])
    assert found[:2] == [None, None]
    assert found[2] == Finding(
        id=stable_id("correlation", "c1", "1.2.3.4", (START + 2 * MINUTE) // (10 * MINUTE)),
        time=START + 2 * MINUTE,
        kind="correlation",
        detection="c1",
        title="Many failures",
        severity="high",
        risk=60,
        principal="alice",
        entity="ip:1.2.3.4",
        event_ids=("e0", "e1", "e2"),
        reasons=("3 matching events for source_ip 1.2.3.4, from 2026-03-02T09:10:00.000Z to 2026-03-02T09:12:00.000Z",),
        attack=("T1110",),
        version=V,
        author="somebody",
    )


def test_further_matches_of_the_episode_give_the_same_finding_with_more_events() -> None:
    _, found = run(correlation(), [match(at) for at in range(6)])
    assert len(set(ids(found[2:]))) == 1
    assert [len(finding.event_ids) for finding in found[2:] if finding] == [3, 4, 5, 6]


def test_an_episode_outlasts_its_window_while_the_threshold_stays_reached() -> None:
    window, found = run(correlation(), [match(4 * at) for at in range(20)])
    assert len(set(ids(found[2:]))) == 1
    last = found[-1]
    assert last is not None
    assert len(last.event_ids) == 20
    assert len(window.entries) == 20


def test_a_new_episode_is_a_new_finding() -> None:
    _, found = run(correlation(), [match(at) for at in (0, 1, 2, 60, 61, 62)])
    first, second = found[2], found[5]
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert second.event_ids == ("e60", "e61", "e62")


def test_matches_too_far_apart_do_not_fire() -> None:
    assert ids(run(correlation(), [match(0), match(5), match(10)])[1]) == [None] * 3
    assert ids(run(correlation(), [match(0), match(5), match(9.99)])[1])[2] is not None


def test_the_same_event_counts_once() -> None:
    window, found = run(correlation(), [match(0), match(1), match(1), match(0)])
    assert ids(found) == [None] * 4
    assert len(window.entries) == 2


def test_two_sources_may_use_the_same_event_id() -> None:
    other = msgspec.structs.replace(match(0, "same"), source="cloudtrail")
    window, _ = run(correlation(), [match(0, "same"), other])
    assert len(window.entries) == 2


def test_distinct_values_are_counted() -> None:
    again = [match(at / 10, value="alice") for at in range(9)]
    window, found = run(distinct(), again)
    assert ids(found) == [None] * 9
    _, found = run(distinct(), [match(1, value="bob", principal="bob"), match(2, value="carol")], window)
    assert found[0] is None
    assert found[1] is not None
    assert found[1].principal == ""
    assert found[1].reasons[1] == "3 distinct values of actor.name: alice, bob, carol"


def test_many_values_are_named_in_part() -> None:
    _, found = run(distinct(), [match(at / 10, value=f"u{at}") for at in range(12)])
    assert found[-1] is not None
    assert found[-1].reasons[1].endswith("u6, u7 and 4 more")


@pytest.mark.parametrize(("op", "fires"), [("gte", [3, 4]), ("gt", [4]), ("eq", [3])])
def test_operators(op: Any, fires: list[int]) -> None:
    _, found = run(correlation(op=op), [match(at) for at in range(4)])
    assert [count for count, finding in enumerate(found, 1) if finding] == fires


def test_a_late_match_completes_the_count() -> None:
    _, found = run(correlation(), [match(4), match(5), match(0)])
    assert found[2] is not None
    assert found[2].time == START + 5 * MINUTE


def test_a_match_later_than_the_lateness_is_counted_as_evicted() -> None:
    window, found = run(correlation(), [match(100), match(84.9)])
    assert found[1] is None
    assert len(window.entries) == 1
    assert window.evicted == 1


def test_old_matches_leave_the_window() -> None:
    window, _ = run(correlation(), [match(0), match(4), match(14.5)])
    assert [entry.event_id for entry in window.entries] == ["e0", "e4", "e14.5"]
    window, _ = run(correlation(), [match(15.5)], window)
    assert [entry.event_id for entry in window.entries] == ["e4", "e14.5", "e15.5"]
    assert window.evicted == 0


def test_fold_changes_neither_argument() -> None:
    window, _ = run(correlation(), [match(0), match(1)])
    before = msgspec.msgpack.encode(window)
    fold(correlation(), window, match(0.5), V)
    fold(correlation(), window, match(99), V)
    assert msgspec.msgpack.encode(window) == before


def test_a_window_survives_packing() -> None:
    window, _ = run(distinct(), [match(at, value=f"u{at}") for at in range(4)])
    packed = msgspec.msgpack.encode(window)
    assert msgspec.msgpack.decode(packed, type=Window) == window
    assert Window() == msgspec.msgpack.decode(msgspec.msgpack.encode(Window()), type=Window)


def test_a_window_is_bounded_and_counts_what_it_evicts() -> None:
    window, found = run(correlation(), [match(at / 1000, f"e{at:04}") for at in range(1200)])
    assert len(window.entries) <= 500
    assert len(window.entries) + window.evicted == 1200
    assert found[-1] is not None
    assert len(found[-1].event_ids) <= 1000


def test_a_flood_of_one_value_does_not_hide_the_others() -> None:
    flood = [match(at / 200, f"f{at:04}", value="decoy") for at in range(1500)]
    others = [match(at * 2 + 0.0001, f"o{at}", value=f"u{at}") for at in range(3)]
    _, found = run(distinct(4), sorted(flood + others, key=lambda one: one.time))
    assert any(found)


def test_a_high_threshold_can_still_be_reached() -> None:
    _, found = run(correlation(threshold=800), [match(at / 1000, f"e{at:04}") for at in range(800)])
    assert found[-1] is not None
    assert found[-2] is None


MATCHES = st.lists(
    st.tuples(st.integers(0, 120 * 60), st.sampled_from("abcd")), min_size=1, max_size=40, unique_by=lambda one: one[0]
)


@given(MATCHES, st.data(), st.sampled_from([correlation(), distinct(), correlation(threshold=1), correlation(op="eq")]))
def test_order_within_the_lateness_never_shows(
    drawn: list[tuple[int, str]], data: st.DataObject, rule: Correlation
) -> None:
    matches = [match(second / 60, f"e{second}", value=value) for second, value in sorted(drawn)]
    delays = [data.draw(st.integers(0, LATENESS - 1)) for _ in matches]
    shuffled = [one for _, one in sorted(zip(delays, matches, strict=True), key=lambda pair: pair[1].time + pair[0])]
    ordered, in_order = run(rule, matches)
    arrived, as_came = run(rule, shuffled)
    assert arrived == ordered
    assert bool(any(as_came)) == bool(any(in_order))


@given(MATCHES)
def test_it_fires_exactly_where_a_plain_count_says(drawn: list[tuple[int, str]]) -> None:
    matches = [match(second / 60, f"e{second}", value=value) for second, value in sorted(drawn)]
    _, found = run(distinct(), matches)
    for at, one in enumerate(matches):
        within = {other.value for other in matches[: at + 1] if other.time > one.time - 10 * MINUTE}
        assert (found[at] is not None) == (len(within) >= 3)


@given(MATCHES)
def test_an_event_delivered_twice_changes_nothing(drawn: list[tuple[int, str]]) -> None:
    matches = [match(second / 60, f"e{second}", value=value) for second, value in sorted(drawn)]
    once, _ = run(correlation(), matches)
    twice, _ = run(correlation(), [one for one in matches for _ in range(2)])
    assert twice == once


def test_match_of_reads_group_and_value() -> None:
    failed = event(source_ip="203.0.113.5", source="okta", actor=Principal("anonymous:x", "bob@example.com"))
    assert match_of(distinct(), failed, {}) == Match(
        "c1", "203.0.113.5", "ip:203.0.113.5", failed.time, "e1", "okta", "anonymous:x", "bob@example.com"
    )


def test_without_a_group_there_is_no_match() -> None:
    assert match_of(correlation(), event(source_ip=None), {}) is None
    assert match_of(correlation(group_by=("a.b",), groups=(getter("a.b"),)), event(), {"a": None}) is None


@pytest.mark.parametrize(
    ("field", "kind", "entity"),
    [
        ("auditwatch.actor.id", "user", "user:alice"),
        ("sessionId", "session", "session:s1"),
        ("repo", "resource", "resource:org/repo"),
        ("sourceIPs", "ip", "ip:1.2.3.4"),
    ],
)
def test_the_entity_is_what_the_group_is(field: str, kind: Any, entity: str) -> None:
    record = {"sessionId": "s1", "repo": "org/repo", "sourceIPs": ["1.2.3.4", "5.6.7.8"]}
    found = match_of(correlation(group_by=(field,), groups=(getter(field),), entity_kind=kind), event(), record)
    assert found is not None
    assert found.entity == entity


def test_a_group_cannot_pretend_to_be_two() -> None:
    rule = correlation(group_by=("a", "b"), groups=(getter("a"), getter("b")))
    one = match_of(rule, event(), {"a": "x\x1fy", "b": "z"})
    two = match_of(rule, event(), {"a": "x", "b": "y\x1fz"})
    assert one is not None
    assert two is not None
    assert one.group != two.group


def test_a_long_group_is_cut() -> None:
    found = match_of(correlation(groups=(getter("a"),)), event(), {"a": "x" * 10_000})
    assert found is not None
    assert len(found.group) == 256


CORRELATION = """title: Many
id: 22222222-2222-4222-8222-222222222222
correlation:
  type: event_count
  rules: [failed]
  group-by: [sourceIPAddress]
  timespan: 10m
  condition: {gte: 2}
"""
FAILED = """title: Failed
id: 33333333-3333-4333-8333-333333333333
name: failed
logsource: {product: aws, service: cloudtrail}
detection: {s: {errorCode: AccessDenied}, condition: s}
"""


def test_from_yaml_to_finding(rule_set: Callable[..., RuleSet]) -> None:
    rules = rule_set(CORRELATION, FAILED)
    (counted,) = rules.correlations
    assert rules.correlations_of(rules.rules[0].id) == (counted,)
    assert rules.rules[0].silent
    window = None
    record = {"errorCode": "AccessDenied", "sourceIPAddress": "198.51.100.9"}
    for number in range(2):
        one = match_of(counted, event(id=f"e{number}"), record)
        assert one is not None
        window, finding = fold(counted, window, one, V)
    assert finding is not None
    assert finding.entity == "ip:198.51.100.9"


def test_generate_lets_the_counted_rule_speak(rule_set: Callable[..., RuleSet]) -> None:
    rules = rule_set(CORRELATION.replace("  timespan", "  generate: true\n  timespan"), FAILED)
    assert not rules.rules[0].silent


def test_folding_is_cheap() -> None:
    """Far from the goal of 5 µs a match in many small groups, so that only a change of kind fails here."""
    rule = distinct(5)
    matches = [match(at / 100, f"e{at}", value=f"u{at % 3}") for at in range(50)]
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(20):
            run(rule, matches)
        best = min(best, (time.perf_counter() - start) / 1000)
    assert best < 200e-6
