"""Times as people write them in routes: "15m", "19:00", a time zone; and when quiet hours end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from audit.context_schema import decode_moment
from audit.event import MICROSECONDS
from audit.finding import Severity, at_least


class Span(int):
    """A length of time in microseconds; written 90s, 15m, 1h or 2d."""


class DayTime(int):
    """Minutes since midnight; written 19:00."""


class Zone(str):
    """A time zone of the IANA database; written Europe/Berlin."""

    __slots__ = ()


class Quiet(msgspec.Struct, frozen=True):
    """From `start` to `end` (over midnight where `end` is the earlier) alerts below a severity wait."""

    start: DayTime = msgspec.field(name="from")
    end: DayTime = msgspec.field(name="to")
    below: Severity
    timezone: Zone = Zone("")


def quiet_until(quiet: Quiet, severity: Severity, now: int) -> int:
    """When the quiet hours that hold an alert back at `now` end (microseconds since the epoch); 0 where none do."""
    if at_least(severity, quiet.below):
        return 0
    zone = ZoneInfo(quiet.timezone or "UTC")
    local = _at(now, zone)
    minute = local.hour * 60 + local.minute
    after, before = minute >= quiet.start, minute < quiet.end
    if not (after and before if quiet.start <= quiet.end else after or before):
        return 0
    return min(end for end in _ends(quiet.end, local, zone) if end > now)


def _ends(minutes: int, local: datetime, zone: ZoneInfo) -> list[int]:
    """When the clocks of these days show the time; both times where they show it twice."""
    wall = time(minutes // 60, minutes % 60)
    days = (local.date() + timedelta(days=ahead) for ahead in (0, 1, 2))
    shown = (datetime.combine(day, wall, zone).replace(fold=fold) for day in days for fold in (0, 1))
    return [round(one.timestamp()) * MICROSECONDS for one in shown]


def day_of(now: int, zone: str) -> str:
    """The day a time (microseconds since the epoch) falls on, as 2026-01-31."""
    return _at(now, ZoneInfo(zone or "UTC")).date().isoformat()


def shown(span: int) -> str:
    """A span as people write it: 15m, 1h."""
    seconds = span // MICROSECONDS
    unit = next(unit for unit in "dhms" if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def decode(kind: type, value: Any) -> Any:
    """A Span, DayTime, Zone or End of the text in a file (msgspec's dec_hook).

    Raises:
        ValueError: when it is none; the message says how to write one.
    """
    text = str(value)
    if kind is Span:
        return _span(text)
    if kind is DayTime:
        found = _CLOCK.fullmatch(text)
        if not found:
            raise ValueError(f"'{text[:40]}' is no time of the day: write \"19:00\"")
        return DayTime(int(found[1]) * 60 + int(found[2]))
    return _zone(text) if kind is Zone else decode_moment(kind, value)


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError(f"'{text[:40]}' is no length of time: write 90s, 15m, 1h or 2d")
    return Span(int(found[1]) * _SECONDS[found[2]] * MICROSECONDS)


def _zone(text: str) -> Zone:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # not found, or no name at all
        raise ValueError(f"'{text[:40]}' is no time zone: write one such as Europe/Berlin") from None
    return Zone(text)


def _at(now: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(now // MICROSECONDS, UTC).astimezone(zone)


_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
