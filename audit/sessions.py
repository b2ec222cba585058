"""What records say of sessions: which session an event hands out, and whether it ends its own.

A session that was handed out (an AWS role session, a token of a Kubernetes service account, a token of Entra) is used
under a name of its own; the record that hands it out is the only place where both stand together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from audit.event import AuditEvent
from audit.sources.fields import mapping, text

ENDS = {"okta": "user.session.end", "slack": "user_logout"}
"""The actions by which people end the session they are in."""
_STS = frozenset(
    {
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "GetFederationToken",
        "GetSessionToken",
        "GetCredentialsForIdentity",
    }
)
_STS_HOSTS = ("sts.amazonaws.com", "cognito-identity.amazonaws.com")
_SIGN_IN = "Sign-in activity"
ISSUING_ACTIONS = _STS | {_SIGN_IN}
ISSUING_RESOURCE = "serviceaccounts/token"
"""An event that hands out a session has one of these actions, or a resource of this type."""
_ISSUED_TOKEN = "authentication.kubernetes.io/issued-credential-id"  # noqa: S105  the name of an annotation


def issued(event: AuditEvent) -> str:
    """The id of the session a successful event hands out, as `session_id` of that session's events; "" for none."""
    hands_out = _HANDS_OUT.get(event.source)
    if hands_out is None or event.outcome != "success":
        return ""
    return hands_out(event)


def ends(event: AuditEvent) -> bool:
    """Whether somebody signs out of the session the event belongs to."""
    return event.action == ENDS.get(event.source) and event.outcome == "success"


def _by_aws(event: AuditEvent) -> str:
    """STS writes the key of the credentials it made; the long-lived keys that IAM makes (AKIA) are no sessions."""
    if event.action not in _STS:
        return ""
    record = _record(event)
    key = text(mapping(mapping(record.get("responseElements")).get("credentials")).get("accessKeyId")) or ""
    return key if key.startswith("ASIA") and record.get("eventSource") in _STS_HOSTS else ""


def _by_kubernetes(event: AuditEvent) -> str:
    """TokenRequest: the annotation names the new token as `credential-id` does later."""
    if event.resource is None or event.resource.type != ISSUING_RESOURCE:
        return ""
    return text(mapping(_record(event).get("annotations")).get(_ISSUED_TOKEN)) or ""


def _by_entra(event: AuditEvent) -> str:
    """A sign-in names its token, which Graph activity names again as `signInActivityId`."""
    if event.action != _SIGN_IN:
        return ""
    record = _record(event)
    token = record.get("uniqueTokenIdentifier") or mapping(record.get("properties")).get("uniqueTokenIdentifier")
    return (text(token) or "").rstrip("=")


def _record(event: AuditEvent) -> Mapping[str, Any]:
    try:
        return mapping(orjson.loads(event.raw))
    except orjson.JSONDecodeError:
        return {}


_HANDS_OUT: dict[str, Callable[[AuditEvent], str]] = {
    "cloudtrail": _by_aws,
    "kubernetes": _by_kubernetes,
    "entra": _by_entra,
}
