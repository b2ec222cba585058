from __future__ import annotations

import msgspec
import pytest

from alerting.case import Case
from alerting.notifier import Receipt
from alerting.pauses import EDITS, LONGEST, LOOKS, POSTS, REPEATS, Pauses, limits_of
from alerting.store import Entry
from tests.alerting.conftest import NOON, SECOND, Clock, an_alert


def test_each_name_rests_for_itself_and_until_its_end(clock: Clock) -> None:
    pauses = Pauses(clock)
    pauses.rest("C1", 2.0)
    pauses.rest(EDITS, 10.0)
    assert pauses.free("C2")
    assert not pauses.free("C1")
    assert not pauses.free("C2", EDITS), "all have to be free"
    clock.now += 2 * SECOND
    assert pauses.free("C1")
    assert not pauses.free(EDITS)


def test_failures_in_a_row_cost_more_and_more_until_one_works(clock: Clock) -> None:
    pauses = Pauses(clock)
    assert [pauses.failed("C1") for _ in range(4)] == [0.25, 0.5, 1, 2]
    assert pauses.failed("C2") == 0.25
    assert max(pauses.failed("C1") for _ in range(40)) == LONGEST
    pauses.worked("C1")
    assert pauses.failed("C1") == 0.25


def test_the_first_end_is_waited_for_and_never_longer_than_asked(clock: Clock) -> None:
    pauses = Pauses(clock)
    assert pauses.until_next(0.25) == 0.25
    pauses.rest("C1", 0.1)
    pauses.rest("C2", 5.0)
    assert pauses.until_next(0.25) == pytest.approx(0.1)
    clock.now += SECOND // 10 - 1
    assert pauses.until_next(0.25) == 0.001, "never in a hurry to nothing"
    clock.now += SECOND
    assert pauses.until_next(0.25) == 0.25


def test_after_a_quiet_time_some_may_follow_at_once_and_then_the_pace_holds(clock: Clock) -> None:
    pauses, times = Pauses(clock), []
    while len(times) < 40:
        if pauses.free(POSTS):
            pauses.take(POSTS, 0.2, burst=20)
            times.append(clock.now)
        else:
            clock.now += SECOND // 100
    assert times[20] == times[0]
    assert times[21] > times[20]
    assert times[39] - times[0] == pytest.approx(19 * SECOND / 5, rel=0.01)
    clock.now += 60 * SECOND
    pauses.take(REPEATS, 1.3)
    assert not pauses.free(REPEATS)
    clock.now += 13 * SECOND // 10
    assert pauses.free(REPEATS)


def test_what_holds_each_kind_of_delivery_back() -> None:
    shown = Receipt(1, "high", "C1", "1.1", at=NOON)
    new, grown = Entry(an_alert()), Entry(an_alert(revision=2), shown)
    graver = Entry(an_alert(revision=2, severity="critical"), shown)
    assert limits_of(new, doubtful=False) == (POSTS,)
    assert limits_of(new, doubtful=True) == (LOOKS, POSTS)
    assert limits_of(grown, doubtful=False) == (EDITS, REPEATS)
    assert limits_of(graver, doubtful=False) == (EDITS,)
    moved = Case(an_alert().id, "acknowledged", version=1)
    assert limits_of(Entry(an_alert(), shown, moved=moved), doubtful=False) == (EDITS,), "who clicked sees it at once"
    told = msgspec.structs.replace(shown, case_version=1)
    assert limits_of(Entry(an_alert(), told, moved=moved), doubtful=False) == (POSTS,), "its thread is next"
