from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.route_time import DayTime, Quiet, Span, Zone, day_of, decode, quiet_until, shown
from audit.event import parse_rfc3339, rfc3339
from tests.alerting.conftest import HOUR, SECOND

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo")


def night(zone: str = "Europe/Berlin", start: str = "19:00", end: str = "07:00") -> Quiet:
    return Quiet(decode(DayTime, start), decode(DayTime, end), "high", Zone(zone))


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-01-31T17:59:59Z", ""),
        ("2026-01-31T18:00:00Z", "2026-02-01T06:00:00.000Z"),
        ("2026-02-01T05:59:59Z", "2026-02-01T06:00:00.000Z"),
        ("2026-02-01T06:00:00Z", ""),
        ("2026-03-28T20:00:00Z", "2026-03-29T05:00:00.000Z"),  # the night that is an hour short
        ("2026-10-24T20:00:00Z", "2026-10-25T06:00:00.000Z"),  # the night that is an hour long
    ],
)
def test_a_night_in_berlin(now: str, ends: str) -> None:
    until = quiet_until(night(), "low", parse_rfc3339(now))
    assert (rfc3339(until) if until else "") == ends


def test_what_is_grave_does_not_wait() -> None:
    at_night = parse_rfc3339("2026-01-31T23:00:00Z")
    assert quiet_until(night(), "medium", at_night)
    assert quiet_until(night(), "high", at_night) == quiet_until(night(), "critical", at_night) == 0


def test_hours_within_a_day() -> None:
    lunch = night("UTC", "12:00", "13:30")
    assert quiet_until(lunch, "low", parse_rfc3339("2026-01-31T11:59:00Z")) == 0
    assert rfc3339(quiet_until(lunch, "low", parse_rfc3339("2026-01-31T12:00:00Z"))) == "2026-01-31T13:30:00.000Z"
    assert quiet_until(lunch, "low", parse_rfc3339("2026-01-31T13:30:00Z")) == 0


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-10-25T00:10:00Z", "2026-10-25T00:30:00.000Z"),  # 02:10 for the first time
        ("2026-10-25T01:10:00Z", "2026-10-25T01:30:00.000Z"),  # 02:10 again: quiet again
    ],
)
def test_an_end_that_the_clock_shows_twice(now: str, ends: str) -> None:
    assert rfc3339(quiet_until(night(end="02:30"), "low", parse_rfc3339(now))) == ends


moments = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)).map(  # noqa: DTZ001
    lambda moment: round(moment.replace(tzinfo=UTC).timestamp()) * SECOND
)
minutes = st.integers(0, 1439)


@given(moments, minutes, minutes, st.sampled_from(ZONES))
def test_quiet_hours_end_in_time_and_never_before_now(now: int, start: int, end: int, zone: str) -> None:
    quiet = Quiet(DayTime(start), DayTime(end), "critical", Zone(zone))
    until = quiet_until(quiet, "high", now)
    local = datetime.fromtimestamp(now // SECOND, ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    inside = start <= minute < end if start <= end else minute >= start or minute < end
    assert bool(until) == inside
    assert not until or now < until <= now + 26 * HOUR


def test_the_day_is_that_of_the_zone() -> None:
    late = parse_rfc3339("2026-01-31T23:30:00Z")
    assert (day_of(late, "UTC"), day_of(late, "Europe/Berlin"), day_of(late, "")) == (
        "2026-01-31",
        "2026-02-01",
        "2026-01-31",
    )


@pytest.mark.parametrize("text", ["90s", "15m", "1h", "2d", "36h"])
def test_spans_read_as_written(text: str) -> None:
    assert shown(decode(Span, text)) == text


@pytest.mark.parametrize(
    ("kind", "text", "advice"),
    [
        (Span, "15", "write 90s, 15m"),
        (Span, "-1h", "write 90s"),
        (Span, "9999999h", "write 90s"),
        (DayTime, "24:00", 'write "19:00"'),
        (DayTime, "7", 'write "19:00"'),
        (Zone, "Europe/Berln", "Europe/Berlin"),
        (Zone, "../../etc/passwd", "Europe/Berlin"),
        (Zone, "", "Europe/Berlin"),
        (Zone, "x\0y", "Europe/Berlin"),
    ],
)
def test_what_is_no_time_is_said_to_be_none(kind: type, text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        decode(kind, text)
