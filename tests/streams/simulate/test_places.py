from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import combinations
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from streams.simulate.places import HOME_SHARES, HOMES, HOSTING, ISPS, NETWORKS, OFFICES, address, vpn_near

DOCUMENTATION = [
    ip_network(cidr) for cidr in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.0.0.0/8", "100.64.0.0/10")
]


def test_no_network_is_anybodys() -> None:
    for network in NETWORKS:
        assert any(ip_network(network.cidr).subnet_of(reserved) for reserved in DOCUMENTATION), network
        assert 64496 <= network.asn <= 64511 or 65536 <= network.asn <= 65551, network


def test_networks_do_not_overlap() -> None:
    for one, other in combinations(NETWORKS, 2):
        assert not ip_network(one.cidr).overlaps(ip_network(other.cidr)), (one, other)


@given(st.sampled_from(NETWORKS), st.integers(0, 10**7))
def test_an_address_lies_within_its_network_and_is_usable(network, number) -> None:
    block, found = ip_network(network.cidr), ip_address(address(network, number))
    assert found in block
    assert found not in (block.network_address, block.broadcast_address)


def test_everybody_has_a_home_network_a_time_zone_and_a_vpn_nearby() -> None:
    assert len(HOME_SHARES) == len(HOMES)
    for city in HOMES:
        assert ISPS[city.name].city == city
        ZoneInfo(city.timezone)
    assert vpn_near(HOMES[3]).city.name == "Singapore"
    assert vpn_near(HOMES[2]).city.country == "US"
    assert vpn_near(HOMES[0]).city.country == "DE"


def test_attackers_may_come_from_a_country_where_nobody_lives() -> None:
    assert {n.city.country for n in HOSTING} - {city.country for city in HOMES}
    assert set(OFFICES) <= {city.name for city in HOMES}
