"""Alice's ordinary ten days, and what comes after them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from audit.event import MICROSECONDS, AuditEvent, Principal, Resource

MONDAY = 1_767_571_200 * MICROSECONDS
HOUR = 3_600 * MICROSECONDS
ALICE = Principal("alice", "Alice", "human", "verified")
USUAL = AuditEvent(
    "usual", MONDAY, "okta", "user.authentication.sso", "success", ALICE, resource=Resource("AppInstance", "mail"),
    source_ip="192.0.2.7", country="DE", asn=64496, user_agent="Mozilla/5.0 (X11; Linux) Firefox/127.0",
)  # fmt: skip


def weeks() -> list[AuditEvent]:
    """Ten days of the same, every ten minutes, eight hours a day."""
    times = [day * 1440 + 480 + minute for day in range(10) for minute in range(0, 480, 10)]
    return [replace(USUAL, id=f"u{minute}", time=MONDAY + minute * HOUR // 60) for minute in times]


def at(hours: float, **changes: Any) -> AuditEvent:
    """An event so many hours after those weeks began their eleventh day."""
    return replace(USUAL, id=f"e{hours}", time=MONDAY + 10 * 24 * HOUR + int(hours * HOUR), **changes)
