"""Kubernetes audit log (audit.k8s.io Event objects, any version)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.event import ActorKind, AuditEvent, Outcome, Principal, Resource
from audit.sources.fields import NOBODY, Unreadable, address, first, instant, mapping, record_id, sequence, text

_TIMES = ("requestReceivedTimestamp", "stageTimestamp", "timestamp")
_SERVICE_NAMES = ("system:", "eks:", "aks-", "gke-")
_BINDINGS = {"rolebindings", "clusterrolebindings"}
_WRITES = {"create", "update", "patch"}


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of one audit record; none for stage RequestReceived, where nothing has been decided yet.

    ResponseStarted (a long request: exec, watch), ResponseComplete and Panic carry one auditID and so
    count as one deed.

    Raises:
        Unreadable: when it has no verb (the cluster's own Events, container logs).
    """
    verb = text(record.get("verb"))
    if verb is None:
        raise Unreadable("it has no verb: not a Kubernetes audit event")
    time = _time(record)
    if record.get("stage") == "RequestReceived":
        return []
    code = _code(mapping(record.get("responseStatus")).get("code"))
    user = mapping(record.get("user"))
    thing = mapping(record.get("objectRef"))
    return [
        AuditEvent(
            id=record_id(record.get("auditID"), raw),
            time=time,
            source="kubernetes",
            action=verb,
            outcome=_outcome(record, code),
            actor=_actor(user, unauthenticated=code == 401),
            target=_target(record, verb, thing),
            resource=_resource(record, thing),
            source_ip=address(first(record.get("sourceIPs"))),
            user_agent=text(record.get("userAgent")),
            session_id=_session(user),
            raw=raw,
        )
    ]


def _time(record: Mapping[str, Any]) -> int:
    return instant(next((record[field] for field in _TIMES if record.get(field) is not None), None))


def _code(code: object) -> int | None:
    if type(code) is str and code.isdecimal() and len(code) == 3:
        return int(code)
    return code if type(code) is int else None


def _outcome(record: Mapping[str, Any], code: int | None) -> Outcome:
    decision = mapping(record.get("annotations")).get("authorization.k8s.io/decision")
    if decision == "forbid" or code in (401, 403):
        return "denied"
    if code is None:
        return "failure" if record.get("stage") == "Panic" else "success" if decision == "allow" else "unknown"
    return "failure" if code >= 400 else "success"


def _actor(user: Mapping[str, Any], unauthenticated: bool) -> Principal:
    name = text(user.get("username"))
    if name is None:
        return NOBODY
    anonymous = (
        unauthenticated or name == "system:anonymous" or "system:unauthenticated" in sequence(user.get("groups"))
    )
    return Principal(name, name, _kind(name), "anonymous" if anonymous else "asserted")


def _kind(name: str) -> ActorKind:
    if name == "system:anonymous":
        return "unknown"
    if name.startswith(_SERVICE_NAMES) or name.endswith("gserviceaccount.com"):
        return "service"
    return "human" if "@" in name else "unknown"


def _target(record: Mapping[str, Any], verb: str, thing: Mapping[str, Any]) -> Principal | None:
    """Whom the actor poses as, or who is given a role."""
    name = text(mapping(record.get("impersonatedUser")).get("username"))
    if name is None and verb in _WRITES and text(thing.get("resource")) in _BINDINGS:
        name = _subject(mapping(record.get("requestObject")).get("subjects"))
    return Principal(name, name, _kind(name)) if name else None


def _subject(subjects: object) -> str | None:
    """The first user or service account a binding names, spelled as the audit log spells actors."""
    for subject in map(mapping, sequence(subjects)):
        name = text(subject.get("name"))
        if name and subject.get("kind") == "User":
            return name
        if name and subject.get("kind") == "ServiceAccount":
            return f"system:serviceaccount:{text(subject.get('namespace')) or 'default'}:{name}"
    return None


def _resource(record: Mapping[str, Any], thing: Mapping[str, Any]) -> Resource | None:
    """Type `pods/exec`, name `namespace/name`; `*` stands for all of them; a path where there is no object."""
    kind = text(thing.get("resource"))
    if kind is None:
        path = text(record.get("requestURI"))
        return Resource("path", path.partition("?")[0]) if path else None
    subresource = text(thing.get("subresource"))
    namespace = text(thing.get("namespace"))
    name = text(thing.get("name")) or _created_name(record) or "*"
    return Resource(f"{kind}/{subresource}" if subresource else kind, f"{namespace}/{name}" if namespace else name)


def _created_name(record: Mapping[str, Any]) -> str | None:
    """The name of an object whose creation request names it only in its body."""
    if record.get("verb") != "create":
        return None
    for body in ("responseObject", "requestObject"):
        name = text(mapping(mapping(record.get(body)).get("metadata")).get("name"))
        if name:
            return name
    return None


def _session(user: Mapping[str, Any]) -> str | None:
    """The token, or on EKS the AWS session it stands for; a certificate (X509SHA256=) lasts long and is no session."""
    extra = mapping(user.get("extra"))
    token = text(first(extra.get("authentication.kubernetes.io/credential-id"))) or ""
    key = text(first(extra.get("accessKeyId"))) or ""
    return token if token.startswith("JTI=") else key if key.startswith("ASIA") else None
