"""Reading one field of a record nobody vouches for: the right type comes out, or nothing, or Unreadable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Any

from audit.event import MICROSECONDS, Principal, parse_rfc3339

LONGEST_TEXT = 2048
"""Characters kept of a field: the longest ARN; the whole text stays in `raw`."""
LONGEST_ADDRESS = 45
LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z: later times have no RFC 3339 form."""

UNTIMED = -1
"""The time of a record that names none; the reader puts the arrival in its place and marks the event."""

_NOTHING: Mapping[str, Any] = {}


class Unreadable(Exception):
    """A record or payload that cannot become events; `reason` says why, for the dead letters."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def text(value: object) -> str | None:
    """A non-empty string (an integer is written out), cut at LONGEST_TEXT characters; None for anything else."""
    if type(value) is str:
        return value[:LONGEST_TEXT] or None
    return str(value) if type(value) is int else None


def mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one for anything else."""
    return value if type(value) is dict else _NOTHING


def sequence(value: object) -> list[Any]:
    """The JSON list, or an empty one for anything else."""
    return value if type(value) is list else []


def first(value: object) -> object:
    """The first element of a list, the value itself where it is none, None for an empty list."""
    if type(value) is list:
        return value[0] if value else None
    return value


def address(value: object) -> str | None:
    """A valid IP address in its shortest spelling; None for a service name, a host or rubbish."""
    return _address(value) if type(value) is str and len(value) <= LONGEST_ADDRESS else None


def endpoint(value: object) -> str | None:
    """The address of an endpoint as `address` gives it: 192.0.2.1:443, [2001:db8::1]:443, or without a port."""
    if type(value) is not str or len(value) > LONGEST_ADDRESS + len("[]:65535"):
        return None
    if value.startswith("["):
        return address(value[1:].partition("]")[0])
    return address(value.partition(":")[0] if value.count(":") == 1 else value)


@lru_cache(maxsize=16_384)
def _address(value: str) -> str | None:
    try:
        parsed = ip_address(value)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:  # the scope is free text
            return None
        return str(parsed.ipv4_mapped or parsed)
    return str(parsed)


def country_code(value: object) -> str | None:
    """Two ASCII letters as ISO 3166-1 alpha-2, upper case."""
    if type(value) is str and len(value) == 2 and value.isascii() and value.isalpha():
        return value.upper()
    return None


def instant(value: object) -> int:
    """Microseconds since the epoch of an RFC 3339 time; UNTIMED for None.

    Raises:
        Unreadable: when it is none, or outside the years 1970 to 9999.
    """
    if value is None:
        return UNTIMED
    if type(value) is not str:
        raise Unreadable(f"its time is no text: {value!r:.60}")
    try:
        time = parse_rfc3339(value)
    except (ValueError, OverflowError):
        raise Unreadable(f"its time cannot be read: {value!r:.60}") from None
    if 0 <= time < LAST_SECOND * MICROSECONDS:
        return time
    raise Unreadable(f"its time is outside the years 1970 to 9999: {value!r:.60}")


def milliseconds(value: object) -> int:
    """Microseconds since the epoch of a count of milliseconds; UNTIMED for None.

    Raises:
        Unreadable: when it is no number, or outside the years 1970 to 9999.
    """
    if value is None:
        return UNTIMED
    if (type(value) is int or type(value) is float) and 0 <= value < LAST_SECOND * 1000:
        return int(value * 1000)
    raise Unreadable(f"its time is no count of milliseconds: {value!r:.60}")


def record_id(vendor: object, raw: bytes) -> str:
    """The vendor's own id, or a hash of the record where it has none (or one too long to be an id)."""
    if type(vendor) is str and 0 < len(vendor) <= 256:
        return vendor
    return "sha256:" + sha256(raw).hexdigest()[:32]


NOBODY = Principal(id="unknown", name="unknown", kind="unknown", identity="anonymous")
"""The actor of a record that names none."""
