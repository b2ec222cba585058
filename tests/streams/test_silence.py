"""Silence: told of once, soon where a source is steady, not for nights, weekends, batches or an outage of our own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import silence
from streams.silence import (
    DAY,
    FEWEST,
    HOUR,
    LONGEST_STEP,
    MINUTE,
    SETTLED,
    UNKNOWN,
    WEEK,
    WEEK_HOURS,
    Pulse,
    begin,
    look,
    usually,
)

MONDAY = 1_772_409_600_000_000  # 2026-03-02T00:00:00Z
LEAST = 15 * MINUTE
Rate = Callable[[int], float]
News = list[tuple[str, float]]


def weekday(now: int) -> int:
    return datetime.fromtimestamp(now / 1e6, UTC).weekday()


def hour(now: int) -> int:
    return now // HOUR % 24


class Source:
    """Sends at a rate an hour, and is looked at every minute. News come with the days since the start."""

    def __init__(self, rate: Rate, seed: int = 1) -> None:
        self._rate, self._random = rate, random.Random(seed)
        self.now, self.end = MONDAY, 1
        self.pulse = begin(1, MONDAY)
        self.news: News = []

    def go(self, duration: float, sending: bool = True, looked_at: bool = True) -> Source:
        until = self.now + round(duration)
        while self.now < until:
            self.now += MINUTE
            chance = 1 - math.exp(-self._rate(self.now) * MINUTE / HOUR)
            self.end += sending and self._random.random() < chance
            if looked_at:
                self.look()
        return self

    def look(self) -> None:
        self.pulse, news = look(self.pulse, self.end, self.now, LEAST)
        if news:
            self.news.append((news, (self.now - MONDAY) / DAY))


def steady(_: int) -> float:
    return 1000.0


def office(now: int) -> float:
    return 200.0 if weekday(now) < 5 and 8 <= hour(now) < 18 else 0.0


def people(now: int) -> float:
    """Busy by day, hardly anything at night: at no fixed time."""
    if weekday(now) > 4:
        return 0.05
    return 200.0 if 9 <= hour(now) < 17 else 10.0 if 7 <= hour(now) < 20 else 0.2


def seldom(_: int) -> float:
    return 0.3


def nightly(now: int) -> float:
    return 60.0 if hour(now) == 3 else 0.0


class TestNobodyCries:
    @pytest.mark.parametrize("rate", [steady, office, nightly])
    def test_over_what_is_usual(self, rate: Rate) -> None:
        assert Source(rate).go(4 * WEEK).news == []

    @pytest.mark.parametrize(("rate", "most"), [(seldom, 3), (people, 5)])
    def test_often_where_there_is_no_fixed_time(self, rate: Rate, most: int) -> None:
        assert sum(len(Source(rate, seed).go(4 * WEEK).news) / 2 for seed in range(3)) / 3 <= most

    def test_while_nobody_looked(self) -> None:
        """The worker was down for a day, and the source had nothing to say when it was back."""
        source = Source(steady).go(4 * DAY).go(DAY, sending=False, looked_at=False).go(10 * MINUTE, sending=False)
        assert source.news == []
        assert source.pulse.silent <= 10 * MINUTE + LONGEST_STEP

    def test_over_what_was_sent_while_nobody_looked(self) -> None:
        source = Source(steady).go(4 * DAY).go(10 * MINUTE, sending=False).go(DAY, looked_at=False)
        source.look()
        assert (source.pulse.silent, source.pulse.heard) == (0, source.now)
        assert source.pulse.longest <= 12 * MINUTE

    def test_over_a_source_hardly_known(self) -> None:
        assert Source(steady).go(SETTLED - HOUR).go(DAY / 2, sending=False).news == [], "not for long enough"
        few = Source(lambda now: FEWEST / 120).go(2 * DAY)
        assert few.pulse.found < FEWEST
        assert few.go(DAY, sending=False).news == [], "not often enough"

    def test_over_one_that_never_spoke(self) -> None:
        pulse = begin(0, MONDAY)
        for minute in range(1, 60 * 24 * 3):
            pulse, news = look(pulse, 0, MONDAY + minute * MINUTE, LEAST)
            assert news is None

    def test_over_a_clock_set_back(self) -> None:
        source = Source(steady).go(3 * DAY)
        source.now -= DAY
        source.look()
        assert source.news == []
        assert source.pulse.silent < LEAST

    def test_over_a_log_created_anew(self) -> None:
        source = Source(steady).go(3 * DAY).go(10 * MINUTE, sending=False)
        source.end = 0
        source.go(4 * MINUTE, sending=False)
        assert (source.pulse.end, source.news) == (0, [])
        source.end = 5
        source.look()
        assert source.pulse.silent == 0


class TestSomebodyIsTold:
    def test_of_a_steady_source_after_the_least_time(self) -> None:
        source = Source(steady).go(3 * DAY).go(LEAST - 2 * MINUTE, sending=False)
        assert source.news == []
        assert [what for what, _ in source.go(4 * MINUTE, sending=False).news] == ["silent"]

    def test_once_and_of_its_return(self) -> None:
        source = Source(steady).go(3 * DAY).go(9 * HOUR, sending=False).go(DAY)
        assert [what for what, _ in source.news] == ["silent", "back"]
        assert source.news[1][1] == pytest.approx(3 + 9 / 24, abs=0.01)

    def test_of_an_office_at_work_but_not_of_its_night(self) -> None:
        tuesday = 4 * WEEK + DAY + 10 * HOUR
        source = Source(office).go(tuesday).go(8 * DAY, sending=False)
        (first, *more) = source.news
        assert first[0] == "silent"
        assert more == []
        assert 0 < first[1] * DAY - tuesday < HOUR

    def test_of_an_office_that_dies_in_the_evening_when_people_come_to_work(self) -> None:
        friday = 4 * WEEK + 4 * DAY + 17.5 * HOUR
        (told,) = Source(office).go(friday).go(4 * DAY, sending=False).news
        monday = 5 * WEEK + 8 * HOUR
        assert monday < told[1] * DAY < monday + 3 * HOUR

    def test_of_a_nightly_batch_that_does_not_come(self) -> None:
        (told,) = Source(nightly).go(4 * WEEK + 10 * HOUR).go(3 * DAY, sending=False).news
        assert 0.5 < told[1] - 28 < 2.5, "it came at 3 o'clock each night"

    def test_of_one_that_speaks_seldom_when_it_never_was_so_quiet(self) -> None:
        (told, *_) = Source(seldom, 5).go(4 * WEEK).go(3 * DAY, sending=False).news[-1:]
        assert told[0] == "silent"
        assert told[1] > 28

    def test_that_it_died_in_the_middle_of_an_outage_of_ours(self) -> None:
        source = Source(steady).go(3 * DAY).go(DAY, sending=False, looked_at=False).go(LEAST + MINUTE, sending=False)
        assert [what for what, _ in source.news] == ["silent"]


class TestWhatIsUsual:
    def test_each_hour_of_the_week_after_a_week(self) -> None:
        pulse = Source(office).go(WEEK + 10 * HOUR).pulse
        assert UNKNOWN not in pulse.usual
        assert pulse.usual[3] == HOUR, "Monday at 3"
        assert pulse.usual[10] < 10 * MINUTE
        assert pulse.usual[5 * 24 + 10] == HOUR, "Saturday at 10"

    def test_a_bad_hour_fades(self) -> None:
        source = Source(steady).go(10 * HOUR).go(HOUR, sending=False).go(WEEK - 11 * HOUR)
        assert source.pulse.usual[10] > 50 * MINUTE
        source.go(4 * WEEK)
        assert source.pulse.usual[10] == pytest.approx(HOUR * 0.85**4, rel=0.1)

    def test_a_new_habit_is_learnt_after_a_few_alerts(self) -> None:
        """It speaks by day only from now on."""
        day = Source(steady).go(2 * WEEK)
        day._rate = lambda now: 1000.0 if 6 <= hour(now) < 22 else 0.0
        day.go(3 * WEEK)
        assert [what for what, _ in day.news[:2]] == ["silent", "back"]
        day.news.clear()
        assert day.go(2 * WEEK).news == []

    def test_usually_looks_around(self) -> None:
        usual = [0] * WEEK_HOURS
        usual[0], usual[2] = 5, 9
        pulse = Pulse(1, MONDAY, MONDAY, usual=tuple(usual), hour=MONDAY // HOUR + 1)
        assert usually(pulse) == 9
        usual[2] = UNKNOWN
        assert usually(msgspec.structs.replace(pulse, usual=tuple(usual))) == UNKNOWN

    def test_monday_is_first(self) -> None:
        assert silence._slot(MONDAY // HOUR) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-10 * MINUTE, 3 * HOUR)), max_size=60), st.integers(0, DAY))
def test_whatever_is_looked_at(looks: list[tuple[int, int]], start: int) -> None:
    """It never cries without watching for so long, and its numbers stay sane and packable."""
    pulse, now = begin(1, MONDAY + start), MONDAY + start
    for more, step in looks:
        now += step
        pulse, news = look(pulse, pulse.end + more, now, LEAST)
        assert news is None
        assert 0 <= pulse.silent <= pulse.watched
        assert all(UNKNOWN <= value <= HOUR for value in pulse.usual)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(pulse), type=Pulse) == pulse
