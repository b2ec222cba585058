"""Cities and networks. Every address is of a documentation or private range, every AS number of a reserved one."""

from __future__ import annotations

import ipaddress
from functools import cache

from streams.simulate.model import City, Network

HOMES = (
    City("Berlin", "DE", "Germany", "Europe/Berlin", 52.52, 13.40),
    City("London", "GB", "United Kingdom", "Europe/London", 51.51, -0.13),
    City("New York", "US", "United States", "America/New_York", 40.71, -74.01),
    City("Singapore", "SG", "Singapore", "Asia/Singapore", 1.35, 103.82),
    City("Madrid", "ES", "Spain", "Europe/Madrid", 40.42, -3.70),
    City("Toronto", "CA", "Canada", "America/Toronto", 43.65, -79.38),
    City("San Francisco", "US", "United States", "America/Los_Angeles", 37.77, -122.42),
    City("Bengaluru", "IN", "India", "Asia/Kolkata", 12.97, 77.59),
)
HOME_SHARES = (30, 18, 16, 6, 9, 8, 8, 5)
TRAVEL = (
    City("Lisbon", "PT", "Portugal", "Europe/Lisbon", 38.72, -9.14),
    City("Paris", "FR", "France", "Europe/Paris", 48.86, 2.35),
    City("Tokyo", "JP", "Japan", "Asia/Tokyo", 35.68, 139.69),
    City("Sydney", "AU", "Australia", "Australia/Sydney", -33.87, 151.21),
    City("Cape Town", "ZA", "South Africa", "Africa/Johannesburg", -33.92, 18.42),
    City("Mexico City", "MX", "Mexico", "America/Mexico_City", 19.43, -99.13),
    City("Copenhagen", "DK", "Denmark", "Europe/Copenhagen", 55.68, 12.57),
    City("Dubai", "AE", "United Arab Emirates", "Asia/Dubai", 25.20, 55.27),
)
_FAR = (
    City("Amsterdam", "NL", "Netherlands", "Europe/Amsterdam", 52.37, 4.90),
    City("Bucharest", "RO", "Romania", "Europe/Bucharest", 44.43, 26.10),
    City("Hong Kong", "HK", "Hong Kong", "Asia/Hong_Kong", 22.32, 114.17),
    City("Sao Paulo", "BR", "Brazil", "America/Sao_Paulo", -23.55, -46.63),
    City("Lagos", "NG", "Nigeria", "Africa/Lagos", 6.52, 3.38),
    City("Moscow", "RU", "Russia", "Europe/Moscow", 55.76, 37.62),
    City("Ashburn", "US", "United States", "America/New_York", 39.04, -77.49),
)
_BERLIN, _LONDON, _NEW_YORK, _SINGAPORE = HOMES[:4]

OFFICES = {
    city.name: Network(f"198.51.100.{16 * i}/28", "office", city, 64496, "Acorn Labs")
    for i, city in enumerate(HOMES[:4])
}
VPNS = {
    region: Network(f"203.0.113.{32 * i}/27", "vpn", city, 64497, "Acorn Labs VPN")
    for i, (region, city) in enumerate((("EU", _BERLIN), ("US", _NEW_YORK), ("ASIA", _SINGAPORE)))
}
ISPS = {
    city.name: Network(f"100.{64 + i}.0.0/16", "home", city, 65536 + i, f"{city.name} Broadband")
    for i, city in enumerate(HOMES)
}
HOTELS = tuple(
    Network(f"100.{96 + i}.0.0/16", "hotel", city, 65544 + i, f"{city.name} Telecom") for i, city in enumerate(TRAVEL)
)
HOSTING = tuple(
    Network(f"192.0.2.{32 * i}/27", "hosting", city, 64500 + i, f"{city.name} Cloud Hosting")
    for i, city in enumerate(_FAR)
)
PENTEST = Network("192.0.2.224/27", "hosting", _LONDON, 64508, "Redwood Testing Ltd")
MONITORING = Network("203.0.113.192/27", "service", _NEW_YORK, 64509, "Watchtower Monitoring Inc")
RUNNERS = Network("203.0.113.224/27", "service", _FAR[6], 64510, "Hosted Runners Inc")
CLUSTER = Network("10.20.0.0/16", "internal", _BERLIN, 64496, "Acorn Labs")
BUILD = Network("10.30.0.0/16", "internal", _BERLIN, 64496, "Acorn Labs")

NETWORKS = (
    *OFFICES.values(), *VPNS.values(), *ISPS.values(), *HOTELS, *HOSTING, PENTEST, MONITORING, RUNNERS, CLUSTER, BUILD,
)  # fmt: skip
_REGIONS = {"US": "US", "CA": "US", "MX": "US", "BR": "US", "SG": "ASIA", "IN": "ASIA", "JP": "ASIA", "AU": "ASIA"}


def vpn_near(city: City) -> Network:
    """The company's VPN exit that somebody in this city is given."""
    return VPNS[_REGIONS.get(city.country, "EU")]


@cache
def address(network: Network, number: int) -> str:
    """The number-th usable address of a network, beginning anew when there are no more."""
    block = ipaddress.ip_network(network.cidr)
    return str(block[1 + number % (block.num_addresses - 2)])
