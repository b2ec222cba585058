"""Okta System Log (LogEvent objects)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.countries import COUNTRIES
from audit.event import ActorKind, AuditEvent, Identity, Outcome, Principal, Resource
from audit.sources.fields import NOBODY, Unreadable, address, country_code, instant, mapping, record_id, sequence, text

_OUTCOMES: dict[object, Outcome] = {
    "SUCCESS": "success",
    "ALLOW": "success",
    "FAILURE": "failure",
    "RATE_LIMIT": "failure",
    "DENY": "denied",
}
_LOGINS = ("user.session.start", "user.authentication.", "user.account.lock")
_STRONG_CREDENTIALS = {"OTP", "SMS", "CERTIFICATE", "WEBAUTHN"}
_PEOPLE = {"User", "AppUser"}
_UNNAMED = {None, "unknown", "None", "null"}


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of one System Log record.

    Raises:
        Unreadable: when it has no eventType.
    """
    action = text(record.get("eventType"))
    if action is None:
        raise Unreadable("it has no eventType: not an Okta System Log event")
    outcome = _outcome(mapping(record.get("outcome")), action)
    authentication = mapping(record.get("authenticationContext"))
    actor = _actor(mapping(record.get("actor")), _identity(action, outcome, authentication))
    client = mapping(record.get("client"))
    targets = [target for target in sequence(record.get("target")) if type(target) is dict]
    session = text(authentication.get("externalSessionId"))
    return [
        AuditEvent(
            id=record_id(record.get("uuid"), raw),
            time=instant(record.get("published")),
            source="okta",
            action=action,
            outcome=outcome,
            actor=actor,
            target=_target(targets, actor, mapping(record.get("actor"))),
            resource=_resource(targets),
            source_ip=address(client.get("ipAddress")),
            country=_country(mapping(client.get("geographicalContext")).get("country")),
            asn=_asn(mapping(record.get("securityContext")).get("asNumber")),
            user_agent=text(mapping(client.get("userAgent")).get("rawUserAgent")),
            session_id=None if session in _UNNAMED else session,
            raw=raw,
        )
    ]


def _outcome(outcome: Mapping[str, Any], action: str) -> Outcome:
    result = outcome.get("result")
    verdict = _OUTCOMES.get(result, "unknown") if type(result) is str else "unknown"
    if verdict == "failure":
        reason = text(outcome.get("reason")) or ""
        if "unauth" in action or "access_denied" in reason.lower().replace(" ", "_"):
            return "denied"
    return verdict


def _identity(action: str, outcome: Outcome, authentication: Mapping[str, Any]) -> Identity:
    if outcome in ("failure", "denied") and action.startswith(_LOGINS):
        return "anonymous"
    if outcome == "success" and (
        action == "user.authentication.auth_via_mfa"
        or text(authentication.get("credentialType")) in _STRONG_CREDENTIALS
    ):
        return "verified"
    return "asserted"


def _actor(actor: Mapping[str, Any], identity: Identity) -> Principal:
    kind = text(actor.get("type"))
    login, key = text(actor.get("alternateId")), text(actor.get("id"))
    if kind == "User" and login not in _UNNAMED:
        key = str(login).lower()
    elif key in _UNNAMED:
        key = login
    if key is None or key in _UNNAMED:
        return NOBODY
    named: ActorKind = "human" if kind == "User" else "service" if kind else "unknown"
    return Principal(key, _name(actor, key), named, identity)


def _name(someone: Mapping[str, Any], otherwise: str) -> str:
    for field in ("displayName", "alternateId"):
        name = text(someone.get(field))
        if name is not None and name not in _UNNAMED:
            return name
    return otherwise


def _target(targets: list[dict[str, Any]], actor: Principal, written: Mapping[str, Any]) -> Principal | None:
    """The first user among the targets who is not the actor."""
    for target in targets:
        if target.get("type") != "User":
            continue
        login, key = text(target.get("alternateId")), text(target.get("id"))
        if key is not None and key == text(written.get("id")) and login == text(written.get("alternateId")):
            continue
        name = login.lower() if login is not None and login not in _UNNAMED else key
        if name is not None and name != actor.id:
            return Principal(name, _name(target, name), "human")
    return None


def _resource(targets: list[dict[str, Any]]) -> Resource | None:
    """The first target that is no person (an app, a group, a policy), else the person."""
    things = [target for target in targets if text(target.get("type")) not in _PEOPLE]
    for target in things or targets:
        kind = text(target.get("type"))
        name = _name(target, text(target.get("id")) or "")
        if kind and name:
            return Resource(kind, name)
    return None


def _country(name: object) -> str | None:
    return COUNTRIES.get(name) or country_code(name) if type(name) is str else None


def _asn(number: object) -> int | None:
    return number if type(number) is int and 0 < number < 2**32 else None
