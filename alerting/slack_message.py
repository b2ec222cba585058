"""An alert as Slack shows it: blocks within Slack's limits, in which log text can neither ping, link nor format."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from alerting.advice import what_to_do
from alerting.alert import Alert
from alerting.plain import plain
from audit.event import rfc3339
from audit.finding import Severity

EVENT_TYPE = "auditwatch_alert"

_SIGN: dict[Severity, str] = {"low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINK = re.compile(r"http(s?)://", re.IGNORECASE)
_HEADER, _TEXT, _FIELD, _LINE = 150, 300, 300, 300  # Slack allows 150, 4000, 2000, 3000 for a whole section
_LINES = 8


class Message(msgspec.Struct, frozen=True):
    """What Slack gets: `text` for notifications and as a fallback, `blocks`, and metadata to find it again."""

    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]


def safe(text: str, limit: int) -> str:
    """Log text for Slack: plain, escaped, links broken, at most `limit` UTF-16 units after escaping."""
    text = _LINK.sub(r"hxxp\1://", plain(text, limit)) or "-"
    pieces: list[str] = []
    room = limit
    for char in text:
        piece = _ENTITIES.get(char, char)
        room -= len(piece.encode("utf-16-le")) // 2
        if room < 1:
            return "".join(pieces) + "…"
        pieces.append(piece)
    return "".join(pieces)


def render(alert: Alert) -> Message:
    """The alert as at most 8 blocks: verdict, who and what, why, what to do, detections, fine print.

    Always within Slack's limits; nothing from the log can ping, link or format. Log text is in plain text objects or
    in code spans, which Slack does not interpret.
    """
    sign = "✅" if alert.status == "resolved" else _SIGN[alert.severity]
    verdict = f"{sign} {alert.severity.capitalize()}: "
    title = safe(alert.title, _HEADER - len(verdict) - 1)
    who = safe(alert.principal or alert.entity, 80)
    blocks = [
        {"type": "header", "text": _plain_text(verdict + title)},
        _section(safe(alert.summary or alert.title, 600)),
        {"type": "section", "fields": _fields(alert)},
        _section(_list("Why this alert", alert.reasons or (alert.title,))),
        _section(_list("What to do", what_to_do(alert))),
        _section(_list("Detections", map(_detection, alert.findings))) if alert.findings else None,
        {
            "type": "context",
            "elements": [_plain_text(part) for part in (_fine_print(alert), _hidden_authors(alert)) if part],
        },
    ]
    return Message(
        text=f"{verdict}{safe(alert.title, _TEXT // 3)} ({who}, risk {alert.risk})",
        blocks=[block for block in blocks if block],
        metadata={
            "event_type": EVENT_TYPE,
            "event_payload": {"alert_id": alert.id, "revision": alert.revision, "severity": alert.severity},
        },
    )


def without_blocks(message: Message) -> Message:
    """What is left when Slack refuses the blocks: their text. 900 characters stay under chat.update's 4,000 bytes."""
    texts = [block["text"]["text"] for block in message.blocks if block["type"] == "section" and "text" in block]
    return Message("\n".join([message.text, *texts])[:900], [], message.metadata)


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain_text(text)}


def _fields(alert: Alert) -> list[dict[str, Any]]:
    since = min((finding.time for finding in alert.findings), default=alert.time)
    state = f"{alert.status} ({alert.resolution})" if alert.resolution else alert.status
    rows = {
        "Who": alert.principal or "-",
        "Where": alert.entity,
        "Risk": f"{alert.risk} of 100",
        "Findings": f"{alert.count}, events {len(alert.event_ids)}",
        "Since": rfc3339(since),
        "State": state,
    }
    return [
        {"type": "mrkdwn", "text": f"*{label}*\n`{_code(value)}`", "verbatim": True} for label, value in rows.items()
    ]


def _code(text: str) -> str:
    return safe(text.replace("`", "'"), _FIELD)


def _list(label: str, lines: Iterable[str]) -> str:
    lines = list(lines)
    more = [f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
    return "\n".join([label, *(f"• {safe(line, _LINE)}" for line in lines[:_LINES]), *more])


def _detection(finding: Any) -> str:
    author = f", rule by {plain(finding.author, 80)}" if finding.author else ""
    return f"{plain(finding.title, 120)} ({finding.severity}, risk {finding.risk}){author}"


def _hidden_authors(alert: Alert) -> str:
    """The authors of the detections that the list leaves out: their licence asks that they are named."""
    shown = {finding.author for finding in alert.findings[:_LINES]}
    hidden = dict.fromkeys(plain(one.author, 80) for one in alert.findings[_LINES:] if one.author not in shown)
    return safe(f"more rules by {', '.join(filter(None, hidden))}", 1000) if any(hidden) else ""


def _fine_print(alert: Alert) -> str:
    attack = f"ATT&CK {', '.join(alert.attack)} · " if alert.attack else ""
    version = msgspec.structs.asdict(alert.version)
    made = ", ".join(f"{part} {hashed[:12] or '-'}" for part, hashed in version.items())
    return safe(f"{attack}alert {alert.id} revision {alert.revision} · {made}", 600)
