from __future__ import annotations

import json
from pathlib import Path

import pytest

RULE = """title: Somebody created a user
id: 11111111-1111-4111-8111-111111111111
status: test
description: A user was created.
level: high
tags: [attack.t1136]
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: CreateUser}
  condition: selection
falsepositives: [Onboarding]
auditwatch:
  runbook: [Ask who it was.]
  tests:
    - {name: one is created, match: true, source: cloudtrail, event: {eventName: CreateUser}}
    - {name: one is deleted, match: false, source: cloudtrail, event: {eventName: DeleteUser}}
    - {name: a group is created, match: false, near_miss: true, source: cloudtrail, event: {eventName: CreateGroup}}
"""
CORRELATION = """title: Many users
id: 22222222-2222-4222-8222-222222222222
status: test
description: Many users were created.
level: critical
tags: [attack.t1136]
correlation:
  type: event_count
  rules: [11111111-1111-4111-8111-111111111111]
  group-by: [auditwatch.actor.id]
  timespan: 1h
  condition: {gte: 2}
falsepositives: [A script]
"""


@pytest.fixture
def good(place: Path) -> Path:
    """A folder with one rule that has everything."""
    (place / "rules").mkdir()
    (place / "rules" / "rule.yml").write_text(RULE)
    return place / "rules"


def cloudtrail(number: int, name: str = "CreateUser", user: str = "alice", **fields: object) -> dict[str, object]:
    """A CloudTrail record."""
    return {
        "eventID": f"e{number}",
        "eventName": name,
        "eventSource": "iam.amazonaws.com",
        "eventTime": f"2026-01-05T{number // 60:02}:{number % 60:02}:00Z",
        "sourceIPAddress": "198.51.100.7",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::1:user/{user}", "userName": user},
        **fields,
    }


def log(path: Path, *records: dict[str, object]) -> str:
    """A CloudTrail file of these records, as SOURCE=FILE."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return f"cloudtrail={path}"
