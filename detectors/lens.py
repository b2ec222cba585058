"""What the declared company adds to an event: the person's time of day, where the address is, what is sensitive."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from audit.context import Context
from audit.context_people import glob_matches
from audit.context_schema import Sensitive
from audit.event import Resource
from audit.network import Location

Place = tuple[float, float]
"""Degrees north and east."""

HOUR = 3_600
_CACHED_HOURS, _CACHED_NAMES, _LONGEST_NAME = 16_384, 8_192, 512
_NOWHERE = ("vpn", "internal")  # an exit or a private range says nothing of where somebody is


class Lens:
    """Answers for one context; what it has worked out it keeps, within bounds."""

    __slots__ = ("_context", "_sensitive", "is_exit", "place")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sensitive = lru_cache(_CACHED_NAMES)(Patterns(context.declared.company.sensitive).match)
        self.place = lru_cache(_CACHED_NAMES)(self._place)
        self.is_exit = lru_cache(_CACHED_NAMES)(self._is_exit)

    def offset(self, principal: str, time: int) -> int:
        """Seconds that a principal's clock is ahead of UTC at `time` (seconds); 0 where no time zone is declared."""
        person = self._context.person(principal)
        return zone_offset(person.timezone, time // HOUR) if person and person.timezone else 0

    def is_sensitive(self, source: str, resource: Resource) -> bool:
        """Whether the company declares what an event of a source touches as sensitive."""
        kind, name = resource.type, resource.name
        return len(kind) + len(name) <= _LONGEST_NAME and self._sensitive(source, kind, name)

    def _place(self, address: str) -> Place | None:
        """Where whoever uses an address is; None where that is unknown, or the address is a VPN's or a private one."""
        location = self._context.location(address)
        return place_of(location) if location else None

    def _is_exit(self, address: str) -> bool:
        """Whether an address is declared as a VPN's or a private one: its country is not that of whoever uses it."""
        location = self._context.location(address)
        return location is not None and location.kind in _NOWHERE


@lru_cache(maxsize=4)
def lens_of(context: Context) -> Lens:
    """The lens of a context."""
    return Lens(context)


def place_of(location: Location) -> Place | None:
    """Degrees north and east of where somebody at a location is."""
    lat, lon = location.lat, location.lon
    if lat is None or lon is None or location.kind in _NOWHERE:
        return None
    return (lat, lon) if -90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0 else None


@lru_cache(maxsize=_CACHED_HOURS)
def zone_offset(zone: str, hour: int) -> int:
    """Seconds ahead of UTC in a time zone, summer time and all, in an hour since the epoch; 0 where there is no such
    zone."""
    offset = datetime.fromtimestamp(hour * HOUR, _zone(zone)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


@lru_cache(maxsize=1_024)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
        return UTC


class Patterns:
    """The declared globs, cut at their stars, by what they are about."""

    __slots__ = ("_buckets", "_namespaces", "_repos")

    def __init__(self, declared: Sensitive) -> None:
        self._buckets = _cut(declared.buckets)
        self._repos = _cut(declared.repos)
        self._namespaces = _cut(declared.namespaces)

    def match(self, source: str, kind: str, name: str) -> bool:
        """Whether a resource of a type (in the source's word) is one of them, or lies within one."""
        kind, name = kind.lower(), name.lower()
        if source == "kubernetes":
            return _any(self._namespaces, name.partition("/")[0])
        if "repo" in kind and source != "cloudtrail":  # there, repositories are of container images
            return _any(self._repos, name)
        if "s3" in kind or "bucket" in kind:
            return _any(self._buckets, name.removeprefix("arn:aws:s3:::").partition("/")[0])
        return False


def _any(patterns: list[tuple[str, ...]], name: str) -> bool:
    return any(glob_matches(parts, name) for parts in patterns)


def _cut(patterns: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [tuple(pattern.lower().split("*")) for pattern in patterns]
