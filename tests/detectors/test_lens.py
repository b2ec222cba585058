"""What the declared company adds to an event: local time, the place of an address, what is sensitive."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from audit.context import EMPTY, Context
from audit.context_schema import Company, Declared, IpGeo, IpRange, Person, Sensitive
from audit.event import Resource
from detectors.baseline import ASN
from detectors.lens import Lens, lens_of, zone_offset
from detectors.observation import observe
from tests.detectors.company import MONDAY, event

BERLIN = {"country": "DE", "lat": 52.52, "lon": 13.4}
COMPANY = Context(
    Declared(
        company=Company(
            sensitive=Sensitive(buckets=("acme-finance-*",), repos=("acme/payments-*",), namespaces=("kube-system",))
        ),
        users=(
            Person(id="alice", timezone="Europe/Berlin"),
            Person(id="bob", timezone="No/Where"),
            Person(id="eve", timezone="../etc/passwd"),
        ),
        ip_ranges=(
            IpRange(cidr="198.51.100.0/28", kind="office", site="Berlin"),
            IpRange(cidr="203.0.113.0/27", kind="vpn", site="Berlin"),
            IpRange(cidr="10.0.0.0/8", kind="internal"),
        ),
        ip_geo=(
            IpGeo(prefix="198.51.100.0/24", **BERLIN),
            IpGeo(prefix="203.0.113.0/24", **BERLIN),
            IpGeo(prefix="10.0.0.0/8", **BERLIN),
            IpGeo(prefix="192.0.2.0/24", country="NL"),
            IpGeo(prefix="192.0.3.0/24", lat=float("nan"), lon=0.0),
        ),
    )
)


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class TestClock:
    @pytest.mark.parametrize(
        ("moment", "hours"),
        [
            ("2026-01-15T12:00:00", 1),
            ("2026-07-15T12:00:00", 2),
            ("2026-03-29T00:59:59", 1),
            ("2026-03-29T01:00:00", 2),
            ("2026-10-25T00:59:59", 2),
            ("2026-10-25T01:00:00", 1),
        ],
    )
    def test_summer_time_begins_and_ends_on_the_hour(self, moment: str, hours: int) -> None:
        assert Lens(COMPANY).offset("alice", seconds(moment)) == hours * 3600

    def test_half_hours_and_the_west(self) -> None:
        hour = seconds("2026-01-15T12:00:00") // 3600
        assert zone_offset("Asia/Kolkata", hour) == 19_800
        assert zone_offset("America/New_York", hour) == -18_000

    @pytest.mark.parametrize("who", ["nobody", "bob", "eve"])
    def test_who_has_no_time_zone_lives_in_utc(self, who: str) -> None:
        assert Lens(COMPANY).offset(who, MONDAY) == 0

    def test_the_end_of_time(self) -> None:
        assert Lens(COMPANY).offset("alice", 2**32 - 1) in (3600, 7200)


class TestPlace:
    @pytest.mark.parametrize(
        ("address", "place"),
        [
            ("198.51.100.5", (52.52, 13.4)),
            ("198.51.100.99", (52.52, 13.4)),
            ("203.0.113.5", None),
            ("10.1.2.3", None),
            ("192.0.2.7", None),
            ("192.0.3.7", None),
            ("8.8.8.8", None),
            ("no address", None),
        ],
    )
    def test_of_an_address(self, address: str, place: tuple[float, float] | None) -> None:
        assert Lens(COMPANY).place(address) == place

    @pytest.mark.parametrize(
        ("address", "tells"),
        [("198.51.100.5", True), ("192.0.2.7", True), ("8.8.8.8", True), ("203.0.113.5", False), ("10.1.2.3", False)],
    )
    def test_an_exit_s_country_is_nobody_s(self, address: str, tells: bool) -> None:
        """Of a declared VPN or private range the provider and the network count, and the country does not."""
        assert Lens(COMPANY).is_exit(address) != tells
        there, nowhere = (observe(event(source_ip=address, country=code), COMPANY).tokens for code in ("DE", None))
        assert (there != nowhere) == tells
        assert there[ASN] == nowhere[ASN] != 0


class TestSensitive:
    @pytest.mark.parametrize(
        ("source", "resource", "sensitive"),
        [
            ("cloudtrail", Resource("AWS::S3::Bucket", "acme-finance-eu"), True),
            ("cloudtrail", Resource("AWS::S3::Object", "arn:aws:s3:::acme-finance-eu/a/b.csv"), True),
            ("gcp", Resource("gcs_bucket", "ACME-Finance-eu"), True),
            ("cloudtrail", Resource("AWS::S3::Bucket", "acme-website"), False),
            ("cloudtrail", Resource("AWS::ECR::Repository", "acme/payments-api"), False),
            ("github", Resource("repository", "acme/payments-api"), True),
            ("github", Resource("repository", "acme/website"), False),
            ("kubernetes", Resource("secrets", "kube-system/token"), True),
            ("kubernetes", Resource("namespaces", "kube-system"), True),
            ("kubernetes", Resource("pods", "payments/kube-system"), False),
            ("okta", Resource("AppInstance", "kube-system"), False),
            ("github", Resource("repository", "acme/payments-" + "x" * 10_000), False),
        ],
    )
    def test_by_what_it_is(self, source: str, resource: Resource, sensitive: bool) -> None:
        assert Lens(COMPANY).is_sensitive(source, resource) is sensitive

    def test_nothing_declared(self) -> None:
        assert not Lens(EMPTY).is_sensitive("github", Resource("repository", "acme/payments-api"))


def test_an_observation_holds_all_of_it() -> None:
    made = event(
        seconds("2026-07-15T12:00:00"), source_ip="198.51.100.5", session_id="s1",
        resource=Resource("AWS::S3::Bucket", "acme-finance-eu"),
    )  # fmt: skip
    obs = observe(made, COMPANY)
    assert (obs.offset, obs.place, obs.sensitive) == (7200, (52.52, 13.4), True)
    assert 0 < obs.session < 2**32
    bare = observe(made)
    assert (bare.offset, bare.place, bare.sensitive) == (0, None, False)
    assert bare.tokens == obs.tokens
    packed = msgspec.msgpack.encode(obs)
    assert len(packed) < 200
    assert msgspec.msgpack.decode(packed, type=type(obs)) == obs


def test_one_lens_a_context() -> None:
    assert lens_of(COMPANY) is lens_of(COMPANY) is not lens_of(EMPTY)
