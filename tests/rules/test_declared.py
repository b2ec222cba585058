from __future__ import annotations

import pytest

from audit.context import EMPTY, Context
from audit.context_schema import DAY, Company, Declared, End, Leave, Moment, Person, decode_moment
from audit.event import parse_rfc3339
from rules.declared import days_employed, days_since_seen, employment, foreign_accounts
from tests.rules.conftest import event

OURS = Context(Declared(company=Company(aws_accounts={"prod": "123456789012", "data": "210987654321"})))


def at(text: str) -> int:
    return parse_rfc3339(text)


def start(text: str) -> Moment:
    return decode_moment(Moment, text)


def end(text: str) -> End:
    return decode_moment(End, text)


class TestEmployment:
    @pytest.mark.parametrize(
        ("time", "said"),
        [
            ("2026-02-28T23:59:59Z", "not_started"),
            ("2026-03-01T00:00:00Z", "current"),
            ("2026-03-09T23:59:59Z", "current"),
            ("2026-03-10T00:00:00Z", "on_leave"),
            ("2026-03-12T23:59:59Z", "on_leave"),
            ("2026-03-13T00:00:00Z", "current"),
            ("2026-03-31T23:59:59Z", "current"),
            ("2026-04-01T00:00:00Z", "ended"),
        ],
    )
    def test_dates_include_their_whole_day(self, time: str, said: str) -> None:
        leave = (Leave(start=start("2026-03-10"), end=end("2026-03-12")),)
        person = Person(id="a", start_date=start("2026-03-01"), end_date=end("2026-03-31"), leave=leave)
        assert employment(person, at(time)) == said

    @pytest.mark.parametrize(
        ("zone", "time", "said"),
        [
            ("Pacific/Honolulu", "2026-04-01T09:59:59Z", "current"),
            ("Pacific/Honolulu", "2026-04-01T10:00:00Z", "ended"),
            ("Asia/Tokyo", "2026-03-31T14:59:59Z", "current"),
            ("Asia/Tokyo", "2026-03-31T15:00:00Z", "ended"),
            ("No/Such", "2026-04-01T00:00:00Z", "ended"),
            ("../../etc/passwd", "2026-04-01T00:00:00Z", "ended"),
        ],
    )
    def test_the_last_day_ends_at_the_persons_own_midnight(self, zone: str, time: str, said: str) -> None:
        assert employment(Person(id="a", timezone=zone, end_date=end("2026-03-31")), at(time)) == said

    def test_the_first_day_begins_at_the_persons_own_midnight(self) -> None:
        tokyo = Person(id="a", timezone="Asia/Tokyo", start_date=start("2026-03-02"))
        assert employment(tokyo, at("2026-03-01T14:59:59Z")) == "not_started"
        assert employment(tokyo, at("2026-03-01T15:00:00Z")) == "current"

    def test_a_time_that_is_written_is_meant(self) -> None:
        person = Person(id="a", timezone="Pacific/Honolulu", end_date=end("2026-03-31T17:00:00Z"))
        assert employment(person, at("2026-03-31T17:00:01Z")) == "ended"

    def test_leave_without_an_end_in_sight_breaks_nothing_in_any_zone(self) -> None:
        leave = (Leave(start=start("2026-03-10"), end=end("9999-12-31")),)
        for zone in ("Asia/Tokyo", "America/New_York"):
            assert employment(Person(id="a", timezone=zone, leave=leave), at("2026-04-01T00:00:00Z")) == "on_leave"

    def test_of_whom_nothing_is_written_is_there(self) -> None:
        assert employment(Person(id="a"), 0) == "current"


class TestSilence:
    def test_the_own_past_comes_before_what_is_declared(self) -> None:
        person = Person(id="a", last_login=start("2025-01-01"))
        assert days_since_seen(person, at("2026-03-02T09:00:00Z"), 3) == 3

    def test_without_a_past_it_counts_from_the_last_login(self) -> None:
        person = Person(id="a", last_login=start("2026-01-01"))
        assert days_since_seen(person, at("2026-03-02T09:00:00Z"), None) == 60

    def test_a_last_login_that_is_to_come_says_nothing(self) -> None:
        person = Person(id="a", last_login=start("2026-06-01"))
        assert days_since_seen(person, at("2026-03-02T09:00:00Z"), None) is None

    def test_of_strangers_only_the_past_is_known(self) -> None:
        assert days_since_seen(None, at("2026-03-02T09:00:00Z"), None) is None
        assert days_since_seen(None, at("2026-03-02T09:00:00Z"), 50) == 50

    def test_leave_that_is_over_was_no_silence(self) -> None:
        leave = (Leave(start=start("2025-12-01"), end=end("2026-02-28")),)
        assert days_since_seen(Person(id="a", leave=leave), at("2026-03-02T09:00:00Z"), 95) == 1

    def test_leave_that_goes_on_is_silence(self) -> None:
        leave = (Leave(start=start("2025-12-01"), end=end("2026-06-30")),)
        assert days_since_seen(Person(id="a", leave=leave), at("2026-03-02T09:00:00Z"), 95) == 95

    def test_old_leave_does_not_make_it_longer(self) -> None:
        leave = (Leave(start=start("2020-01-01"), end=end("2020-01-31")),)
        assert days_since_seen(Person(id="a", leave=leave), at("2026-03-02T09:00:00Z"), 2) == 2


def test_days_employed_count_from_the_first_day() -> None:
    person = Person(id="a", start_date=start("2026-03-01"))
    assert days_employed(person, start("2026-03-01") + 3 * DAY) == 3
    assert days_employed(person, start("2026-02-27")) is None
    assert days_employed(Person(id="a"), 0) is None


class TestForeignAccounts:
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"add": {"items": [{"userId": "555566667777"}]}}, ["555566667777"]),
            ({"valuesToAdd": ["210987654321"]}, None),
            ({"policy": '{"AWS":"arn:aws:iam::555566667777:root"}'}, ["555566667777"]),
            (
                {"principal": "123456789012", "other": ["999900001111", "555566667777"]},
                ["555566667777", "999900001111"],
            ),
            ({"snapshotId": "snap-0123456789012"}, None),
            ({"size": 5555666677778}, None),
            (None, None),
            ("text 555566667777", None),
        ],
    )
    def test_it_names_those_that_nobody_declared(self, asked: object, found: list[str] | None) -> None:
        assert foreign_accounts(OURS, event(), {"requestParameters": asked}) == found

    def test_the_events_own_account_is_not_foreign(self) -> None:
        asked = {"requestParameters": {"account": "555566667777"}}
        assert foreign_accounts(OURS, event(account="555566667777"), asked) is None

    def test_where_none_is_declared_nothing_is_said(self) -> None:
        assert foreign_accounts(EMPTY, event(), {"requestParameters": {"a": "555566667777"}}) is None
