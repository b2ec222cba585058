"""AWS CloudTrail: management, data, sign-in, service and Insights events."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from audit.event import ActorKind, AuditEvent, Identity, Outcome, Principal
from audit.sources.aws_resources import resource_of
from audit.sources.fields import NOBODY, Unreadable, address, instant, mapping, record_id, text

# Parts of error codes that say "not allowed"; anything else that went wrong is a failure.
_REFUSALS = ("accessdenied", "unauthorized", "notauthorized", "authorizationerror", "forbidden")
_ANONYMOUS = {"anonymous", "anonymous_principal"}
_FEDERATED_LOGINS = {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
_READS = ("Get", "List", "Describe", "Simulate", "Generate")
_GRANTING = {"iam.amazonaws.com", "sso.amazonaws.com", "sso-directory.amazonaws.com", "identitystore.amazonaws.com"}
_CLOUDTRAIL = Principal(id="cloudtrail.amazonaws.com", name="cloudtrail.amazonaws.com", kind="service")
_ANONYMOUS_ACTOR = Principal(id="anonymous", name="anonymous", kind="unknown", identity="anonymous")


def normalise(record: Mapping[str, Any], raw: bytes) -> list[AuditEvent]:
    """The event of one CloudTrail record.

    Raises:
        Unreadable: when it has no eventName (digest files, other products' reductions).
    """
    insight = mapping(record.get("insightDetails"))
    action = text(record.get("eventName")) or text(insight.get("eventName"))
    if action is None:
        raise Unreadable("it has no eventName: not a CloudTrail event")
    service = text(record.get("eventSource")) or text(insight.get("eventSource")) or "unknown"
    who = mapping(record.get("userIdentity"))
    account = text(record.get("recipientAccountId")) or text(who.get("accountId"))
    outcome = _outcome(record, action)
    return [
        AuditEvent(
            id=record_id(record.get("eventID"), raw),
            time=instant(record.get("eventTime")),
            source="cloudtrail",
            action=action,
            outcome=outcome,
            actor=_actor(record, who, service, _failed_login(action, service, outcome)),
            target=_target(record, action, who, account) if service in _GRANTING else None,
            resource=resource_of(service, mapping(record.get("requestParameters")), record.get("resources")),
            source_ip=address(record.get("sourceIPAddress")),
            user_agent=text(record.get("userAgent")),
            session_id=_session(who.get("accessKeyId")),
            account=account,
            raw=raw,
        )
    ]


def _outcome(record: Mapping[str, Any], action: str) -> Outcome:
    code = text(record.get("errorCode"))
    if code:
        return "denied" if _refused(code[:200]) else "failure"
    if text(record.get("errorMessage")):
        return "failure"
    response = record.get("responseElements")
    if type(response) is dict and response.get(action) == "Failure":  # {"ConsoleLogin": "Failure"}
        return "failure"
    return "success"


@lru_cache(maxsize=4096)
def _refused(code: str) -> bool:
    plain = code.lower()
    return plain in ("401", "403") or any(part in plain for part in _REFUSALS)


def _failed_login(action: str, service: str, outcome: Outcome) -> bool:
    return outcome != "success" and (service == "signin.amazonaws.com" or action in _FEDERATED_LOGINS)


def _session(key: object) -> str | None:
    """The access key of temporary credentials; a user's own key (AKIA) lasts for years and is no session."""
    return text(key) if type(key) is str and key.startswith("ASIA") else None


def _actor(record: Mapping[str, Any], who: Mapping[str, Any], service: str, failed_login: bool) -> Principal:
    kind = text(who.get("type"))
    invoker = text(who.get("invokedBy"))
    principal = text(who.get("principalId"))
    arn = text(who.get("arn"))
    if kind == "AWSService" or (invoker and not (arn or principal or kind)):
        name = invoker if invoker and invoker != "AWS Internal" else service
        return Principal(name, name, "service", "asserted")
    if not who:
        return _CLOUDTRAIL if "insightDetails" in record else NOBODY
    account = text(who.get("accountId"))
    if _is_anonymous(kind, account, principal):
        return _ANONYMOUS_ACTOR
    issuer = mapping(mapping(who.get("sessionContext")).get("sessionIssuer"))
    user = text(who.get("userName"))
    key = arn or _built_arn(record, kind, account, user) or _directory_user(who) or principal or user or account
    if key is None:
        return NOBODY
    name = user or text(issuer.get("userName")) or principal or key
    proven = _proven(record, who)
    identity: Identity = "anonymous" if failed_login else "verified" if proven else "asserted"
    return Principal(key, name, _kind(record, key, issuer, proven), identity)


def _is_anonymous(kind: str | None, account: str | None, principal: str | None) -> bool:
    if account and account.lower() in _ANONYMOUS:
        return True
    return kind == "AWSAccount" and not account and (not principal or principal.lower() in _ANONYMOUS)


def _built_arn(record: Mapping[str, Any], kind: str | None, account: str | None, user: str | None) -> str | None:
    """The ARN of a user or root whose record (a failed sign-in) leaves it out; a path is unknown then."""
    if account and kind == "Root":
        return f"arn:{_partition(record)}:iam::{account}:root"
    if account and user and kind == "IAMUser":
        return f"arn:{_partition(record)}:iam::{account}:user/{user}"
    return None


def _directory_user(who: Mapping[str, Any]) -> str | None:
    """The key of an IAM Identity Center user: directory and user id."""
    behalf = mapping(who.get("onBehalfOf"))
    store, user = text(behalf.get("identityStoreArn")), text(behalf.get("userId"))
    return f"{store}/user/{user}" if store and user else None


def _proven(record: Mapping[str, Any], who: Mapping[str, Any]) -> bool:
    """Whether the record itself says that a second factor was used."""
    attributes = mapping(mapping(who.get("sessionContext")).get("attributes"))
    if attributes.get("mfaAuthenticated") in ("true", True):
        return True
    extra = record.get("additionalEventData")
    return type(extra) is dict and extra.get("MFAUsed") == "Yes"


def _kind(record: Mapping[str, Any], key: str, issuer: Mapping[str, Any], proven: bool) -> ActorKind:
    if ":assumed-role/" in key:
        role = text(issuer.get("arn")) or ""
        if ":role/aws-service-role/" in role or ":assumed-role/AWSServiceRole" in key:
            return "service"
        if key.rpartition("/")[2].startswith("i-"):  # an EC2 instance acting by its own role
            return "service"
    console = record.get("eventType") == "AwsConsoleSignIn" or "sessionCredentialFromConsole" in record
    if proven or console or ":root" in key or "AWSReservedSSO_" in key:
        return "human"
    return "unknown"


def _target(record: Mapping[str, Any], action: str, who: Mapping[str, Any], account: str | None) -> Principal | None:
    """Whose access an IAM or Identity Center call changes; None for reads and for oneself."""
    if action.startswith(_READS):
        return None
    request = mapping(record.get("requestParameters"))
    user = text(request.get("userName"))
    if user is None:
        assigned = request.get("principalType") == "USER" or "memberId" in request
        key = text(request.get("principalId")) or text(mapping(request.get("memberId")).get("userId"))
        return Principal(key, key) if assigned and key else None
    if who.get("type") == "IAMUser" and user == text(who.get("userName")):
        return None
    created = mapping(mapping(record.get("responseElements")).get("user"))
    key = text(created.get("arn")) or f"arn:{_partition(record)}:iam::{account or ''}:user/{user}"
    return Principal(key, user)


def _partition(record: Mapping[str, Any]) -> str:
    region = record.get("awsRegion")
    if type(region) is str and region.startswith(("us-gov-", "cn-")):
        return "aws-us-gov" if region.startswith("us-gov-") else "aws-cn"
    return "aws"
