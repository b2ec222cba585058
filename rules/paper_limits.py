"""What no paper covers, read from what a deed gives: an administrator's rights, or access for outsiders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import orjson

from audit.context import Context
from audit.event import AuditEvent
from rules.declared import foreign_accounts
from rules.paper_actions import shares

Record = Mapping[str, Any]
LONGEST_DOCUMENT = 64_000
MOST_ROWS = 100
"""Statements of a policy, rules of a role, bindings of a change that are looked at."""
MOST_VALUES = 500
"""Parameters of a request that are looked at; one with more is left to people."""


def administers(event: AuditEvent, record: Record) -> str:
    """What it calls the administrator's rights that a deed gives; "" where it gives none."""
    given = _GIVEN.get(event.source)
    return next((name for name in given(record) if name), "") if given else ""


def lets_in(event: AuditEvent, action: str, record: Record, context: Context) -> str:
    """Who outside the company a deed gives access to, as far as the record tells; "" for nobody."""
    if event.source == "gcp":
        return "everybody" if any(member in _EVERYBODY for _, member in _bindings(record)) else ""
    if event.source != "cloudtrail" or not shares(action):
        return ""
    parameters = _parameters(_inner(record, "requestParameters"))
    if any(_is_public(key, value) for key, value in parameters):
        return "everybody"
    if len(parameters) == MOST_VALUES:
        return "whoever else its many parameters name"
    accounts = foreign_accounts(context, event, record)
    return f"account {accounts[0]}" if accounts else ""


def _aws(record: Record) -> Iterator[str]:
    asked = _inner(record, "requestParameters")
    for key in ("policyArn", "managedPolicyArn"):
        policy = _text(asked, key).rpartition("/")[2]
        yield policy if policy in _ADMINISTRATORS else ""
    for key in ("policyDocument", "inlinePolicy"):
        yield "a policy that allows everything" if any(map(_is_all, _allowing(asked.get(key)))) else ""


def _is_all(statement: Record) -> bool:
    """Whether a statement of an identity's policy allows all of IAM, or all of everything, on everything."""
    if "*" not in _listed(statement.get("Resource")):
        return False
    return "NotAction" in statement or any(one.lower() in _ALL for one in _listed(statement.get("Action")))


def _is_public(key: str, value: Any) -> bool:
    """Whether a parameter names everybody: the principal of a policy, a list of permissions, an access control list."""
    if _is_policy(value):
        return any(_is_for_all(one) for one in _allowing(value))
    if isinstance(value, str):
        return value in _EVERYBODY or value.endswith(_GROUPS) or (key, value) in _OPEN
    return value is False and key.lower() in _BLOCKS


def _is_for_all(statement: Record) -> bool:
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return "*" in _listed(named) and not statement.get("Condition")


def _k8s(record: Record) -> Iterator[str]:
    asked = _inner(record, "requestObject")
    role, made = (_text(_inner(one, "roleRef"), "name") for one in (asked, _inner(record, "responseObject")))
    role = role or made
    yield role if role in _CLUSTER_ROLES else ""
    if not role and _text(record, "verb") in _WRITES and _text(_inner(record, "objectRef"), "resource") in _BINDINGS:
        yield "of whatever role it is: the log does not name it"
    for rule in _rows(asked.get("rules")):
        if "*" in _listed(rule.get("verbs")) and "*" in _listed(rule.get("resources")):
            yield "a role that allows everything"


def _entra(record: Record) -> Iterator[str]:
    for target in _rows((_inner(record, "properties") or record).get("targetResources")):
        yield _directory_role(target.get("displayName"))
        for change in _rows(target.get("modifiedProperties")):
            yield _directory_role(change.get("newValue"))


def _directory_role(value: Any) -> str:
    name = value.strip('"') if isinstance(value, str) else ""
    return name if name.lower() in _DIRECTORY_ROLES else ""


def _google(record: Record) -> Iterator[str]:
    for event in _rows(record.get("events")):
        for parameter in _rows(event.get("parameters")):
            yield "Super Admin" if parameter.get("value") == "_SEED_ADMIN_ROLE" else ""


def _gcp(record: Record) -> Iterator[str]:
    return (role for role, _ in _bindings(record) if role in _PROJECT_ROLES)


def _bindings(record: Record) -> Iterator[tuple[str, str]]:
    """The roles that a change of a policy adds, and to whom."""
    payload = _inner(record, "protoPayload")
    data = _inner(payload, "serviceData") or _inner(payload, "metadata")
    for delta in _rows(_inner(data, "policyDelta").get("bindingDeltas")):
        if delta.get("action") == "ADD":
            yield _text(delta, "role"), _text(delta, "member")


def _is_policy(value: Any) -> bool:
    return "Statement" in value if isinstance(value, dict) else isinstance(value, str) and value[:1] == "{"


def _allowing(policy: Any) -> Iterator[Record]:
    """What a policy allows, be it an object or its text."""
    if isinstance(policy, str):
        try:
            policy = orjson.loads(policy) if len(policy) <= LONGEST_DOCUMENT else None
        except orjson.JSONDecodeError:
            return
    rows = policy.get("Statement") if isinstance(policy, dict) else None
    for row in _rows([rows] if isinstance(rows, dict) else rows):
        if row.get("Effect") == "Allow":
            yield row


def _parameters(asked: Record) -> list[tuple[str, Any]]:
    """The parameters of a request at whatever depth, each under its key, to a bound; policies are left whole."""
    found: list[tuple[str, Any]] = []
    waiting: list[tuple[str, Any]] = [("", asked)]
    while waiting and len(found) < MOST_VALUES:
        key, value = waiting.pop()
        found.append((key, value))
        if isinstance(value, dict) and not _is_policy(value):
            waiting += islice(value.items(), MOST_VALUES)
        elif isinstance(value, list):
            waiting += [(key, one) for one in value[:MOST_VALUES]]
    return found


def _rows(value: Any) -> Iterator[Record]:
    return (row for row in (value[:MOST_ROWS] if isinstance(value, list) else ()) if isinstance(row, dict))


def _listed(value: Any) -> list[str]:
    rows = value[:MOST_ROWS] if isinstance(value, list) else [value]
    return [one for one in rows if isinstance(one, str)]


def _inner(record: Record, key: str) -> Record:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


def _text(record: Record, key: str) -> str:
    found = record.get(key)
    return found if isinstance(found, str) else ""


_GIVEN: Mapping[str, Callable[[Record], Iterator[str]]] = {
    "cloudtrail": _aws,
    "kubernetes": _k8s,
    "entra": _entra,
    "google_workspace": _google,
    "gcp": _gcp,
}
_ADMINISTRATORS = frozenset({"AdministratorAccess", "IAMFullAccess", "PowerUserAccess", "AmazonEKSClusterAdminPolicy"})
_ALL = frozenset({"*", "*:*", "iam:*"})
_WRITES = ("create", "update", "patch")
_BINDINGS = ("rolebindings", "clusterrolebindings")
_CLUSTER_ROLES = frozenset({"cluster-admin", "admin"})
_DIRECTORY_ROLES = frozenset({
    "global administrator", "company administrator", "privileged role administrator",
    "privileged authentication administrator", "application administrator", "cloud application administrator",
})  # fmt: skip
_PROJECT_ROLES = frozenset({
    "roles/owner", "roles/editor", "roles/iam.securityAdmin", "roles/resourcemanager.projectIamAdmin",
    "roles/resourcemanager.organizationAdmin", "roles/iam.organizationRoleAdmin",
})  # fmt: skip
_EVERYBODY = frozenset({"all", "allUsers", "allAuthenticatedUsers", "public-read", "public-read-write"})
_GROUPS = ("/global/AllUsers", "/global/AuthenticatedUsers")
"""The ends of the URIs of Amazon S3's predefined groups."""
_OPEN = frozenset({("principal", "*"), ("authType", "NONE")})
_BLOCKS = frozenset({"blockpublicacls", "blockpublicpolicy", "ignorepublicacls", "restrictpublicbuckets"})
"""What is public while these are off."""
