"""A small company with duties kept apart, for tests: payments are entered in one application, released in another."""

from __future__ import annotations

from typing import Any

from audit.context import Context
from audit.context_schema import (
    Company,
    Declared,
    End,
    Exemption,
    Grant,
    Moment,
    Person,
    Role,
    RoleChange,
    Sensitive,
    Separation,
    Ticket,
)
from audit.event import AuditEvent, Principal, Resource
from tests.rules.accessing import DAY, NOON, okta

HOUR = DAY // 24
ROLES = (
    Role(name="enter", system="okta", apps=("Paydesk",)),
    Role(name="release", system="okta", apps=("Release",)),
    Role(name="audit", system="okta", apps=("Ledger",)),
    Role(name="everyone", system="okta", apps=("Wiki", "Release Notes")),
    Role(name="release", system="aws", actions=("s3:PutObject",), resources=("acorn-payout*",)),
    Role(name="payers", system="k8s", verbs=("patch",), resources=("deployments",), namespaces=("payments",)),
    Role(name="treasury", system="github", repos=("pay-*",), permission="write", teams=("finance",)),
)
PEOPLE = (
    Person(id="ada", team="web", roles=("enter", "everyone"), identities={"k8s": ("ada@x.com",)}),
    Person(id="bob", team="finance", roles=("everyone",)),
    Person(id="boss", team="finance"),
    Person(id="helper", team="helpdesk"),
    Person(id="bot", kind="service", owner="ada", identities={"k8s": ("system:serviceaccount:ci:bot",)}),
    Person(id="orphan", kind="service"),
)
PAY = Separation(name="pay", roles=("enter", "release"), reason="nobody pays themselves")


def company(*separations: Separation, people: tuple[Person, ...] = PEOPLE, **more: Any) -> Context:
    """The company; without separations, PAY."""
    sensitive = Company(github_org="acorn", sensitive=Sensitive(buckets=("acorn-payout-gold",)))
    known = Declared(company=sensitive, users=people, roles=ROLES, separation_of_duties=separations or (PAY,), **more)
    return Context(known)


def grant(user: str = "ada", role: str = "release", system: str = "okta", **more: Any) -> Grant:
    """A loan of a role from two hours before noon to two hours after it."""
    fields = {"granted_by": "boss", "start": Moment(NOON - 2 * HOUR), "expires": End(NOON + 2 * HOUR)}
    return Grant(user=user, role=role, system=system, **{**fields, **more})


def change(user: str = "ada", role: str = "release", system: str = "okta", at: int = NOON - DAY) -> RoleChange:
    """A role given for good the day before."""
    return RoleChange(user=user, role=role, system=system, effective=Moment(at))


def ticket(**changes: Any) -> Ticket:
    """An access ticket of ada's for the second role, approved by boss."""
    fields: dict[str, Any] = {
        "id": "ACC-1", "type": "access", "opened": Moment(NOON - DAY), "requester": "ada", "subject": "ada",
        "approver": "boss", "system": "okta", "resource": "release", "window_end": End(NOON + DAY),
        "approved_at": Moment(NOON - DAY + HOUR), "status": "approved",
    }  # fmt: skip
    return Ticket(**{**fields, **changes})


def excepting(user: str = "ada", until: int = NOON + DAY, ticket: str = "EXC-1") -> Separation:
    """PAY with an exception."""
    one = Exemption(user=user, until=End(until), ticket=ticket, approver="boss")
    return Separation(name="pay", roles=PAY.roles, reason=PAY.reason, exceptions=(one,))


def joined(
    to: str = "ada", group: str = "release", by: str = "helper", **more: Any
) -> tuple[AuditEvent, dict[str, Any]]:
    """Somebody put into a group of Okta's."""
    fields = {"target": Principal(to, to), **more}
    return okta(by, fields.pop("action", "group.user_membership.add"), Resource("UserGroup", group), **fields)
