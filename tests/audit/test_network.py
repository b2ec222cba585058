import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.context_schema import IpGeo, IpRange
from audit.network import Location, Networks, Prefixes, database_fault


def mmdb(network: str, record: dict, build: int = 1) -> bytes:
    """A MaxMind database (24-bit records, IPv4) that knows one network: the format's smallest whole file."""

    def encode(value) -> bytes:
        if isinstance(value, dict):
            return bytes([7 << 5 | len(value)]) + b"".join(encode(key) + encode(value[key]) for key in value)
        if isinstance(value, float):
            return bytes([3 << 5 | 8]) + struct.pack(">d", value)
        if isinstance(value, int):
            return bytes([6 << 5 | 4]) + struct.pack(">I", value)
        text = value.encode()
        return (bytes([2 << 5 | len(text)]) if len(text) < 29 else bytes([2 << 5 | 29, len(text) - 29])) + text

    net = ipaddress.ip_network(network)
    count = net.prefixlen
    tree = b""
    for depth in range(count):
        bit = int(net.network_address) >> (31 - depth) & 1
        inside = depth + 1 if depth + 1 < count else count + 16
        tree += b"".join((inside if side == bit else count).to_bytes(3, "big") for side in (0, 1))
    short, long = (
        (lambda number: bytes([5 << 5 | 2]) + struct.pack(">H", number)),
        bytes([8, 2]) + struct.pack(">Q", build),
    )
    meta = {
        "node_count": encode(count), "record_size": short(24), "ip_version": short(4), "database_type": encode("Test"),
        "build_epoch": long, "binary_format_major_version": short(2), "binary_format_minor_version": short(0),
        "languages": bytes([0, 4]), "description": encode({}),
    }  # fmt: skip
    written = bytes([7 << 5 | len(meta)]) + b"".join(encode(key) + value for key, value in meta.items())
    return tree + b"\0" * 16 + encode(record) + b"\xab\xcd\xefMaxMind.com" + written


CITY = {
    "country": {"iso_code": "FR"},
    "city": {"names": {"en": "Paris"}},
    "location": {"latitude": 48.85, "longitude": 2.35},
}


def test_the_longest_prefix_wins_among_ranges_and_among_places():
    networks = Networks(
        [IpRange(cidr="10.0.0.0/8", kind="internal"), IpRange(cidr="10.8.0.0/16", kind="vpn", site="Oslo")],
        [
            IpGeo(prefix="10.0.0.0/8", country="de", asn=1),
            IpGeo(prefix="10.8.8.0/24", country="NO", city="Oslo", lat=59.9),
        ],
    )
    assert networks.location("10.1.1.1") == Location(country="DE", asn=1, kind="internal")
    assert networks.location("10.8.1.1") == Location(country="DE", asn=1, kind="vpn", site="Oslo")
    assert networks.location("10.8.8.1") == Location(country="NO", city="Oslo", lat=59.9, kind="vpn", site="Oslo")
    assert networks.location("11.0.0.0") is None
    assert networks.location("9.255.255.255") is None


def test_both_address_families_and_one_written_as_the_other():
    networks = Networks([], [IpGeo(prefix="2001:db8::/32", country="US"), IpGeo(prefix="192.0.2.0/24", country="DE")])
    assert networks.location("2001:db8::1") == Location(country="US")
    assert networks.location("::ffff:192.0.2.9") == Location(country="DE")
    assert networks.location("2001:db9::") is None
    assert networks.location("0.0.0.1") is None


@pytest.mark.parametrize("text", ["", "ec2.amazonaws.com", "1.2.3", "1.2.3.4/5", "x" * 10_000, "1.2.3.4\x00"])
def test_what_is_no_address_is_nowhere(text):
    assert Networks([], [IpGeo(prefix="0.0.0.0/0", country="DE")]).location(text) is None


def test_edges_of_the_address_space():
    networks = Networks([], [IpGeo(prefix="0.0.0.0/0", country="AA"), IpGeo(prefix="255.255.255.255/32", country="BB")])
    assert networks.location("0.0.0.0").country == "AA"
    assert networks.location("255.255.255.254").country == "AA"
    assert networks.location("255.255.255.255").country == "BB"


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(20, 32)), max_size=12, unique=True),
    st.integers(0, 4095),
)
def test_the_flat_table_answers_as_a_search_of_all_prefixes_would(prefixes, address):
    networks = {ipaddress.ip_network((0x0A000000 | start << 4, length), strict=False) for start, length in prefixes}
    ip = ipaddress.ip_address(0x0A000000 | address)
    holding = [network for network in networks if ip in network]
    expected = str(max(holding, key=lambda network: network.prefixlen)) if holding else None
    assert Prefixes((str(network), str(network)) for network in networks).find(4, int(ip)) == expected


def test_databases_answer_where_nothing_is_declared(tmp_path):
    (tmp_path / "city.mmdb").write_bytes(mmdb("203.0.112.0/20", CITY))
    (tmp_path / "asn.mmdb").write_bytes(
        mmdb("203.0.112.0/20", {"autonomous_system_number": 64500, "autonomous_system_organization": "Fournisseur"})
    )
    paths = [str(tmp_path / name) for name in ("city.mmdb", "asn.mmdb")]
    networks = Networks(
        [IpRange(cidr="203.0.112.0/28", kind="office", site="Paris")],
        [IpGeo(prefix="203.0.113.9/32", country="DE")],
        paths,
    )
    found = Location(country="FR", city="Paris", lat=48.85, lon=2.35, asn=64500, as_org="Fournisseur")
    assert networks.location("203.0.120.1") == found
    assert networks.location("203.0.112.1").site == "Paris"
    assert networks.location("203.0.112.1").country == "FR"
    assert networks.location("203.0.113.9") == Location(country="DE")
    assert networks.location("198.51.100.1") is None
    assert networks.location("2001:db8::1") is None, "a database of IPv4 addresses knows no others"


def test_the_fingerprint_names_the_build_of_a_database_and_not_its_path(tmp_path):
    for name, build in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).write_bytes(mmdb("203.0.112.0/20", CITY, build))
    a, b, c = (Networks([], [], [str(tmp_path / name)]).fingerprint() for name in "abc")
    assert a == b != c


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "x.mmdb").write_bytes(b"no database")
    (tmp_path / "y.mmdb").write_bytes(mmdb("203.0.112.0/20", CITY))
    assert "x.mmdb" in database_fault(str(tmp_path / "x.mmdb"))
    assert "No such file" in database_fault(str(tmp_path / "gone.mmdb"))
    assert database_fault(str(tmp_path / "y.mmdb")) is None
