"""Names of the usual: the most used, bounded, printable whatever is logged, and none for what is not usual."""

from __future__ import annotations

import msgspec
import pytest

from audit.context import EMPTY, Context
from audit.context_schema import Declared, IpRange
from detectors.baseline import AGENT, ASN, COUNTRY, NETWORK, Baseline
from detectors.features import learn, observe
from detectors.names import CHARS, MOST, Names, usual, with_names
from tests.detectors.company import AGENTS, event


class Somebody:
    def __init__(self) -> None:
        self.baseline, self.names = Baseline(), Names()

    def does(self, times: int = 1, **changed: object) -> None:
        for _ in range(times):
            made = event(**changed)  # type: ignore[arg-type]
            learn(self.baseline, observe(made))
            self.names = with_names(self.names, self.baseline, observe(made), made)

    def usual(self, kind: int, context: Context = EMPTY) -> list[str]:
        return usual(self.baseline, self.names, kind, context)


def test_what_is_usual_is_called_by_its_name() -> None:
    somebody = Somebody()
    somebody.does(5)
    somebody.does(2, user_agent=AGENTS[2], country="NL")
    assert somebody.usual(ASN) == ["AS64496"]
    assert somebody.usual(AGENT) == ["chrome mac", "aws-cli linux"]
    assert somebody.usual(COUNTRY) == ["DE", "NL"]
    assert somebody.usual(NETWORK) == []


def test_what_is_rare_is_not_usual() -> None:
    somebody = Somebody()
    somebody.does(30)
    somebody.does(1, asn=64511, country="KP")
    assert (somebody.usual(ASN), somebody.usual(COUNTRY)) == (["AS64496"], ["DE"])


def test_the_companys_own_networks_are_called_by_their_site() -> None:
    ranges = (
        IpRange(cidr="192.0.2.0/24", kind="vpn", site="EU"),
        IpRange(cidr="2001:db8::/32", kind="office", site="London"),
        IpRange(cidr="198.51.100.0/28", kind="office", site="Berlin"),
        IpRange(cidr="198.51.100.16/28", kind="office", site="Madrid"),
        IpRange(cidr="203.0.113.0/28", kind="office", site="Berlin"),
        IpRange(cidr="203.0.113.16/28", kind="vpn", site="Berlin"),
    )
    somebody = Somebody()
    for times, address in enumerate(["192.0.2.20", "2001:db8::9", "198.51.100.20"], start=2):
        somebody.does(times, source_ip=address)
    company = Context(Declared(ip_ranges=ranges))
    assert somebody.usual(NETWORK, company) == ["office", "office London", "vpn EU"]
    somebody.does(40, source_ip="203.0.113.5")
    assert somebody.usual(NETWORK, company) == ["own network"]


def test_a_name_stays_with_the_most_used() -> None:
    somebody = Somebody()
    for number in range(MOST + 2):
        somebody.does(1 + number, asn=number)
    assert sorted(somebody.names.values()) == ["AS2", "AS3", "AS4", "chrome mac"]
    somebody.does(1, asn=9)
    assert "AS9" not in somebody.names.values()


def test_names_go_with_what_the_baseline_forgets() -> None:
    somebody = Somebody()
    somebody.does(1, asn=1)
    for number in range(100, 120):
        somebody.does(2, asn=number)
    assert "AS1" not in somebody.names.values()
    assert len(somebody.names) <= 2 * MOST


def test_they_are_never_changed_in_place() -> None:
    somebody = Somebody()
    somebody.does()
    before, copy = somebody.names, dict(somebody.names)
    somebody.does(3, asn=7)
    assert before == copy != somebody.names


@pytest.mark.parametrize("agent", ["\x1b[31mred/1", "\u202eevil/1", "x" * 5000, "é" * 300, "\ud800/1"])
def test_hostile_names_are_short_and_printable(agent: str) -> None:
    somebody = Somebody()
    for number in range(10):
        somebody.does(1, user_agent=f"{number}{agent}", asn=2**32 - 1 - number)
    assert all(name.isprintable() and name.isascii() and len(name) <= CHARS for name in somebody.names.values())
    assert len(msgspec.msgpack.encode(somebody.names)) <= 250
