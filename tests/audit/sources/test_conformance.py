"""Real records of the four sources against what other products make of them (elastic, Sekoia, OCSF, Panther).

Every difference left is listed here and explained in docs/normalisation.md.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from audit.context import EMPTY
from audit.event import MICROSECONDS, AuditEvent, from_line, parse_rfc3339, to_line
from audit.sources.reader import Reject, read
from streams.files import records

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
ARRIVAL = parse_rfc3339("2027-01-01T00:00:00Z")
SOURCES = ("cloudtrail", "github", "kubernetes", "okta")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the checkout")

REJECTS = {
    "cloudtrail/mordor_honeybucket.raw": 301,  # a CSV reduction with keys of its own
    "cloudtrail/panther_parser.expected": 1,  # a digest file
    "cloudtrail/panther_rules.cases": 11,  # Panther's own lower-case keys, empty tests, a time of "..."
    "cloudtrail/streamalert_rules.cases": 9,  # times of "..."
    "github/streamalert_rules.cases": 10,  # syslog lines of GitHub Enterprise inside Logstash's envelope
    "kubernetes/panther_rules.cases": 2,  # tests of other products
    "kubernetes/sekoia_google_kubernetes_engine.expected": 4,  # node logs and cluster Events, no audit records
    "okta/panther_rules.cases": 18,  # Panther's own lower-case keys
}
DIFFERENCES = {
    ("sekoia/AWS/aws-cloudtrail/tests/event_cluster_name.json", "actor"),
    ("ocsf/mappings/markdown/AWS/v1.1.0/EKS Audit Logs/samples/eks.raw", "source_ip"),
    ("ocsf/mappings/markdown/Okta/v1.3.0/System Logs/Account Change/samples/account_change.raw", "time"),
}


def files(kind: str) -> list[Path]:
    return [path for source in SOURCES for path in sorted((DATA / source).glob(f"*.{kind}.jsonl.gz"))]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.jsonl.gz')}"


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        yield from map(orjson.loads, file)


def entries(path: Path) -> list[list[AuditEvent] | Reject]:
    payloads = [orjson.dumps(line["raw"]) for line in lines(path)]
    return [entry for payload in payloads for entry in read(path.parent.name, payload, ARRIVAL, EMPTY)]


@pytest.mark.parametrize("path", [*files("raw"), *files("expected"), *files("cases")], ids=named)
def test_every_file_goes_through(path: Path) -> None:
    rejects = 0
    for entry in entries(path):
        if isinstance(entry, Reject):
            rejects += 1
            continue
        for event in entry:
            assert from_line(to_line(event)) == event
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AuditEvent) == event
    assert rejects == REJECTS.get(named(path), 0)


def pairs() -> Iterator[tuple[str, str, AuditEvent, dict[str, Any]]]:
    """(product, id, event, expectation) of every pair our normalisers take."""
    for path in files("expected"):
        for line in lines(path):
            first = read(path.parent.name, orjson.dumps(line["raw"]), ARRIVAL, EMPTY)[0]
            if isinstance(first, list):
                yield path.name.partition("_")[0].partition(".")[0], line["id"], first[0], line["expected"]


def claimed_time(expected: dict[str, Any]) -> int | None:
    claim = expected.get("timestamp", expected.get("p_event_time"))
    if isinstance(claim, str):
        return parse_rfc3339(claim)
    if claim is None:
        return None
    return int(claim) * (1000 if claim > 10**11 else MICROSECONDS)


def same_time(event: AuditEvent, expected: dict[str, Any]) -> bool | None:
    claim = claimed_time(expected)
    unit = MICROSECONDS if isinstance(expected.get("timestamp"), int) else 1000
    return None if claim is None else claim // unit == event.time // unit


def same_action(event: AuditEvent, expected: dict[str, Any]) -> bool | None:
    """OCSF's own activity names (Logon, Add User) claim nothing about the vendor's."""
    claim = expected.get("action")
    return None if claim is None or claim == expected.get("activity") else bool(claim == event.action)


def same_actor(event: AuditEvent, expected: dict[str, Any]) -> bool | None:
    """Names, or the vendor's key behind our `SYSTEM:` prefix, or the local part of an e-mail address.

    Sekoia calls the AWS account of the caller the acting user: that is a claim about the account.
    """
    if not expected.get("actor"):
        return None
    if expected["actor"] == expected.get("account"):
        return bool(event.account == expected["account"])
    users = [expected.get("source_user"), expected.get("actor_user")]
    users += [expected.get("user")] if "class_uid" not in expected else []  # OCSF: user is the target
    wanted = {claim.lower() for claim in (expected["actor"], *(name for user in users for name in strings(user)))}
    ours = {event.actor.id.lower(), event.actor.id.lower().partition(":")[2], event.actor.name.lower()}
    return bool(wanted & (ours | {name.partition("@")[0] for name in ours if "@" in name}))


def strings(value: Any) -> list[str]:
    return [text for text in value.values() if isinstance(text, str)] if isinstance(value, dict) else []


def same_address(event: AuditEvent, expected: dict[str, Any]) -> bool | None:
    if "p_any_ip_addresses" in expected:
        return event.source_ip in expected["p_any_ip_addresses"]
    if "p_event_time" in expected:
        return None
    return bool(event.source_ip == expected.get("source_ip"))


def same_outcome(event: AuditEvent, expected: dict[str, Any]) -> bool | None:
    claim = expected.get("outcome")
    if claim is None:
        return None
    good = claim.lower() in ("success", "allow")
    return event.outcome == "success" if good else event.outcome in ("failure", "denied")


CHECKS = {
    "time": same_time,
    "action": same_action,
    "actor": same_actor,
    "source_ip": same_address,
    "outcome": same_outcome,
}


@cache
def verdicts() -> dict[tuple[str, str, str], bool]:
    """(product, id, field) -> whether we agree, for each claim made."""
    found = {}
    for product, identifier, event, expected in pairs():
        for field, same in CHECKS.items():
            answer = same(event, expected)
            if answer is not None:
                found[product, identifier, field] = answer
    return found


def test_the_differences_left_are_the_explained_ones() -> None:
    assert {(identifier, field) for (_, identifier, field), same in verdicts().items() if not same} == DIFFERENCES


def test_figures() -> None:
    """Claims and agreements by field: at least 98 % each, and no time or action of ours is wrong."""
    claims, agreed = Counter[str](), Counter[str]()
    for (_, _, field), same in verdicts().items():
        claims[field] += 1
        agreed[field] += same
    assert claims == {"time": 186, "action": 178, "actor": 180, "source_ip": 185, "outcome": 66}
    assert claims - agreed == {"time": 1, "actor": 1, "source_ip": 1}
    assert all(agreed[field] >= 0.98 * claims[field] for field in claims)


def test_replay_reads_the_same_records() -> None:
    """The raw files through streams.files, as `normalise` and `replay` read them."""
    for path in files("raw"):
        through = [
            entry for _, payload in records(str(path)) for entry in read(path.parent.name, payload, ARRIVAL, EMPTY)
        ]
        assert [events_of(entry) for entry in through] == [events_of(entry) for entry in entries(path)]


def events_of(entry: list[AuditEvent] | Reject) -> list[tuple[str, int, str, str]] | str:
    if isinstance(entry, Reject):
        return entry.error
    return [(event.id, event.time, event.action, event.actor.id) for event in entry]
