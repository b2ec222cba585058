"""Records for the benchmarks: a simulated organisation's ordinary life, and a real dump of an attack if at hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import orjson

from audit.event import MICROSECONDS, parse_rfc3339, rfc3339
from streams.files import records
from streams.simulate.organisation import simulate

REAL = Path(__file__).resolve().parents[1].parent / "shared/data/cloudtrail/invictus.raw.jsonl.gz"
DAYS = 14


@cache
def ordinary() -> tuple[bytes, ...]:
    """About 38,000 CloudTrail records of 150 people in two weeks, nobody attacked until the last day; 1.3 kB each."""
    organisation = simulate(users=150, days=DAYS, seed=7, attack_after=DAYS - 1)
    return tuple(orjson.dumps(each.record) for each in organisation.events() if each.source == "cloudtrail")


@cache
def attacked() -> tuple[bytes, ...]:
    """2,814 real CloudTrail records, mostly of an attack tool at work; none without ../shared/data."""
    return tuple(payload for _, payload in records(str(REAL))) if REAL.exists() else ()


def years(count: int, copies: int) -> Iterator[bytes]:
    """`count` records of ordinary life, one stretch of days after another, lived by `copies` people where one was."""
    base = ordinary()
    turns = -(-count // len(base))
    for number in range(count):
        turn, place = divmod(number, len(base))
        record = orjson.loads(base[place])
        record["eventID"] = f"soak-{number}"
        identity = record.get("userIdentity") or {}
        if isinstance(identity.get("arn"), str):
            identity["arn"] = f"{identity['arn']}-{number % copies}"
        record["eventTime"] = rfc3339(
            parse_rfc3339(record["eventTime"]) + (turn - turns) * DAYS * 86_400 * MICROSECONDS
        )
        yield orjson.dumps(record)


def distinct(base: tuple[bytes, ...], count: int) -> list[bytes]:
    """`count` records: the base over and over, each time with event ids, users and times of its own.

    An event delivered twice counts once, so a benchmark must not send the same ones again.
    """
    found = []
    for number in range(count):
        turn, place = divmod(number, len(base))
        record = orjson.loads(base[place])
        record["eventID"] = f"bench-{number}"
        identity = record.get("userIdentity") or {}
        if turn and isinstance(identity.get("arn"), str):
            identity["arn"] = f"{identity['arn']}-{turn % 60}"
        record["eventTime"] = rfc3339(parse_rfc3339(record["eventTime"]) + turn * 2 * 3_600_000_000)
        found.append(orjson.dumps(record))
    return found
