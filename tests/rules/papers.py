"""A small company with its paper, and deeds to hold against it."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from audit.context import Context
from audit.context_schema import (
    Company,
    Declared,
    End,
    Grant,
    IpGeo,
    IpRange,
    Moment,
    PentestWindow,
    Person,
    Role,
    RoleChange,
    Shift,
    Ticket,
)
from audit.event import AuditEvent, Principal, Resource, parse_rfc3339
from rules.paper import Fit, Papers

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOON = parse_rfc3339("2026-03-04T12:00:00Z")

PEOPLE = (
    Person(id="priya", team="sre", country="DE", identities={"okta": ("priya@acorn.example",)}),
    Person(id="mira", team="sre", title="Lead", country="DE"),
    Person(id="jin", team="it-helpdesk", country="DE"),
    Person(id="hugo", team="it-helpdesk", title="Lead", country="DE"),
    Person(id="liam", team="sales", country="DE", identities={"okta": ("liam@acorn.example",)}),
    Person(id="zane", team="security", country="DE", roles=("okta-helpdesk",)),
    Person(id="gone", team="sre", country="DE", end_date=End(NOON - 30 * DAY)),
    Person(id="robot", kind="service"),
)


def times(start: int = NOON - HOUR, end: int = NOON + HOUR) -> dict[str, Any]:
    return {
        "opened": Moment(start - 3 * HOUR),
        "approved_at": Moment(start - HOUR),
        "window_start": Moment(start),
        "window_end": End(end),
        "status": "approved",
    }


CHANGE = Ticket(
    id="CHG-1", type="change", requester="priya", subject="priya", approver="mira", system="aws",
    resource="acorn-platform-*", **times(),
)  # fmt: skip
RESET = Ticket(
    id="HD-1", type="helpdesk", requester="liam", subject="liam", approver="hugo", system="okta",
    resource="liam@acorn.example", **times(),
)  # fmt: skip
ACCESS = Ticket(
    id="ACC-1", type="access", requester="liam", subject="liam", approver="hugo", system="okta",
    resource="sales-readers", **times(),
)  # fmt: skip
INCIDENT = Ticket(
    id="INC-1", type="incident", requester="priya", subject="priya", approver="mira", system="k8s",
    resource="payments", **times(),
)  # fmt: skip
SHIFT = Shift(user="priya", start=Moment(NOON - DAY), end=End(NOON + DAY))
TEST = Ticket(
    id="PEN-1", type="pentest", requester="zane", subject="zane", approver="mira", system="aws", resource="prod",
    **times(),
)  # fmt: skip
WINDOW = PentestWindow(
    id="pentest-1", ticket="PEN-1", testers=("zane",), source_ranges=("192.0.2.224/27",), scope=("aws",),
    start=Moment(NOON - HOUR), end=End(NOON + HOUR),
)  # fmt: skip
ADMIN = Role(name="aws-admin", system="aws", account="prod", actions=("rds:*", "iam:*"), resources=("*",))
ADMIN_TICKET = msgspec.structs.replace(CHANGE, id="ACC-9", type="access", resource="aws-admin")
GRANT = Grant(
    user="priya", system="aws", role="aws-admin", granted_by="mira", ticket="ACC-9",
    start=Moment(NOON - HOUR), expires=End(NOON + HOUR),
)  # fmt: skip


def papers(*rows: Ticket | Grant | RoleChange | PentestWindow | Shift, roles: tuple[Role, ...] = (ADMIN,)) -> Papers:
    """The paper of a company that declares these rows."""
    return Papers(company(*rows, roles=roles))


def company(*rows: Ticket | Grant | RoleChange | PentestWindow | Shift, roles: tuple[Role, ...] = (ADMIN,)) -> Context:
    declared = Declared(
        company=Company(aws_accounts={"prod": "111122223333"}),
        users=PEOPLE,
        roles=roles,
        tickets=tuple(row for row in rows if isinstance(row, Ticket)),
        temporary_grants=tuple(row for row in rows if isinstance(row, Grant)),
        role_changes=tuple(row for row in rows if isinstance(row, RoleChange)),
        pentest_windows=tuple(row for row in rows if isinstance(row, PentestWindow)),
        oncall=tuple(row for row in rows if isinstance(row, Shift)),
        ip_ranges=(IpRange(cidr="198.51.100.0/24", kind="vpn"),),
        ip_geo=(IpGeo(prefix="198.51.100.0/24", country="US"), IpGeo(prefix="203.0.113.0/24", country="NL")),
    )
    return Context(declared)


def changed(row: Any, **changes: Any) -> Any:
    """The row with other fields."""
    return msgspec.structs.replace(row, **changes)


def aws(
    action: str = "AttachRolePolicy",
    thing: str = "acorn-platform-api-role",
    service: str = "iam",
    record: dict[str, Any] | None = None,
    **more: Any,
) -> AuditEvent:
    """A call by priya at noon, from Germany."""
    raw = {"eventSource": f"{service}.amazonaws.com", "eventName": action} | (record or {})
    event = AuditEvent(
        "e1", NOON, "cloudtrail", action, "success", Principal("priya", "priya", "human", "verified"),
        resource=Resource("AWS::IAM::Role", thing), source_ip="198.51.100.7", country="DE", account="111122223333",
        raw=orjson.dumps(raw),
    )  # fmt: skip
    return msgspec.structs.replace(event, **more)


def okta(action: str, actor: str = "jin", target: str = "liam", group: str = "", **more: Any) -> AuditEvent:
    """Something the helpdesk does to somebody at noon."""
    event = AuditEvent(
        "e1", NOON, "okta", action, "success", Principal(actor, actor, "human", "verified"),
        target=Principal(target, target) if target else None,
        resource=Resource("UserGroup", group) if group else Resource("User", target), country="DE",
    )  # fmt: skip
    return msgspec.structs.replace(event, **more)


def k8s(verb: str = "patch", kind: str = "deployments", name: str = "payments/api", **more: Any) -> AuditEvent:
    """A request to the cluster by priya at noon."""
    event = AuditEvent(
        "e1", NOON, "kubernetes", verb, "success", Principal("priya", "priya", "human", "verified"),
        resource=Resource(kind, name), country="DE",
    )  # fmt: skip
    return msgspec.structs.replace(event, **more)


def wrong(fit: Fit) -> str:
    """What does not fit, in one text; fails where something explains it."""
    assert not fit.explained, fit
    return "; ".join(fit.doubts[1:])
