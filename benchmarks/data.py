"""Records for the benchmarks: real CloudTrail where ../shared/data lies beside the checkout, else the simulator's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import orjson

from audit.event import parse_rfc3339, rfc3339
from streams.files import records
from streams.simulate.organisation import simulate

REAL = Path(__file__).resolve().parents[1].parent / "shared/data/cloudtrail/invictus.raw.jsonl.gz"


@cache
def cloudtrail() -> tuple[str, tuple[bytes, ...]]:
    """What the records are, and the records as JSON bytes."""
    if REAL.exists():
        return "real CloudTrail (invictus)", tuple(payload for _, payload in records(str(REAL)))
    organisation = simulate(users=40, days=5, seed=7)
    simulated = tuple(orjson.dumps(each.record) for each in organisation.events() if each.source == "cloudtrail")
    return "simulated CloudTrail", simulated


def distinct(count: int, users: int = 60) -> list[bytes]:
    """`count` records, each with an event id of its own, repeats two hours apart and spread over more users.

    An event delivered twice counts once, so a benchmark must not send the same ones again.
    """
    _, base = cloudtrail()
    found = []
    for number in range(count):
        record = orjson.loads(base[number % len(base)])
        turn = number // len(base)
        record["eventID"] = f"bench-{number}"
        identity = record.get("userIdentity") or {}
        if turn and isinstance(identity.get("arn"), str):
            identity["arn"] = f"{identity['arn']}-{turn % users}"
        record["eventTime"] = _later(record["eventTime"], turn * 2)
        found.append(orjson.dumps(record))
    return found


def _later(time: str, hours: int) -> str:
    return rfc3339(parse_rfc3339(time) + hours * 3_600_000_000)
