"""Syslog lines (RFC 3164, RFC 5424, RFC 3339 stamps as rsyslog and systemd write them) and bare messages."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from audit.event import MICROSECONDS
from audit.sources.fields import UNTIMED, Unreadable, instant

LONGEST_LINE = 16_384
"""Characters of a line that are interpreted; what follows stays in the record's `message`."""
DAY = 86_400 * MICROSECONDS


class Line(NamedTuple):
    """A line taken apart; `time` is in microseconds since the epoch, UNTIMED where the line bears none."""

    time: int
    host: str | None
    program: str | None
    module: str | None
    pid: str | None
    text: str


_PRIORITY = r"(?:<[0-9]{1,3}>)?"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_OLD = re.compile(
    rf"{_PRIORITY}({'|'.join(_MONTHS)}) {{1,2}}"
    r"([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})? (\S{0,255}) "
)
_STAMPED = re.compile(rf"{_PRIORITY}([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T\S{{5,30}}) (\S{{1,255}}) ")
_NEW = re.compile(
    r"<[0-9]{1,3}>1 (\S{1,40}) (\S{1,255}) (\S{1,48}) (\S{1,128}) \S{1,32} "
    r'(?:-|(?:\[(?:"(?:[^"\\]|\\.)*+"|[^\]"])*+\])++)(?: \ufeff?|$)'
)
_TAG = re.compile(r"([^\s:\[(]{1,64})(?:\(([^\s()]{1,64})\))?(?:\[([0-9]{1,10})\])?:(?: |$)")


def parse(line: str, arrival: int) -> Line:
    """The line taken apart; a time without a year gets the latest one that lies at most a day after `arrival`.

    Times without a zone are read as UTC. An `arrival` of UNTIMED leaves a time without a year UNTIMED.

    Raises:
        Unreadable: when the line bears a time that is none.
    """
    line = line[:LONGEST_LINE]
    if found := _NEW.match(line):
        stamp, host, program, pid = (None if part == "-" else part for part in found.groups())
        return Line(instant(stamp), host, program, None, pid, line[found.end() :].strip())
    if found := _OLD.match(line):
        time = _without_year(found, arrival)
        return _tagged(time, found[6] or None, line[found.end() :])
    if found := _STAMPED.match(line):
        return _tagged(instant(found[1]), found[2], line[found.end() :])
    return Line(UNTIMED, None, None, None, None, line.strip())


def _tagged(time: int, host: str | None, rest: str) -> Line:
    tag = _TAG.match(rest)
    if tag is None:
        return Line(time, host, None, None, None, rest.strip())
    return Line(time, host, tag[1], tag[2], tag[3], rest[tag.end() :].strip())


def _without_year(found: re.Match[str], arrival: int) -> int:
    month, day = _MONTHS.index(found[1]) + 1, int(found[2])
    hour, minute, second = int(found[3]), int(found[4]), int(found[5])
    if hour > 23 or minute > 59 or second > 60:
        raise Unreadable(f"its time cannot be read: {found[0][:40]!r}")
    if arrival == UNTIMED:
        return UNTIMED
    return (_latest(month, day, arrival // DAY) * 86_400 + hour * 3600 + minute * 60 + second) * MICROSECONDS


@lru_cache(maxsize=4096)
def _latest(month: int, day: int, today: int) -> int:
    """Days since the epoch of the latest such date up to tomorrow: clocks run ahead, and zones are not written."""
    this = date.fromordinal(_EPOCH + today).year
    for year in range(this + 1, this - 9, -1):  # a 29th of February may be eight years back
        try:
            days = date(year, month, day).toordinal() - _EPOCH
        except ValueError:
            continue
        if 0 <= days <= today + 1:
            return days
    raise Unreadable(f"its time cannot be read: there is no {month:02}-{day:02} up to its arrival")


_EPOCH = date(1970, 1, 1).toordinal()
