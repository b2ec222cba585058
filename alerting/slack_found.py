"""What a message that was found in Slack's history says of itself. Anybody may have written it."""

from __future__ import annotations

from typing import Any

from alerting.notifier import Receipt
from alerting.slack_message import EVENT_TYPE, NOTICE_TYPE
from audit.finding import SEVERITIES

STEP_TYPE = "auditwatch_step"
"""The metadata of a reply that tells steps of a case."""
FAR = 9e9


def posted_at(message: dict[str, Any]) -> float:
    """When a message was posted, by Slack's clock; what does not say so leaves everything before it unknown."""
    try:
        return float(message["ts"])
    except (KeyError, TypeError, ValueError):
        return FAR


def shown_by(message: dict[str, Any], channel: str) -> tuple[str, Receipt] | None:
    """The alert or notice a message shows, and what stands for it; None where it shows none of ours."""
    payload = payload_of(message, EVENT_TYPE) or payload_of(message, NOTICE_TYPE)
    revision, severity, ts = payload.get("revision"), payload.get("severity"), message.get("ts")
    if not (type(revision) is int and severity in SEVERITIES and ts):
        return None
    return str(payload.get("alert_id")), Receipt(revision, severity, channel, str(ts))


def payload_of(message: dict[str, Any], kind: str) -> dict[str, Any]:
    """What its metadata holds, if it is of this kind; else nothing."""
    metadata = message.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    return payload if isinstance(payload, dict) and metadata and metadata.get("event_type") == kind else {}
