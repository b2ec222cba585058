"""A digest or an escalation as Slack shows it."""

from __future__ import annotations

from alerting.alert import Alert
from alerting.notice import LINES, is_escalation
from alerting.slack_message import EVENT_TYPE, Message, safe

_LINE = 140  # twenty of them and a bullet each stay below the 3,000 characters of a section


def render_notice(alert: Alert) -> Message:
    """Three blocks: what it is, its lines, and where to look further. Its id is in the metadata, as an alert's is."""
    sign = "⏰" if is_escalation(alert) else "🗒️"
    title = f"{sign} {safe(alert.title, 140)}"
    lines = "\n".join(f"• {safe(line, _LINE)}" for line in alert.reasons[:LINES])
    about = [safe(alert.summary, 300)]
    if is_escalation(alert):
        about.append(safe(f"alert {alert.key}: acknowledge it in its channel or with auditwatch alerts ack", 300))
    return Message(
        text=f"{title} ({alert.severity})",
        blocks=[
            {"type": "header", "text": _plain(title)},
            {"type": "section", "text": _plain(lines or "-")},
            {"type": "context", "elements": [_plain(part) for part in about]},
        ],
        metadata={
            "event_type": EVENT_TYPE,
            "event_payload": {"alert_id": alert.id, "revision": alert.revision, "severity": alert.severity},
        },
    )


def _plain(text: str) -> dict[str, object]:
    return {"type": "plain_text", "text": text, "emoji": False}
