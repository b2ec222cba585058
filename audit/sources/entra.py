"""Microsoft Entra sign-in, audit and risk logs, from Azure diagnostic settings or the Graph API.

Everything else diagnostic settings export (Azure activity and resource logs) goes to azure.py: one export, one source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.event import AuditEvent, Identity, Outcome, Principal, Resource
from audit.sources import azure
from audit.sources.azure import moment
from audit.sources.entra_codes import judged
from audit.sources.fields import (
    NOBODY,
    Unreadable,
    country_code,
    endpoint,
    mapping,
    record_id,
    sequence,
    text,
)

_RISKS = {"UserRiskEvents", "ServicePrincipalRiskEvents", "RiskyUsers", "RiskyServicePrincipals"}
_RESULTS: dict[object, Outcome] = {"success": "success", "failure": "failure", "timeout": "failure"}
_REFUSALS = ("unauthorized", "denied", "forbidden", "insufficient priv")


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of one exported record, or of one signIn, directoryAudit or riskDetection of the Graph API.

    Raises:
        Unreadable: when it is none of these.
    """
    category = text(record.get("category")) or ""
    properties = mapping(record.get("properties"))
    if category.endswith("SignInLogs"):
        return [_sign_in(record, properties, raw)]
    if category == "AuditLogs":
        return [_audit(record, properties, raw)]
    if category in _RISKS:
        return [_risk(record, properties, raw)]
    if "operationName" in record or "EventName" in record:
        return [azure.activity(record, raw)]
    if "activityDisplayName" in record:
        return [_audit(record, record, raw)]
    if "riskEventType" in record:
        return [_risk(record, record, raw)]
    if "createdDateTime" in record and ("userPrincipalName" in record or "servicePrincipalId" in record):
        return [_sign_in(record, record, raw)]
    raise Unreadable("it has no operationName and is no object of the Graph API: not an Entra or Azure record")


def _sign_in(record: Mapping[str, Any], body: Mapping[str, Any], raw: bytes) -> AuditEvent:
    code = mapping(body.get("status")).get("errorCode")
    outcome, proven = judged(record.get("resultType") if code is None else code)
    place = mapping(body.get("location"))
    return AuditEvent(
        id=record_id(body.get("id"), raw),
        time=_time(record, "createdDateTime"),
        source="entra",
        action=text(record.get("operationName")) or "Sign-in activity",
        outcome=outcome,
        actor=_who_signs_in(body, _certainty(body, outcome, proven)),
        resource=_application(body),
        source_ip=endpoint(record.get("callerIpAddress")) or endpoint(body.get("ipAddress")),
        country=country_code(place.get("countryOrRegion")) or country_code(record.get("location")),
        asn=_asn(body.get("autonomousSystemNumber")),
        user_agent=text(body.get("userAgent")),
        session_id=text(body.get("sessionId")),
        account=text(record.get("tenantId")) or text(body.get("resourceTenantId")),
        raw=raw,
    )


def _time(record: Mapping[str, Any], otherwise: str) -> int:
    written = record.get("time")
    return moment(record.get(otherwise) if written is None else written)


def _certainty(body: Mapping[str, Any], outcome: Outcome, proven: bool) -> Identity:
    if not proven:
        return "anonymous"
    if outcome != "success":
        return "asserted"
    many = body.get("authenticationRequirement") == "multiFactorAuthentication"
    return "verified" if many or text(mapping(body.get("mfaDetail")).get("authMethod")) else "asserted"


def _who_signs_in(body: Mapping[str, Any], identity: Identity) -> Principal:
    user = _user(body, "userId", "userDisplayName", identity)
    if user is not None:
        return user
    key = text(body.get("servicePrincipalId")) or text(body.get("appId"))
    if key is None:
        return NOBODY
    name = text(body.get("servicePrincipalName")) or text(body.get("appDisplayName")) or key
    return Principal(key, name, "service", identity)


def _user(body: Mapping[str, Any], key: str, name: str, identity: Identity) -> Principal | None:
    """A user under his principal name, in lower case as the directory compares it, else under his object id."""
    login = text(body.get("userPrincipalName"))
    found = login.lower() if login else text(body.get(key))
    return Principal(found, text(body.get(name)) or login or found, "human", identity) if found else None


def _application(body: Mapping[str, Any]) -> Resource | None:
    name = text(body.get("appDisplayName")) or text(body.get("resourceDisplayName")) or text(body.get("appId"))
    return Resource("application", name) if name else None


def _asn(number: object) -> int | None:
    return number if type(number) is int and 0 < number < 2**32 else None


def _audit(record: Mapping[str, Any], body: Mapping[str, Any], raw: bytes) -> AuditEvent:
    starter = mapping(body.get("initiatedBy"))
    actor = _starter(starter, record.get("identity"))
    targets = [target for target in sequence(body.get("targetResources")) if type(target) is dict]
    address = endpoint(record.get("callerIpAddress")) or endpoint(mapping(starter.get("user")).get("ipAddress"))
    action = text(record.get("operationName")) or text(body.get("activityDisplayName"))
    if action is None:
        raise Unreadable("it has no operationName: not an Entra audit event")
    return AuditEvent(
        id=record_id(body.get("id"), raw),
        time=_time(record, "activityDateTime"),
        source="entra",
        action=action,
        outcome=_outcome(body),
        actor=actor,
        target=_target(targets, actor),
        resource=_resource(targets),
        source_ip=address,
        user_agent=text(body.get("userAgent")) or _detail(body.get("additionalDetails"), "User-Agent"),
        session_id=text(mapping(starter.get("linkableIdentifiers")).get("sessionId")),
        account=text(record.get("tenantId")),
        raw=raw,
    )


def _outcome(body: Mapping[str, Any]) -> Outcome:
    result = body.get("result")
    outcome = _RESULTS.get(result.lower(), "unknown") if type(result) is str else "unknown"
    if outcome == "failure":
        reason = (text(body.get("resultReason")) or "")[:200].lower()
        return "denied" if any(word in reason for word in _REFUSALS) else "failure"
    return outcome


def _starter(starter: Mapping[str, Any], written: object) -> Principal:
    user = mapping(starter.get("user"))
    found = _user(user, "id", "displayName", "asserted")
    if found is not None:
        return found
    app = mapping(starter.get("app"))
    name = text(app.get("displayName")) or text(user.get("displayName")) or text(written)
    key = text(app.get("servicePrincipalId")) or text(app.get("appId")) or name
    return Principal(key, name or key, "service") if key else NOBODY


def _target(targets: list[dict[str, Any]], actor: Principal) -> Principal | None:
    """The first user among the targets who is not the actor."""
    for target in targets:
        if _kind(target) == "User":
            user = _user(target, "id", "displayName", "asserted")
            if user is not None and user.id != actor.id:
                return user
    return None


def _resource(targets: list[dict[str, Any]]) -> Resource | None:
    """The first target that is no user (a role, a group, an application, a policy), else the user."""
    things = [target for target in targets if _kind(target) != "User"]
    for target in things or targets:
        name = text(target.get("displayName")) or text(target.get("userPrincipalName")) or text(target.get("id"))
        if name:
            return Resource(_kind(target) or "directory", name)
    return None


def _kind(target: Mapping[str, Any]) -> str | None:
    return text(target.get("type")) or text(target.get("Type"))


def _detail(details: object, key: str) -> str | None:
    for detail in map(mapping, sequence(details)):
        if detail.get("key") == key:
            return text(detail.get("value"))
    return None


def _risk(record: Mapping[str, Any], body: Mapping[str, Any], raw: bytes) -> AuditEvent:
    """A verdict of Identity Protection: nobody acts, somebody is suspected, so the actor is "anonymous"."""
    about_user = record.get("category") == "RiskyUsers"  # its id is the user's, not the record's
    risk = text(body.get("riskEventType")) or text(body.get("riskState")) or "unknown"
    return AuditEvent(
        id=record_id(None if about_user else body.get("id"), raw),
        time=_time(record, "activityDateTime"),
        source="entra",
        action=text(record.get("operationName")) or "User Risk Detection",
        outcome="unknown",
        actor=_suspect(body, "id" if about_user else "userId"),
        resource=Resource("risk", risk),
        source_ip=endpoint(record.get("callerIpAddress")) or endpoint(body.get("ipAddress")),
        country=country_code(mapping(body.get("location")).get("countryOrRegion")),
        account=text(record.get("tenantId")) or text(body.get("homeTenantId")),
        raw=raw,
    )


def _suspect(body: Mapping[str, Any], key: str) -> Principal:
    user = _user(body, key, "userDisplayName", "anonymous")
    app = text(body.get("servicePrincipalId")) or text(body.get("appId"))
    if user is None and app:
        return Principal(app, text(body.get("servicePrincipalDisplayName")) or app, "service", "anonymous")
    return user or NOBODY
