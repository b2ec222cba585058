"""AWS IAM as declared roles: of `aws iam get-account-authorization-details`, or of single policies.

What a declared role cannot say is left out and told: Deny, NotAction, NotResource, and conditions other than a second
factor and source addresses. Then the declared role allows more than IAM does, never less but for NotAction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from audit.context_people import People, glob_matches
from rules.access_asked import arn_names

Row = dict[str, Any]
Tree = Mapping[str, Any]


@dataclass(slots=True)
class Imported:
    """Rows for the context file. `changes` say who holds what, as far as the context knows the names; `remarks` what
    could not be carried over."""

    roles: list[Row] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Takes a row that is not there yet."""
        if row not in self.roles:
            self.roles.append(row)

    def hold(self, user: str, system: str, role: str) -> None:
        """Somebody holds a role."""
        row = {"user": user, "system": system, "role": role, "effective": "1970-01-01"}
        if row not in self.changes:
            self.changes.append(row)


def from_aws(document: Any, name: str, people: People, made: Imported) -> None:
    """Adds the roles of a document; `name` is that of a policy which stands alone (its file's).

    Raises:
        ValueError: it is neither an account's authorization details nor a policy.
    """
    if not isinstance(document, dict) or not {"RoleDetailList", "UserDetailList", "Statement"} & set(document):
        raise ValueError("neither a policy (Statement) nor the output of aws iam get-account-authorization-details")
    if "Statement" in document:
        _add(made, name, "", [document])
        return
    managed = {_text(one, "Arn"): _default(one) for one in _listed(document.get("Policies"))}
    groups = {_text(one, "GroupName"): one for one in _listed(document.get("GroupDetailList"))}
    for role in _listed(document.get("RoleDetailList")):
        title, account = _text(role, "RoleName"), _account(role)
        _add(made, title, account, _policies(role, "RolePolicyList", managed))
        for user in _holders(people, title, account):
            made.hold(user, "aws", title)
    for title, group in groups.items():
        _add(made, f"group/{title}", _account(group), _policies(group, "GroupPolicyList", managed))
    for owner in _listed(document.get("UserDetailList")):
        _add_user(made, owner, managed, people)


def _add_user(made: Imported, user: Tree, managed: Mapping[str, Any], people: People) -> None:
    title = f"user/{_text(user, 'UserName')}"
    policies = _policies(user, "UserPolicyList", managed)
    _add(made, title, _account(user), policies)
    for person in people.named("aws", _text(user, "Arn")):
        if policies:
            made.hold(person, "aws", title)
        for group in user.get("GroupList") or ():
            made.hold(person, "aws", f"group/{group}")


def _policies(owner: Tree, inline: str, managed: Mapping[str, Any]) -> list[Any]:
    """The documents of a role, group or user: its own and those attached to it."""
    own = [_decoded(one.get("PolicyDocument")) for one in _listed(owner.get(inline))]
    attached = [managed.get(_text(one, "PolicyArn")) for one in _listed(owner.get("AttachedManagedPolicies"))]
    return [one for one in (*own, *attached) if one]


def _default(policy: Tree) -> Any:
    versions = _listed(policy.get("PolicyVersionList"))
    return next(
        (_decoded(one.get("Document")) for one in versions if str(one.get("IsDefaultVersion")).lower() == "true"), None
    )


def _decoded(document: Any) -> Any:
    """A policy's document: the API gives it URL-encoded, the command line as it is."""
    if not isinstance(document, str):
        return document
    try:
        return msgspec.json.decode(unquote(document))
    except msgspec.DecodeError:
        return None


def _add(made: Imported, name: str, account: str, documents: Iterable[Any]) -> None:
    by_resources: dict[tuple[tuple[str, ...], str], Row] = {}
    for document in documents:
        for statement in _listed(document.get("Statement") if isinstance(document, dict) else None):
            row = _row(made, name, account, statement)
            if row is None:
                continue
            key = (tuple(row.get("resources", ())), str(row.get("conditions")))
            same = by_resources.setdefault(key, row)
            if same is not row:
                same["actions"] = list(dict.fromkeys((*same.get("actions", ()), *row.get("actions", ()))))
                same["may_assume"] = list(dict.fromkeys((*same.get("may_assume", ()), *row.get("may_assume", ()))))
    for row in by_resources.values():
        made.add({key: value for key, value in row.items() if value not in ("", [], None)})


def _row(made: Imported, name: str, account: str, statement: Tree) -> Row | None:
    """A role's row of one statement; None where it cannot be said."""
    unsaid = [key for key in ("NotAction", "NotResource", "NotPrincipal") if key in statement]
    if statement.get("Effect") != "Allow" or unsaid:
        made.remarks.append(f"{name}: a statement with {unsaid[0] if unsaid else 'Deny'} is left out")
        return None
    actions, arns = _texts(statement.get("Action")), _texts(statement.get("Resource"))
    row: Row = {"name": name, "system": "aws", "account": account, "actions": [_starred(one) for one in actions]}
    if any(action.lower() in ("sts:assumerole", "sts:*") for action in actions):
        row["may_assume"] = [_starred(arn) for arn in arns]
    row["resources"] = list(dict.fromkeys(pattern for arn in arns for pattern in arn_names(_starred(arn)))) or ["*"]
    row["conditions"] = _conditions(made, name, statement.get("Condition"))
    return row


def _conditions(made: Imported, name: str, condition: Any) -> Row | None:
    found: Row = {}
    for operator, tests in (condition if isinstance(condition, dict) else {}).items():
        for key, value in (tests if isinstance(tests, dict) else {}).items():
            kept = _condition(str(operator), str(key).lower(), _texts(value))
            found |= kept
            if not kept:
                made.remarks.append(f"{name}: the condition {operator} {key} is not carried over")
    return found or None


def _condition(operator: str, key: str, values: list[str]) -> Row:
    if key == "aws:sourceip" and operator.startswith("IpAddress"):
        return {"networks": values}
    if key == "aws:multifactorauthpresent" and operator.startswith("Bool") and values == ["true"]:
        return {"mfa": True}
    return {}


def _holders(people: People, role: str, account: str) -> list[str]:
    """Whose sessions of a role are, by the names the context declares."""
    found = []
    for person in people.by_id.values():
        for name in person.identities.get("aws", ()):
            parts = name.split(":")
            kind, _, rest = parts[-1].partition("/")
            wanted = rest.split("/")[0] if kind == "assumed-role" else rest.rpartition("/")[2] if kind == "role" else ""
            if wanted and parts[4:5] in ([account], ["*"]) and glob_matches(tuple(wanted.split("*")), role):
                found.append(person.id)
    return list(dict.fromkeys(found))


def _account(owner: Tree) -> str:
    arn = _text(owner, "Arn").split(":")
    return arn[4] if len(arn) > 5 else ""


def _starred(pattern: str) -> str:
    """IAM's ? stands for one character; the context knows only *."""
    return pattern.replace("?", "*")


def _listed(value: Any) -> list[Tree]:
    rows = value if isinstance(value, list) else [value]
    return [row for row in rows if isinstance(row, dict)]


def _texts(value: Any) -> list[str]:
    rows = value if isinstance(value, list) else [value]
    return [str(row).lower() if isinstance(row, bool) else str(row) for row in rows if isinstance(row, str | bool)]


def _text(row: Tree, key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
