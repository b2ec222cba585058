"""GitHub audit log: REST, streaming and the older exported form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.event import ActorKind, AuditEvent, Outcome, Principal, Resource
from audit.sources.fields import (
    NOBODY,
    Unreadable,
    address,
    country_code,
    first,
    instant,
    mapping,
    milliseconds,
    record_id,
    text,
)

_CONCLUSIONS: dict[object, Outcome] = {"success": "success", "failure": "failure", "timed_out": "failure"}
_MACHINE_ACCESS = ("github app", "github_app", "deploy_key", "deploy key", "server-to-server")


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of one audit log entry.

    Raises:
        Unreadable: when it has no action.
    """
    action = text(record.get("action"))
    if action is None:
        raise Unreadable("it has no action: not a GitHub audit log entry")
    outcome = _outcome(record, action)
    actor = _actor(record, action, outcome)
    return [
        AuditEvent(
            id=record_id(record.get("_document_id"), raw),
            time=_time(record),
            source="github",
            action=action,
            outcome=outcome,
            actor=actor,
            target=_target(text(record.get("user")), actor),
            resource=_resource(record, action),
            source_ip=address(record.get("actor_ip")),
            country=country_code(mapping(record.get("actor_location")).get("country_code")),
            user_agent=text(record.get("user_agent")),
            account=_organisation(record),
            raw=raw,
        )
    ]


def _time(record: Mapping[str, Any]) -> int:
    """`@timestamp` is when the deed was done; in some entries `created_at` is when the thing was made."""
    written = record.get("@timestamp")
    if written is None:
        written = record.get("created_at")
    if type(written) is str and not written.isdecimal():
        return instant(written)
    return milliseconds(int(written[:20]) if type(written) is str else written)


def _outcome(record: Mapping[str, Any], action: str) -> Outcome:
    """GitHub logs deeds and says nothing of their end, but for these."""
    if action.endswith("rejected_ref_update"):
        return "denied"
    if action == "user.failed_login":
        return "failure"
    if action == "user.login":
        return "success"
    conclusion = record.get("conclusion")
    return _CONCLUSIONS.get(conclusion, "unknown") if type(conclusion) is str else "unknown"


def _actor(record: Mapping[str, Any], action: str, outcome: Outcome) -> Principal:
    login = text(record.get("actor"))
    if login is None:
        return NOBODY
    anonymous = action == "user.failed_login" and outcome == "failure"
    return Principal(login, login, _kind(record, login), "anonymous" if anonymous else "asserted")


def _kind(record: Mapping[str, Any], login: str) -> ActorKind:
    if login.endswith("[bot]") or record.get("actor_is_bot") is True:
        return "service"
    access = (text(record.get("programmatic_access_type")) or "").lower()
    if any(word in access for word in _MACHINE_ACCESS):
        return "service"
    return "human" if text(record.get("external_identity_nameid")) else "unknown"


def _target(user: str | None, actor: Principal) -> Principal | None:
    return Principal(user, user) if user is not None and user.lower() != actor.id.lower() else None


def _resource(record: Mapping[str, Any], action: str) -> Resource | None:
    team = text(record.get("team")) or text(mapping(record.get("data")).get("team"))
    if team and action.startswith("team."):
        return Resource("team", team)
    app = text(record.get("name"))
    if app and action.startswith(("integration", "oauth_application")):
        return Resource("integration", app)
    for kind, field in (("repository", "repo"), ("organization", "org"), ("enterprise", "business")):
        name = text(first(record.get(field)))
        if name:
            return Resource(kind, name)
    return None


def _organisation(record: Mapping[str, Any]) -> str | None:
    return text(first(record.get("org"))) or text(first(record.get("business")))
