"""A small declared company and its events, for tests of the authorization model."""

from __future__ import annotations

from typing import Any

import orjson

from audit.context import Context, load_context
from audit.event import MICROSECONDS, AuditEvent, Principal, Resource, parse_rfc3339
from rules.access import Access, Decision

DAY = 86_400 * MICROSECONDS
NOON = parse_rfc3339("2026-03-04T12:00:00Z")
"""A Wednesday."""
PROD, DATA = "111122223333", "777788889999"

COMPANY: dict[str, Any] = {
    "company": {
        "github_org": "acorn",
        "aws_accounts": {"prod": PROD, "data": DATA},
        "sensitive": {"buckets": ["acorn-finance-*"], "repos": ["acorn/payments-*"], "namespaces": ["payments"]},
    },
    "users": [
        {"id": "ada", "team": "web", "roles": ["aws-web-prod", "k8s-web", "okta-web", "github-web", "own-keys"]},
        {"id": "bob", "team": "ops", "roles": ["aws-ops"]},
        {"id": "cy", "kind": "contractor", "end_date": "2026-02-28", "roles": ["aws-web-prod"]},
        {"id": "eve", "team": "web"},
    ],
    "roles": [
        {"name": "aws-web-prod", "system": "aws", "account": "prod",
         "actions": ["s3:GetObject", "ec2:Describe*", "lambda:GetFunction"], "resources": ["*web*", "i-*"]},
        {"name": "aws-ops", "system": "aws", "actions": ["*"], "resources": ["*"],
         "may_assume": ["arn:aws:iam::777788889999:role/restore"]},
        {"name": "restore", "system": "aws", "account": "data", "actions": ["rds:*"], "resources": ["acorn-*"]},
        {"name": "aws-admin", "system": "aws", "account": "prod", "actions": ["*"], "resources": ["*"]},
        {"name": "own-keys", "system": "aws", "actions": ["iam:*AccessKey*"], "resources": ["${user}"]},
        {"name": "k8s-web", "system": "k8s", "verbs": ["get", "list"], "resources": ["pods", "pods/log"],
         "namespaces": ["web"]},
        {"name": "okta-web", "system": "okta", "apps": ["Jira", "Slack"]},
        {"name": "okta-help", "system": "okta", "actions": ["user.lifecycle.*"]},
        {"name": "github-web", "system": "github", "repos": ["web-*", "acorn/shared"], "permission": "write",
         "actions": ["integration_installation.create"]},
    ],
}  # fmt: skip


def context(tmp_path: Any, **more: Any) -> Context:
    """The company with other sections, or with rows added to `users` and `roles` (plus_users, plus_roles)."""
    rows = {**COMPANY, **{name: value for name, value in more.items() if not name.startswith("plus_")}}
    for name in ("users", "roles"):
        rows[name] = [*rows[name], *more.get(f"plus_{name}", [])]
    path = tmp_path / "context.json"
    path.write_bytes(orjson.dumps(rows))
    return load_context(path)


def call(
    who: str = "ada", action: str = "s3:GetObject", on: str = "acorn-web-assets", **more: Any
) -> tuple[AuditEvent, dict[str, Any]]:
    """An AWS call; keywords go to the event, `record` is added to the record."""
    service, _, name = action.partition(":")
    record = {"eventSource": f"{service}.amazonaws.com", "eventName": name, **more.pop("record", {})}
    resource = Resource("AWS::S3::Bucket", on) if on else Resource("service", f"{service}.amazonaws.com")
    fields = {"account": PROD, "time": NOON, "outcome": "success", **more}
    return _event("cloudtrail", name, who, resource, fields, record), record


def request(who: str, verb: str, thing: str, name: str, **more: Any) -> tuple[AuditEvent, dict[str, Any]]:
    """A Kubernetes request about namespace/name."""
    fields = {"time": NOON, "outcome": "success", **more}
    return _event("kubernetes", verb, who, Resource(thing, name), fields, {}), {}


def git(who: str, action: str, repo: str = "", **more: Any) -> tuple[AuditEvent, dict[str, Any]]:
    """A GitHub entry; without repository it concerns the organisation."""
    resource = Resource("repository", repo) if repo else Resource("organization", "acorn")
    return _event("github", action, who, resource, {"time": NOON, "outcome": "unknown", **more}, {}), {}


def okta(who: str, action: str, thing: Resource | None = None, **more: Any) -> tuple[AuditEvent, dict[str, Any]]:
    """An Okta event."""
    return _event("okta", action, who, thing, {"time": NOON, "outcome": "success", **more}, {}), {}


def sso(who: str, app: str, **more: Any) -> tuple[AuditEvent, dict[str, Any]]:
    """Single sign-on to an application."""
    return okta(who, "user.authentication.sso", Resource("AppInstance", app), **more)


def _event(
    source: str, action: str, who: str, thing: Resource | None, fields: dict[str, Any], record: Any
) -> AuditEvent:
    kind, identity = fields.pop("kind", "human"), fields.pop("identity", "verified")
    actor = Principal(who, who, kind, identity)
    raw = orjson.dumps(record)
    return AuditEvent(
        id=fields.pop("id", "e1"), source=source, action=action, actor=actor, resource=thing, raw=raw, **fields
    )


def decided(known: Context, seen: tuple[AuditEvent, dict[str, Any]]) -> Decision:
    """What the model of a context says."""
    return Access(known).decide(*seen)
