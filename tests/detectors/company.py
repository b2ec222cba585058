"""A small synthetic company for the detectors' tests: people with habits, a little noise, nobody malicious."""

from __future__ import annotations

import random
from collections.abc import Iterator

from audit.event import MICROSECONDS, AuditEvent, Principal, Resource

MONDAY = 1_717_977_600  # 2024-06-10T00:00:00Z
ACTIONS = [
    f"{verb}{noun}" for noun in ("Object", "Instance", "Queue", "Table") for verb in ("Get", "List", "Put", "Delete")
]
ADMIN = ["AttachRolePolicy", "CreateAccessKey", "DeactivateMFADevice", "StopLogging", "PutBucketPolicy", "CreateUser"]
AGENTS = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "aws-cli/2.15.30 Python/3.11.8 Linux/6.1 exe/x86_64",
    "Boto3/1.34.0 md/Botocore#1.34.0 ua/2.0 os/windows#10",
]


def event(time: int = MONDAY, action: str = "GetObject", **changed: object) -> AuditEvent:
    """One event of Alice's at `time` (seconds), with whatever the test changes."""
    fields: dict[str, object] = {
        "id": f"{time}-{action}",
        "time": time * MICROSECONDS,
        "source": "cloudtrail",
        "action": action,
        "outcome": "success",
        "actor": Principal("alice", "alice@example.com", "human", "verified"),
        "resource": Resource("bucket", "reports"),
        "source_ip": "192.0.2.7",
        "country": "DE",
        "asn": 64496,
        "user_agent": AGENTS[0],
    }
    return AuditEvent(**(fields | changed))  # type: ignore[arg-type]


def usual(days: int = 30, start: int = MONDAY) -> Iterator[AuditEvent]:
    """Alice's working days: 8 to 16 h, three actions on four resources, from one place."""
    for day in range(days):
        if day % 7 >= 5:
            continue
        for step in range(48):
            time = start + day * 86_400 + 8 * 3600 + step * 600
            yield event(time, ACTIONS[step % 3], resource=Resource("bucket", f"reports-{step % 4}"))


def company(users: int, days: int, seed: int) -> list[AuditEvent]:
    """Events of `users` people over `days` days in order of time."""
    rng = random.Random(seed)
    events: list[AuditEvent] = []
    for number in range(users):
        events.extend(_person(rng, number, days))
    return sorted(events, key=lambda made: made.time)


def _person(rng: random.Random, number: int, days: int) -> Iterator[AuditEvent]:
    actor = Principal(f"user{number}", f"user{number}@example.com", "human", "verified")
    actions = rng.sample(ACTIONS, 8) + (rng.sample(ADMIN, 3) if number % 6 == 0 else [])
    shift, busy, folder = rng.randint(6, 14), rng.randint(4, 30), f"team-{number % 5}"
    agents, home = rng.sample(AGENTS, 2), 64496 + number % 3
    for day in range(days):
        weekend = day % 7 >= 5
        if weekend and rng.random() < 0.9:
            continue
        away = rng.random() < 0.02
        for place in range(rng.randint(1, busy * 2)):
            time = MONDAY + day * 86_400 + shift * 3600 + int(rng.triangular(0, 9 * 3600, 3 * 3600))
            new = rng.random() < 0.02
            yield event(
                time,
                rng.choice(ACTIONS + ADMIN[:2]) if new else actions[min(int(rng.expovariate(0.5)), len(actions) - 1)],
                id=f"{number}-{day}-{place}",
                outcome=rng.choices(["success", "failure", "denied"], [0.97, 0.015, 0.015])[0],
                actor=actor,
                resource=Resource("bucket", f"{folder}/{int(rng.expovariate(0.25))}"),
                source_ip=f"198.51.{number % 7}.{rng.randint(1, 200)}"
                if not away
                else f"203.0.113.{rng.randint(1, 99)}",
                country="FR" if away else "DE",
                asn=64511 if away else home,
                user_agent=agents[rng.random() < 0.2],
            )
