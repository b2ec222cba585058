from __future__ import annotations

import msgspec

from rules.correlation import SOURCE_LAG
from streams.clock import RETRY, Clock
from tests.rules.conftest import event

SECOND = 1_000_000
NOW = 1_772_442_847 * SECOND
ALL: frozenset[str] = frozenset()


def seen(clock: Clock, *times: tuple[str, int], wall: int = 0) -> None:
    clock.see((event(source=source, time=time) for source, time in times), wall)


def test_it_is_as_late_as_the_slowest_source_somebody_depends_on() -> None:
    clock = Clock()
    seen(clock, ("okta", NOW), ("cloudtrail", NOW - 60 * SECOND), ("okta", NOW - 5 * SECOND))
    now = clock.read()
    assert now(frozenset({"okta"})) == NOW
    assert now(frozenset({"cloudtrail"})) == NOW - 60 * SECOND
    assert now(frozenset({"okta", "cloudtrail"})) == NOW - 60 * SECOND
    assert now(ALL) == NOW - 60 * SECOND
    assert now.latest == clock.latest == NOW


def test_a_source_nobody_has_seen_does_not_hold_anyone_up() -> None:
    clock = Clock()
    seen(clock, ("okta", NOW))
    assert clock.read()(frozenset({"okta", "github"})) == NOW
    assert clock.read()(frozenset({"github"})) == NOW


def test_a_silent_source_holds_others_up_for_so_long_only() -> None:
    clock = Clock()
    seen(clock, ("github", NOW - 10 * SOURCE_LAG), ("okta", NOW))
    assert clock.read()(frozenset({"github", "okta"})) == NOW - SOURCE_LAG


def test_between_events_time_passes_as_on_the_wall_but_not_beyond_it() -> None:
    clock = Clock()
    seen(clock, ("okta", NOW - 90 * SECOND), wall=NOW)
    assert clock.read(NOW + 30 * SECOND)(ALL) == NOW - 60 * SECOND
    seen(clock, ("okta", NOW + 600 * SECOND), wall=NOW + SECOND)
    assert clock.read(NOW + SECOND)(ALL) == NOW + SECOND


def test_an_event_from_behind_does_not_turn_it_back() -> None:
    clock = Clock()
    seen(clock, ("okta", NOW), wall=NOW)
    seen(clock, ("okta", NOW + SECOND), wall=NOW + 100 * SECOND)
    assert clock.read(NOW + 100 * SECOND)(ALL) == NOW + 100 * SECOND


def test_once_nothing_more_comes_every_source_is_as_far_as_the_furthest() -> None:
    clock = Clock()
    seen(clock, ("github", NOW - 60 * SECOND), ("okta", NOW))
    last = clock.read().closed()
    assert last(frozenset({"github"})) == last(ALL) == NOW
    assert last.latest == NOW + RETRY


def test_before_anything_was_seen_it_is_no_time() -> None:
    assert Clock().read(NOW)(ALL) <= 0
    assert Clock().read().latest == 0


def test_marks_do_not_matter() -> None:
    clock = Clock()
    clock.see([msgspec.structs.replace(event(time=NOW), marks=("time_replaced",))])
    assert clock.latest == NOW
