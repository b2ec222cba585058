from __future__ import annotations

import time as clock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.event import parse_rfc3339, rfc3339
from audit.sources.fields import UNTIMED, Unreadable
from audit.sources.syslog import DAY, Line, parse

ARRIVAL = parse_rfc3339("2026-03-02T09:00:00Z")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "Mar  2 08:15:30 web1 sshd[1317]: Accepted password for ada",
            ("2026-03-02T08:15:30.000Z", "web1", "sshd", None, "1317", "Accepted password for ada"),
        ),
        ("<86>Mar 2 08:15:30 web1 sudo: ada : x", ("2026-03-02T08:15:30.000Z", "web1", "sudo", None, None, "ada : x")),
        ("Mar  2 08:15:30.123 web1 su: x", ("2026-03-02T08:15:30.000Z", "web1", "su", None, None, "x")),
        ("Mar  2 08:15:30  sshd[1]: x", ("2026-03-02T08:15:30.000Z", None, "sshd", None, "1", "x")),
        (
            "Mar  2 08:15:30 niban su(pam_unix)[23]: x",
            ("2026-03-02T08:15:30.000Z", "niban", "su", "pam_unix", "23", "x"),
        ),
        ("Mar  2 08:15:30 web1 last message", ("2026-03-02T08:15:30.000Z", "web1", None, None, None, "last message")),
        (
            '<34>1 2026-03-02T08:15:30.003+01:00 web1 sshd 42 ID47 [a@1 k="]\\"" b="c"][d@2] \ufeffhello',
            ("2026-03-02T07:15:30.003Z", "web1", "sshd", None, "42", "hello"),
        ),
        ("<34>1 - - - - - -", (None, None, None, None, None, "")),
        (
            "2026-03-02T08:15:30.5+01:30 web1 pam[7]: user nobody",
            ("2026-03-02T06:45:30.500Z", "web1", "pam", None, "7", "user nobody"),
        ),
        (" Accepted key", (None, None, None, None, None, "Accepted key")),
        ("", (None, None, None, None, None, "")),
    ],
)
def test_lines(line: str, parts: tuple[str | None, ...]) -> None:
    found = parse(line, ARRIVAL)
    stamp = None if found.time == UNTIMED else rfc3339(found.time)
    assert (stamp, *found[1:]) == parts


@pytest.mark.parametrize(
    ("written", "arrival", "year"),
    [
        ("Mar  2", "2026-03-02", 2026),
        ("Mar  3", "2026-03-02", 2026),  # a clock or a zone ahead: not a year ago
        ("Mar  4", "2026-03-02", 2025),
        ("Dec 31", "2026-01-01", 2025),  # written before midnight
        ("Jan  1", "2025-12-31", 2026),  # a zone ahead at new year
        ("Feb 29", "2026-03-02", 2024),
        ("Feb 29", "2101-01-01", 2096),
    ],
)
def test_a_time_without_a_year_is_the_latest_that_is_not_ahead(written: str, arrival: str, year: int) -> None:
    found = parse(f"{written} 08:15:30 web1 sshd: x", parse_rfc3339(f"{arrival}T09:00:00Z"))
    assert rfc3339(found.time)[:4] == str(year)


def test_without_an_arrival_it_has_no_time() -> None:
    assert parse("Mar  2 08:15:30 web1 sshd: x", UNTIMED) == Line(UNTIMED, "web1", "sshd", None, None, "x")


@pytest.mark.parametrize(
    "line",
    [
        "Feb 30 08:15:30 web1 sshd: x",
        "Mar  2 24:15:30 web1 sshd: x",
        "Mar  2 08:61:30 web1 sshd: x",
        "<34>1 yesterday web1 sshd 42 ID47 - x",
        "2026-03-02T99:00:00Z web1 sshd: x",
    ],
)
def test_a_time_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(Unreadable, match="time"):
        parse(line, ARRIVAL)


@given(st.dates().filter(lambda day: day.year > 1971), st.integers(1, 12), st.integers(1, 28))
def test_the_lent_year_is_never_further_ahead_than_tomorrow(arrived: object, month: int, day: int) -> None:
    now = parse_rfc3339(f"{arrived}T12:00:00Z")
    name = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[month - 1]
    time = parse(f"{name} {day:2} 12:00:00 h p: x", now).time
    assert now - 366 * DAY <= time <= now + DAY


@pytest.mark.parametrize("filler", ["<", "[a ", '[a b="', "x", "\\", " ", "[" * 3, '"]', "a=\x00"])
def test_no_line_takes_long(filler: str) -> None:
    for head in (
        "",
        "<34>1 2026-03-02T08:15:30Z h p 1 i ",
        "Mar  2 08:15:30 h ",
        "<34>1 2026-03-02T08:15:30Z h p 1 i [",
    ):
        begun = clock.perf_counter()
        parse(head + filler * 200_000, ARRIVAL)
        assert clock.perf_counter() - begun < 0.5
