"""Google Cloud audit logs: LogEntry objects whose protoPayload is an AuditLog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit.event import ActorKind, AuditEvent, Identity, Outcome, Principal, Resource
from audit.sources.fields import NOBODY, Unreadable, address, first, instant, mapping, record_id, sequence, text

_DENIED = {7, 16}  # PERMISSION_DENIED, UNAUTHENTICATED
_ANONYMOUS = {"system:anonymous", "allUsers", "anonymous"}
_IMPERSONATIONS = ("GenerateAccessToken", "GenerateIdToken", "SignBlob", "SignJwt", "CreateServiceAccountKey")
_PEOPLE = ("user:", "serviceAccount:")


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of one log entry.

    Raises:
        Unreadable: when it has no protoPayload with a methodName.
    """
    payload = mapping(record.get("protoPayload"))
    action = text(payload.get("methodName"))
    if action is None:
        raise Unreadable("it has no protoPayload.methodName: not a Google Cloud audit log entry")
    written = record.get("timestamp")
    request = mapping(payload.get("requestMetadata"))
    outcome = _outcome(payload, action)
    actor = _actor(payload, failed_login=outcome != "success" and action.endswith("loginFailure"))
    return [
        AuditEvent(
            id=record_id(record.get("insertId"), raw),
            time=instant(record.get("receiveTimestamp") if written is None else written),
            source="gcp",
            action=action,
            outcome=outcome,
            actor=actor,
            target=_target(payload, action, actor),
            resource=_resource(record, payload),
            source_ip=address(request.get("callerIp")),
            user_agent=text(request.get("callerSuppliedUserAgent")),
            account=_project(record),
            raw=raw,
        )
    ]


def _outcome(payload: Mapping[str, Any], action: str) -> Outcome:
    status = payload.get("status")
    code = mapping(status).get("code")
    checks = [mapping(check).get("granted") for check in sequence(payload.get("authorizationInfo"))]
    if type(code) is int and code:
        return "denied" if code in _DENIED else "failure"
    if False in checks:
        return "denied"
    if action.endswith("loginFailure"):  # login.googleapis.com
        return "failure"
    return "success" if True in checks or type(status) is dict else "unknown"


def _actor(payload: Mapping[str, Any], failed_login: bool) -> Principal:
    who = mapping(payload.get("authenticationInfo"))
    name = text(who.get("principalEmail")) or text(who.get("principalSubject"))
    if name is None:
        name = _parameter(payload, "affected_email_address")  # Google's own warnings about an account
        return Principal(name.lower(), name, "human", "anonymous") if name else NOBODY
    identity: Identity = "anonymous" if failed_login or name in _ANONYMOUS else "asserted"
    return Principal(name.lower(), name, _kind(name), identity)


def _kind(name: str) -> ActorKind:
    if name in _ANONYMOUS:
        return "unknown"
    if name.startswith("system:") or name.endswith("gserviceaccount.com"):
        return "service"
    return "human" if "@" in name else "unknown"


def _target(payload: Mapping[str, Any], action: str, actor: Principal) -> Principal | None:
    """The service account somebody takes the place of, or the first member a policy adds."""
    if action.rpartition(".")[2] in _IMPERSONATIONS:
        name = (text(payload.get("resourceName")) or "").rpartition("/serviceAccounts/")[2]
    else:
        name = next(_added(payload), "")
    if not name or name.lower() == actor.id:
        return None
    return Principal(name.lower(), name, _kind(name))


def _added(payload: Mapping[str, Any]) -> Iterator[str]:
    data = mapping(payload.get("serviceData")) or mapping(payload.get("metadata"))
    for delta in map(mapping, sequence(mapping(data.get("policyDelta")).get("bindingDeltas"))):
        member = text(delta.get("member"))
        if member and delta.get("action") == "ADD":
            yield next((member[len(kind) :] for kind in _PEOPLE if member.startswith(kind)), member)


def _resource(record: Mapping[str, Any], payload: Mapping[str, Any]) -> Resource | None:
    name = text(payload.get("resourceName"))
    kind = text(mapping(record.get("resource")).get("type")) or text(payload.get("serviceName"))
    return Resource(kind or "unknown", name) if name else None


def _project(record: Mapping[str, Any]) -> str | None:
    """The project, else the organization, folder or billing account the log belongs to."""
    project = text(mapping(mapping(record.get("resource")).get("labels")).get("project_id"))
    owner = (text(record.get("logName")) or "").split("/", 2)
    return project or (owner[1] if len(owner) > 2 and owner[1] else None)


def _parameter(payload: Mapping[str, Any], name: str) -> str | None:
    event = mapping(first(mapping(payload.get("metadata")).get("event")))
    for parameter in map(mapping, sequence(event.get("parameter"))):
        if parameter.get("name") == name:
            return text(parameter.get("value"))
    return None
