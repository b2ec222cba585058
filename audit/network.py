"""Where an address is: the company's own networks, declared places and MaxMind databases, by longest prefix."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Generic, TypeVar

import maxminddb
import msgspec

from audit.context_schema import IpGeo, IpRange, RangeKind

T = TypeVar("T")
CACHED_ADDRESSES = 65_536
LONGEST_ADDRESS = 45


class Location(msgspec.Struct, frozen=True, gc=False):
    """What is known of an address; `country` is ISO 3166-1 alpha-2, `kind` and `site` are the company's own words."""

    country: str | None = None
    city: str | None = None
    lat: float | None = None
    lon: float | None = None
    asn: int | None = None
    as_org: str | None = None
    kind: RangeKind | None = None
    site: str | None = None


class Prefixes(Generic[T]):
    """Longest-prefix look-up: prefixes are nested or apart, so they flatten to sorted intervals and a bisection."""

    def __init__(self, rows: Iterable[tuple[str, T]]) -> None:
        networks = [(ip_network(prefix, strict=False), value) for prefix, value in rows]
        self._tables = {version: _flatten([row for row in networks if row[0].version == version]) for version in (4, 6)}

    def find(self, version: int, address: int) -> T | None:
        """The value of the longest prefix an address (as an integer) falls in."""
        starts, values = self._tables[version]
        return values[bisect_right(starts, address) - 1]


def _flatten(networks: list[tuple[IPv4Network | IPv6Network, T]]) -> tuple[list[int], list[T | None]]:
    """Interval starts in order, and the innermost prefix's value from each start on (None: no prefix)."""
    starts: list[int] = [-1]
    values: list[T | None] = [None]
    around: list[tuple[int, T]] = []

    def leave_before(address: float) -> None:
        while around and around[-1][0] < address:
            end, _ = around.pop()
            starts.append(end + 1)
            values.append(around[-1][1] if around else None)

    for network, value in sorted(networks, key=lambda row: (int(row[0].network_address), row[0].prefixlen)):
        leave_before(int(network.network_address))
        starts.append(int(network.network_address))
        values.append(value)
        around.append((int(network.broadcast_address), value))
    leave_before(float("inf"))
    return starts, values


class Networks:
    """Answers where an address is; warm answers come from a bounded cache."""

    def __init__(self, ranges: Sequence[IpRange], places: Sequence[IpGeo], databases: Sequence[str] = ()) -> None:
        self._ranges = Prefixes((row.cidr, row) for row in ranges)
        self._places = Prefixes((row.prefix, row) for row in places)
        self._databases = [maxminddb.open_database(path) for path in databases]
        self._empty = not (ranges or places or databases)
        self._cached = lru_cache(CACHED_ADDRESSES)(self._location)

    def location(self, text: str) -> Location | None:
        """Where an address is; None when nothing is known of it or it is no address."""
        return None if self._empty or len(text) > LONGEST_ADDRESS else self._cached(text)

    def fingerprint(self) -> str:
        """What names the content of the databases, whichever path they lie at."""
        builds = [database.metadata() for database in self._databases]
        return ",".join(sorted(f"{build.database_type}/{build.build_epoch}/{build.node_count}" for build in builds))

    def _location(self, text: str) -> Location | None:
        try:
            address = ip_address(text)
        except ValueError:
            return None
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        own = self._ranges.find(address.version, int(address))
        place = self._places.find(address.version, int(address))
        found = _declared_place(place) if place else self._looked_up(address)
        if own is None:
            return found
        return msgspec.structs.replace(found or Location(), kind=own.kind, site=own.site or None)

    def _looked_up(self, address: Any) -> Location | None:
        """What the databases say together (one may know cities, another operators)."""
        record: dict[str, Any] = {}
        for database in self._databases:
            if address.version <= database.metadata().ip_version:
                found = database.get(address)
                record |= found if isinstance(found, dict) else {}
        return _database_place(record) if record else None


def database_fault(path: str) -> str | None:
    """Why a file is no MaxMind database, or None when it is one."""
    try:
        maxminddb.open_database(path).close()
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        return str(error)
    return None


def _declared_place(row: IpGeo) -> Location:
    return Location(
        country=row.country.upper() or None,
        city=row.city or None,
        lat=row.lat,
        lon=row.lon,
        asn=row.asn,
        as_org=row.as_org or None,
    )


def _database_place(record: dict[str, Any]) -> Location:
    """A Location from a GeoLite2/GeoIP2 record (City, Country and ASN layouts)."""
    point = record.get("location") or {}
    country = record.get("country") or record.get("registered_country") or {}
    return Location(
        country=country.get("iso_code"),
        city=((record.get("city") or {}).get("names") or {}).get("en"),
        lat=point.get("latitude"),
        lon=point.get("longitude"),
        asn=record.get("autonomous_system_number"),
        as_org=record.get("autonomous_system_organization"),
    )
