"""Azure activity logs and resource logs (Key Vault, Microsoft Graph activity, storage, ...), REST form included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from audit.event import ActorKind, AuditEvent, Identity, Outcome, Principal, Resource
from audit.sources.fields import NOBODY, Unreadable, endpoint, instant, mapping, record_id, text

_XML = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
_LOGINS = (_XML + "upn", "upn", "unique_name", _XML + "name")
_OBJECTS = (_MICROSOFT + "objectidentifier", "oid")
_FACTORS = ("http://schemas.microsoft.com/claims/authnmethodsreferences", "amr")
_CODES = ("httpStatusCode", "responseStatusCode", "statusCode")
_RESULTS: dict[str, Outcome] = {
    "0": "success",
    "success": "success",
    "succeeded": "success",
    "failure": "failure",
    "failed": "failure",
}
_REFUSALS = ("forbidden", "unauthorized", "authorizationfailed", "denied")
_US = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) ([0-9]{1,2}):([0-9]{2}):([0-9]{2}) ([AP])M(?: \+00:00)?")


def activity(record: Mapping[str, Any], raw: bytes) -> AuditEvent:
    """The event of one activity or resource log record.

    Raises:
        Unreadable: when it names no operation.
    """
    action = _word(record.get("operationName")) or text(record.get("EventName"))
    if action is None:
        raise Unreadable("it has no operationName: not an Azure log record")
    properties = mapping(record.get("properties"))
    claims = _claims(record)
    resource = text(record.get("resourceId"))
    return AuditEvent(
        id=record_id(record.get("eventDataId") or properties.get("requestId"), raw),
        time=moment(_first(record, ("time", "eventTimestamp", "EventTimeString"))),
        source="entra",
        action=action,
        outcome=_outcome(record, properties),
        actor=_actor(record, properties, claims),
        resource=_resource(properties, resource),
        source_ip=_address(record, properties, claims),
        user_agent=_text_of(properties, ("userAgent", "clientInfo", "userAgentHeader")),
        session_id=_session(properties),
        account=_subscription(resource) or text(record.get("tenantId")),
        raw=raw,
    )


def _session(properties: Mapping[str, Any]) -> str | None:
    """The token of a Graph request, named by the sign-in it came of (`uniqueTokenIdentifier`); some logs pad it."""
    token = text(properties.get("signInActivityId"))
    return token.rstrip("=") or None if token else None


def moment(value: object) -> int:
    """As `fields.instant`, and for the American form of some exports: 8/22/2022 6:11:52 PM (UTC)."""
    found = _US.fullmatch(value) if type(value) is str and "/" in value[:3] else None
    if found is None:
        return instant(value)
    month, day, year, hour, minute, second = (int(part) for part in found.groups()[:6])
    hour = hour % 12 + (12 if found[7] == "P" else 0)
    return instant(f"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")


def _word(value: object) -> str | None:
    """A text, or the value of {"value": ..., "localizedValue": ...} as the REST API writes it."""
    return text(value.get("value") if type(value) is dict else value)


def _first(record: Mapping[str, Any], fields: Iterable[str]) -> object:
    return next((record[field] for field in fields if record.get(field) is not None), None)


def _text_of(record: Mapping[str, Any], fields: Iterable[str]) -> str | None:
    for field in fields:
        found = text(record.get(field))
        if found is not None:
            return found
    return None


def _claims(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the caller's token says: identity.claims, identity.claim (Key Vault) or claims (REST)."""
    identity = mapping(record.get("identity"))
    return mapping(identity.get("claims")) or mapping(identity.get("claim")) or mapping(record.get("claims"))


def _outcome(record: Mapping[str, Any], properties: Mapping[str, Any]) -> Outcome:
    """By code and signature where there are any: Key Vault writes resultType Success beside 403 Forbidden."""
    signature = record.get("resultSignature")
    code = _code(_first(properties, _CODES)) or _code(record.get("statusCode")) or _code(signature)
    said = f"{text(signature) or ''} {text(properties.get('statusCode')) or ''}"[:200].lower()
    if code in (401, 403) or any(word in said for word in _REFUSALS):
        return "denied"
    if code is not None and code >= 400:
        return "failure"
    result = _word(record.get("resultType")) or _word(record.get("status")) or text(record.get("Status")) or ""
    return _RESULTS.get(result.lower(), "unknown" if code is None else "success")


def _code(value: object) -> int | None:
    if type(value) is str and len(value) == 3 and value.isascii() and value.isdecimal():
        return int(value)
    return value if type(value) is int and 100 <= value < 600 else None


def _actor(record: Mapping[str, Any], properties: Mapping[str, Any], claims: Mapping[str, Any]) -> Principal:
    login = _text_of(claims, _LOGINS)
    if login is not None:
        login = login.removeprefix("live.com#")
        factors = _text_of(claims, _FACTORS) or ""
        return Principal(login.lower(), text(claims.get("name")) or login, "human", _certainty(factors))
    caller = text(record.get("caller")) or text(record.get("Caller"))
    evidence = mapping(mapping(mapping(record.get("identity")).get("authorization")).get("evidence"))
    key = caller or _text_of(claims, _OBJECTS) or text(evidence.get("principalId")) or text(claims.get("appid"))
    if key is not None:
        return Principal(key.lower() if "@" in key else key, key, _kind(key, evidence, claims))
    user = text(properties.get("userId")) or text(properties.get("UserPrincipalObjectID"))
    if user is not None:
        return Principal(user, user, "human")
    key = text(properties.get("servicePrincipalId")) or text(properties.get("appId"))
    starter = text(mapping(properties.get("initiatedBy")).get("Name"))
    name = key or starter or text(record.get("identity"))
    return Principal(name, name, "service" if key or starter else "unknown") if name else NOBODY


def _certainty(factors: str) -> Identity:
    return "verified" if "mfa" in factors.split(",") else "asserted"


def _kind(key: str, evidence: Mapping[str, Any], claims: Mapping[str, Any]) -> ActorKind:
    if evidence.get("principalType") == "ServicePrincipal" or claims.get("appidacr") in ("1", "2"):
        return "service"
    if "/" in key or _XML + "spn" in claims:
        return "service"
    return "human" if "@" in key else "unknown"


def _resource(properties: Mapping[str, Any], resource: str | None) -> Resource | None:
    """The object in a key vault, else the Azure resource (ids are compared without case, so they are lowered)."""
    thing = text(properties.get("id"))
    if thing and thing.startswith("https://"):
        return Resource("microsoft.keyvault/object", thing)
    if resource is None:
        return None
    path = resource.lower().strip("/").split("/")
    after = path.index("providers") + 1 if "providers" in path else len(path)
    kind = "/".join(path[after : after + 1] + path[after + 1 :: 2])
    return Resource(kind or "subscription", "/" + "/".join(path))


def _subscription(resource: str | None) -> str | None:
    parts = resource.split("/", 3) if resource else []
    return parts[2].lower() if len(parts) > 2 and parts[1].lower() == "subscriptions" and parts[2] else None


def _address(record: Mapping[str, Any], properties: Mapping[str, Any], claims: Mapping[str, Any]) -> str | None:
    return (
        endpoint(record.get("callerIpAddress"))
        or endpoint(mapping(record.get("httpRequest")).get("clientIpAddress"))
        or endpoint(claims.get("ipaddr"))
        or endpoint(properties.get("ipAddress") or properties.get("clientIP"))
    )
