from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.context import Context
from rules.access import Access
from streams import access_unused
from streams.access_unused import Unused, Usage
from tests.rules.accessing import DATA, DAY, NOON, call, context, sso

ROLES = [
    {"name": "read", "system": "aws", "account": "prod", "actions": ["ec2:Describe*", "sqs:ListQueues", "s3:GetObject"],
     "resources": ["*"]},
    {"name": "data", "system": "aws", "account": "data", "actions": ["rds:*"]},
    {"name": "apps", "system": "okta", "apps": ["Jira"]},
    {"name": "admin", "system": "aws", "account": "prod", "actions": ["iam:*"]},
]  # fmt: skip
USERS = [{"id": "ada", "roles": ["read", "data", "apps"]}, {"id": "bob", "roles": ["read", "admin"]}]


def unused(known: Context, *seen: Any, days: int = 14, span: int = 20) -> list[Unused]:
    usage = Usage(Access(known))
    for event, record in seen:
        usage.see(event, record)
    return usage.unused((NOON, NOON + span * DAY), days)


def small(tmp_path: Path, **more: Any) -> Context:
    return context(tmp_path, roles=ROLES, users=USERS, **more)


def rows(found: list[Unused]) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {(one.role, one.action, one.state, tuple(one.users)) for one in found}


def test_unused_and_not_observable_are_kept_apart(tmp_path: Path) -> None:
    seen = call("ada", "ec2:DescribeVpcs", "")
    assert rows(unused(small(tmp_path), seen)) == {
        ("read", "", "unused", ("bob",)),
        ("data", "", "not_observable", ("ada",)),  # no logs of that account
        ("apps", "", "not_observable", ("ada",)),  # nor of that system
        ("admin", "", "unused", ("bob",)),
        ("read", "sqs:ListQueues", "unused", ()),
        ("read", "s3:GetObject", "not_observable", ()),  # no data events
    }


def test_data_events_are_observable_once_there_are_any(tmp_path: Path) -> None:
    roles = [*ROLES, {"name": "put", "system": "aws", "account": "prod", "actions": ["s3:PutObject", "s3:GetObject"]}]
    users = [*USERS, {"id": "cy", "roles": ["put"]}]
    found = rows(unused(context(tmp_path, roles=roles, users=users), call("cy", "s3:PutObject", "b")))
    assert ("put", "s3:GetObject", "unused", ()) in found


def test_what_is_used_is_not_unused(tmp_path: Path) -> None:
    seen = [
        call("ada", "ec2:DescribeVpcs", ""), call("bob", "sqs:ListQueues", ""), call("bob", "iam:ListUsers", ""),
        call("ada", "rds:DescribeDBInstances", "", account=DATA), sso("ada", "Jira"), call("ada", on="b"),
    ]  # fmt: skip
    assert unused(small(tmp_path), *seen) == []


def test_too_young_is_said_until_the_days_are_full(tmp_path: Path) -> None:
    seen = call("ada", "ec2:DescribeVpcs", "")
    assert ("read", "", "too_young", ("bob",)) in rows(unused(small(tmp_path), seen, days=21, span=19))
    assert ("read", "", "unused", ("bob",)) in rows(unused(small(tmp_path), seen, days=21, span=20))


def test_a_grant_is_as_old_as_its_start_and_an_ended_one_is_none(tmp_path: Path) -> None:
    fresh = {"user": "ada", "system": "aws", "role": "admin", "start": "2026-03-20", "expires": "2026-04-20"}
    ended = {"user": "ada", "system": "aws", "role": "admin", "start": "2026-03-05", "expires": "2026-03-06"}
    seen = call("ada", "ec2:DescribeVpcs", "")
    assert ("admin", "", "too_young", ("ada",)) in rows(unused(small(tmp_path, temporary_grants=[fresh]), seen))
    found = rows(unused(small(tmp_path, temporary_grants=[ended]), seen))
    assert {users for role, _, _, users in found if role == "admin"} == {("bob",)}


def test_memory_is_bounded(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(access_unused, "MOST_SEEN", 3)
    usage = Usage(Access(small(tmp_path)))
    for number in range(20):
        event, record = call("ada", on=f"b{number}")
        usage.see(event, record)
        assert len(usage._known) <= 3
