from __future__ import annotations

from collections.abc import Iterable
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.event import MICROSECONDS, rfc3339
from audit.finding import Finding, stable_id
from rules.correlation import BETWEEN, Correlation, Entry
from rules.correlation_window import Window
from rules.correlation_windows import MOST_WINDOWS, Windows
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
    entry,
    expected,
    last,
    matched,
    measuring,
    summed_up,
    temporal,
    told,
)


def ids(findings: Iterable[Finding]) -> set[str]:
    return {finding.id for finding in findings}


def test_it_fires_at_once_when_the_threshold_is_reached() -> None:
    rule = correlation()
    assert told(rule, [entry(0), entry(1)]) == []
    (found,) = told(rule, [entry(0), entry(1), entry(2)])
    assert found == Finding(
        id=stable_id("correlation", "c1", "1.2.3.4", (START + 2 * MINUTE) // HOUR),
        time=START + 2 * MINUTE,
        kind="correlation",
        detection="c1",
        title="Many failures",
        severity="high",
        risk=60,
        principal="alice",
        entity="ip:1.2.3.4",
        event_ids=("e0", "e1", "e2"),
        reasons=("3 matching events for source_ip 1.2.3.4, from 2026-03-02T08:00:00.000Z to 2026-03-02T08:02:00.000Z",),
        attack=("T1110",),
        version=V,
        author="somebody",
    )


def test_every_further_match_updates_the_finding() -> None:
    found = told(correlation(), [entry(at) for at in range(6)])
    assert len(ids(found)) == 1
    assert [len(one.event_ids) for one in found] == [3, 4, 5, 6]
    assert {one.time for one in found} == {START + 2 * MINUTE}


def test_one_finding_for_each_hour_and_group() -> None:
    found = told(correlation(), [entry(at) for at in (0, 1, 2, 30, 31, 32, 70, 71, 72)])
    assert [sorted(one.event_ids) for one in last(found).values()] == [
        ["e0", "e1", "e2", "e30", "e31", "e32"],
        ["e70", "e71", "e72"],
    ]
    windows = Windows("ip:x")
    for group in "ab":
        for at in range(3):
            windows.take(matched(entry(at), group=group), {"c1": correlation()}.get)
    assert len(ids(windows.tell(V, {"c1": correlation()}.get))) == 2


def test_many_matches_between_two_tellings_make_one() -> None:
    windows, rule = Windows("ip:1.2.3.4"), correlation()
    for at in range(300):
        windows.take(matched(entry(at / 60)), {"c1": rule}.get)
    (found,) = windows.tell(V, {"c1": rule}.get)
    assert len(found.event_ids) == 300
    assert windows.tell(V, {"c1": rule}.get) == []


def test_a_long_spell_counts_on_although_its_matches_left_the_window() -> None:
    found = told(correlation(), [entry(at / 4, f"e{at:03}") for at in range(200)])
    assert len(ids(found)) == 1
    assert len(found[-1].event_ids) == 200
    assert found[-1].reasons[0].startswith("200 matching events")


def test_a_late_match_completes_the_count() -> None:
    (found,) = told(correlation(), [entry(4), entry(5), entry(0)])
    assert found.time == START + 5 * MINUTE


def test_a_match_beyond_the_lateness_is_counted_as_evicted() -> None:
    windows, rule = Windows("ip:1.2.3.4"), correlation()
    find = {"c1": rule}.get
    for at in range(100):
        assert windows.take(matched(entry(at)), find) == 0
    assert windows.take(matched(entry(45)), find) == 1
    assert windows.take(matched(entry(98.5)), find) == 0


def test_a_window_with_room_takes_what_comes_hours_late() -> None:
    found = told(correlation(), [entry(0), entry(600), entry(1), entry(2)])
    assert found[0].event_ids == ("e0", "e1", "e2")


def test_the_same_match_counts_once() -> None:
    again = [entry(0), entry(1), entry(1), entry(0), entry(1)]
    assert told(correlation(), again) == []


def test_distinct_values_are_told() -> None:
    entries = [entry(at / 10, value="alice") for at in range(9)]
    entries += [entry(1, value="bob", principal="bob"), entry(2, value="carol", principal="")]
    (found,) = told(distinct(), entries)
    assert found.principal == ""
    assert found.reasons[1] == "3 distinct values of actor.name: alice, bob, carol"
    many = told(distinct(), [entry(at / 100, value=f"u{at:03}") for at in range(300)])
    assert many[-1].reasons[1].endswith(" or more distinct values of actor.name: u000, u001, u002, u003, u004, "
        "u005, u006, u007 and 248 more")  # fmt: skip


def test_less_than_waits_for_the_end_of_its_window() -> None:
    windows, rule = Windows("ip:1.2.3.4"), bounded(("lt", 3))
    assert told(rule, [entry(0), entry(1)], windows) == []
    assert windows.due() == START + 10 * MINUTE - 1 + rule.lateness
    assert ended(rule, windows, windows.due() - 1) == []  # type: ignore[operator]
    (found,) = ended(rule, windows, windows.due() or 0)
    assert found.time == START + 10 * MINUTE - 1
    assert found.event_ids == ("e0", "e1")
    assert windows.due() is None


def test_what_does_not_follow_is_told_when_it_could_not_come_any_more() -> None:
    rule = absent(counting(1), 15 * MINUTE)
    windows = Windows("ip:1.2.3.4")
    assert told(rule, [entry(0)], windows) == []
    assert windows.due() == START + 15 * MINUTE + rule.lateness
    (found,) = ended(rule, windows, windows.due() or 0)
    assert found.time == START + 15 * MINUTE
    assert found.reasons[-1] == "not followed by healed within 15m"
    assert told(rule, [entry(0), entry(15, rule=1), entry(40, rule=1)]) == []
    assert ended(rule, Windows("ip:1.2.3.4")) == []


def test_what_came_before_does_not_count_as_following() -> None:
    rule = absent(counting(1), 15 * MINUTE)
    windows = Windows("ip:1.2.3.4")
    told(rule, [entry(-1, rule=1), entry(0), entry(0, "b", rule=1)], windows)
    assert len(ended(rule, windows)) == 1


@pytest.mark.parametrize(("second", "fires"), [(899.9, False), (900, False), (900.1, True)])
def test_what_follows_at_the_last_moment_follows(second: float, fires: bool) -> None:
    rule = absent(counting(1), 15 * MINUTE)
    windows = Windows("ip:1.2.3.4")
    said = told(rule, [entry(0), entry(second / 60, rule=1)], windows)
    assert bool([*said, *ended(rule, windows)]) is fires


@pytest.mark.parametrize(
    "rule", [bounded(("lt", 3)), temporal(2, "a and not b"), absent(counting(1), HOUR), measuring("value_avg", "gt", 3)]
)
def test_what_nobody_asked_about_for_long_is_still_judged(rule: Correlation) -> None:
    value = 5_000_000 if rule.fields else ""
    entries = [entry(7 * at, f"e{at:03}", value=value) for at in range(200)]
    windows = Windows("ip:1.2.3.4")
    said = told(rule, entries, windows)
    assert summed_up(rule, last([*said, *ended(rule, windows)]).values()) == expected(rule, entries)


def test_a_match_too_late_to_be_judged_counts_the_same_after_a_restart() -> None:
    rule = measuring("value_avg", "gt", 3)
    find = {"c1": rule}.get
    first = [entry(at, value=1_000_000) for at in range(5)]
    late, then = entry(3.5, "late", value=90_000_000), entry(6, value=1_000_000)
    found = []
    for restarts in (False, True):
        windows = Windows("ip:1.2.3.4")
        told(rule, first, windows)
        windows.tick(lambda _: START + 10 * MINUTE, find)
        said = told(rule, [late], windows)
        if restarts:
            windows = Windows("ip:1.2.3.4", windows.pack(), dict(windows.dues))
        found.append(last([*said, *told(rule, [then], windows), *ended(rule, windows)]))
    assert found[0] == found[1]
    assert found[0]


def test_a_slow_source_is_waited_for() -> None:
    rule = absent(counting(1, sources=frozenset({"okta", "cloudtrail"})), 15 * MINUTE)
    windows, find = Windows("ip:1.2.3.4"), {"c1": rule}.get
    told(rule, [entry(0)], windows)
    asked: list[frozenset[str]] = []

    def now(sources: frozenset[str]) -> int:
        asked.append(sources)
        return START + 19 * MINUTE

    windows.tick(now, find)
    assert windows.tell(V, find, now) == []
    assert asked[0] == {"okta", "cloudtrail"}


def test_over_several_episodes_a_finding_waits_only_where_a_late_match_could_move_it() -> None:
    rule = counting(2, timespan=24 * HOUR)
    begin = START + 4 * HOUR
    soon = [Entry(begin + at * MINUTE, "okta", f"e{at}", 0, "p") for at in (1, 2)]
    windows = Windows("ip:1.2.3.4")
    assert told(rule, soon, windows) == []
    assert windows.due() == begin - 1 + rule.lateness
    assert len(ended(rule, windows, windows.due() or 0)) == 1
    assert len(told(rule, [*soon, Entry(begin + 6 * MINUTE, "okta", "e6", 0, "p")])) == 1
    later = [Entry(begin + at * MINUTE, "okta", f"e{at}", 0, "p") for at in (60, 61)]
    assert len(told(rule, later)) == 1


# nested


def size_of(windows: Windows) -> int:
    return sum(len(msgspec.msgpack.encode(kept)) for kept in windows.pack().values())


def test_a_flood_is_bounded_and_what_it_evicts_is_counted() -> None:
    windows, rule = Windows("ip:1.2.3.4"), correlation()
    gone = sum(windows.take(matched(entry(at / 1000, f"e{at:05}")), {"c1": rule}.get) for at in range(5000))
    (found,) = windows.tell(V, {"c1": rule}.get)
    assert gone >= 4500
    assert len(found.event_ids) == 1000
    assert found.reasons[0].startswith("5000 matching events")
    assert size_of(windows) < 100_000


@pytest.mark.parametrize(
    "rule",
    [
        correlation(),
        distinct(400),
        bounded(("lt", 2)),
        measuring("value_avg", "gt", 10**6),
        temporal(3),
        temporal(3, ordered=True),
        temporal(2, "a and not b"),
        absent(counting(1), HOUR),
    ],
)
def test_nothing_an_attacker_sends_grows_without_bound(rule: Correlation) -> None:
    random = Random(1)
    windows, find = Windows("ip:1.2.3.4"), {"c1": rule}.get
    rules = [*range(len(rule.rule_ids) if rule.kind.startswith("temporal") else 1), max(0, rule.absent)]
    numeric = rule.fields == ("bytes",)
    for at in range(20_000):
        value = random.randrange(10**9) if numeric else f"{random.random()}" * 3
        one = Entry(START + random.randrange(3 * HOUR), "okta", f"{at:036}", random.choice(rules), f"p{at}", value)
        windows.take(matched(one), find)
        if at % 1000 == 0:
            windows.tell(V, find)
    assert size_of(windows) < 1_000_000
    (kept,) = windows._kept.values()
    assert isinstance(kept, Window)
    assert len(kept.entries) <= rule.most_entries
    assert len(kept.fired) + len(kept.reached) + len(kept.absents) <= 3 * rule.most_entries


def test_a_flood_of_one_value_does_not_hide_the_others() -> None:
    flood = [entry(at / 300, f"f{at:04}", value="decoy") for at in range(2500)]
    others = [entry(at * 2 + 0.0001, f"o{at}", value=f"u{at}") for at in range(3)]
    assert told(distinct(4), sorted([*flood, *others], key=lambda one: one.time))


@pytest.mark.parametrize("ordered", [False, True])
def test_a_flood_of_one_rule_does_not_hide_a_sequence(ordered: bool) -> None:
    rule = temporal(3, ordered=ordered)
    entries = [entry(0, "a", 0), entry(0.5, "b", 1)]
    entries += [entry(1 + at / 1000, f"f{at:04}", 0) for at in range(3000)]
    windows = Windows("ip:1.2.3.4")
    assert told(rule, entries, windows) == []
    restarted = Windows("ip:1.2.3.4", windows.pack(), dict(windows.dues))
    assert told(rule, [entry(5, "c", 2)], windows)
    assert told(rule, [entry(5, "c", 2)], restarted)


def test_a_high_threshold_can_be_reached() -> None:
    found = told(counting(8000), [entry(at / 2000, f"e{at:04}") for at in range(8000)])
    assert len(found) == 1


def test_groups_are_bounded_and_what_they_have_to_tell_is_told() -> None:
    windows, find = Windows("ip:1.2.3.4"), {"c1": counting(1)}.get
    gone = 0
    for at in range(MOST_WINDOWS + 50):
        gone += windows.take(matched(entry(at / 60), group=f"g{at}"), find)
    assert gone == windows.dropped == 50
    assert len(windows) == MOST_WINDOWS
    assert len(ids(windows.tell(V, find))) == MOST_WINDOWS + 50


def test_the_window_unused_longest_goes_first() -> None:
    windows, find = Windows("ip:1.2.3.4"), {"c1": counting(2)}.get
    windows.take(matched(entry(0), group="old"), find)
    for at in range(MOST_WINDOWS - 1):
        windows.take(matched(entry(0), group=f"g{at}"), find)
    windows.take(matched(entry(0.1), group="old"), find)
    assert windows.tell(V, find)
    windows.take(matched(entry(1), group="new"), find)
    assert f"c1{BETWEEN}old" in windows.pack()
    assert f"c1{BETWEEN}g0" not in windows.pack()


# what is stored


def test_a_window_of_another_rule_or_version_begins_anew_and_is_counted() -> None:
    windows, rule = Windows("ip:1.2.3.4"), correlation()
    told(rule, [entry(0), entry(1)], windows)
    kept = windows.pack()
    changed = correlation(stamp="t")
    assert told(changed, [entry(2)], Windows("ip:1.2.3.4", kept)) == []
    assert told(rule, [entry(2)], Windows("ip:1.2.3.4", kept))
    assert Window.unpack(changed, next(iter(kept.values()))).evicted == 1
    older = msgspec.Raw(msgspec.msgpack.encode([[[1, "okta", "e", "p", "", 0]], 7]))
    assert Window.unpack(rule, older).evicted == 1
    assert Window.unpack(rule, older).entries == []


def test_a_reload_that_leaves_a_rule_alone_leaves_its_windows_alone() -> None:
    windows = Windows("ip:1.2.3.4")
    told(correlation(), [entry(0), entry(1)], windows)
    assert told(correlation(), [entry(2)], windows)


def test_what_a_reload_took_away_is_forgotten() -> None:
    windows, rule = Windows("ip:1.2.3.4"), absent(counting(1), HOUR)
    told(rule, [entry(0)], windows)
    assert windows.take(matched(entry(1)), {}.get) == 0
    windows.tick(lambda _: 1 << 62, {}.get)
    assert windows.due() is None


def test_windows_nobody_touches_are_not_packed_again() -> None:
    windows, rule = Windows("ip:1.2.3.4"), correlation()
    find = {"c1": rule}.get
    for group in ("a", "b"):
        windows.take(matched(entry(0), group=group), find)
    first = windows.pack()
    windows.take(matched(entry(1), group="b"), find)
    second = windows.pack()
    assert second[f"c1{BETWEEN}a"] is first[f"c1{BETWEEN}a"]
    assert second[f"c1{BETWEEN}b"] != first[f"c1{BETWEEN}b"]


@given(st.lists(st.tuples(st.integers(0, 3600), st.sampled_from("abc")), max_size=40), st.integers(1, 4))
@settings(max_examples=50)
def test_windows_of_groups_do_not_mix(drawn: list[tuple[int, str]], need: int) -> None:
    rule = counting(need)
    find = {"c1": rule}.get
    matches = [
        matched(Entry(START + second * SECOND, "okta", f"e{at}", 0, "p"), group=group)
        for at, (second, group) in enumerate(sorted(drawn))
    ]
    windows = Windows("ip:1.2.3.4")
    together: list[Finding] = []
    for match in matches:
        windows.take(match, find)
    together += windows.tell(V, find)
    apart: list[Finding] = []
    for group in "abc":
        alone = Windows("ip:1.2.3.4")
        for match in matches:
            if match.group == group:
                alone.take(match, find)
        apart += alone.tell(V, find)
    assert last(together) == last(apart)


def test_times_are_told_in_words() -> None:
    (found,) = told(correlation(), [entry(0), entry(1), entry(2)])
    assert rfc3339(found.time) == "2026-03-02T08:02:00.000Z"
    assert found.time % MICROSECONDS == 0
