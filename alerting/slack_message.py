"""An alert as Slack shows it: what happened to whom, why that is told, what to do, and the buttons that close it.

At most eight blocks within Slack's limits. Log text is in plain text objects or between backticks, neither of which
Slack interprets. docs/alerts.md shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from alerting import story
from alerting.advice import what_to_do
from alerting.alert import Alert
from alerting.case import Case, standing
from alerting.notice import is_notice
from alerting.slack_buttons import buttons
from alerting.slack_text import (
    Block,
    code,
    context,
    fitted,
    header,
    indented,
    literal,
    markup,
    safe,
    section,
    trusted,
    unticked,
)
from alerting.story_numbers import bars, events
from audit.finding import Severity

__all__ = ["EVENT_TYPE", "NOTICE_TYPE", "SIGN", "Message", "metadata", "render", "safe", "without_blocks"]

EVENT_TYPE, NOTICE_TYPE = "auditwatch_alert", "auditwatch_notice"
"""The metadata of a root message: that of an alert, and of what the desk itself tells."""

SIGN: dict[Severity, str] = {"low": "🔵", "medium": "🟡", "high": "🟠", "critical": "🔴"}
_HEADER, _LINE, _EVENT, _WHO = 150, 300, 200, 60
_SECTION = 2_900
"""Slack allows a section 3,000."""
_TEXT = 900
_UNFORMATTED = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼", "`": "'"})
_FIRST = 150
"""What a phone shows of a notification; all of it is far below the 4,000 bytes that chat.update takes."""


class Message(msgspec.Struct, frozen=True):
    """What Slack gets: `text` for notifications and as a fallback, `blocks`, and metadata to find it again."""

    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]


def render(alert: Alert, case: Case | None = None) -> Message:
    """The alert where `case` stands (without one: as the alert says), within Slack's limits whatever is in it."""
    alert = standing(alert, case)
    return Message(
        text=_notification(alert, case),
        blocks=[block for block in _blocks(alert, case) if block],
        metadata=metadata(alert),
    )


def metadata(alert: Alert) -> dict[str, Any]:
    """What the message is found by again; everybody in the workspace can read it."""
    return {
        "event_type": NOTICE_TYPE if is_notice(alert) else EVENT_TYPE,
        "event_payload": {"alert_id": alert.id, "revision": alert.revision, "severity": alert.severity},
    }


def without_blocks(message: Message) -> Message:
    """What is left when Slack refuses the blocks: their lines as text, in which nothing formats.

    900 characters stay under chat.update's 4,000 bytes.
    """
    texts = [block["text"]["text"] for block in message.blocks if block["type"] == "section" and "text" in block]
    lines = "\n".join([message.text, *texts]).translate(_UNFORMATTED).splitlines()
    return Message(fitted(lines, _TEXT), [], message.metadata)


def _verdict(alert: Alert) -> str:
    sign = "✅" if alert.status == "resolved" else SIGN[alert.severity]
    return f"{sign} {alert.severity.capitalize()}: "


def _notification(alert: Alert, case: Case | None) -> str:
    """The verdict in the first 150 characters, then how it stands, or why."""
    who, then = safe(alert.principal or alert.entity, _WHO), story.state(alert, case).replace("`", "")
    if alert.status == "open":
        then = (alert.reasons or (alert.summary,))[0]
    title = safe(alert.title, _FIRST - len(who) - len(_verdict(alert)) - len(" (, risk 100).") - 1)
    return f"{_verdict(alert)}{title} ({who}, risk {alert.risk}). {safe(then, _LINE)}"


def _blocks(alert: Alert, case: Case | None) -> Iterator[Block | None]:
    yield header(_verdict(alert) + safe(alert.title, _HEADER - 16))
    yield section(markup("\n".join(f"*{label}* {trusted(line)}" for label, line in story.facts(alert, case))))
    yield section(literal(_why(alert)))
    yield _box("Usual against now", "", bars(alert.measures))
    steps = what_to_do(alert)
    yield section(literal("\n".join(["👉 What to do", *_numbered(steps)]))) if steps else None
    yield buttons(alert, case)
    yield _box("Events", *events(alert))
    yield context(["\n".join(safe(line, 2 * _LINE) for line in story.fine_print(alert))])


def _why(alert: Alert) -> str:
    """The summary is shown where it says more than the title: where it came from elsewhere."""
    own = alert.summary and alert.title not in alert.summary
    told = [*([alert.summary] if own else []), *story.outline(story.why(alert))] or [alert.title]
    return fitted(["🔎 Why this alert", *(indented(line, _LINE) for line in told)], _SECTION)


def _box(label: str, about: str, told: list[str]) -> Block | None:
    """Lines in type of even width, and what holds for all of them."""
    if not told:
        return None
    head = f"*{label}*" + (f" `{code(about, _EVENT)}`" if about else "")
    lines = fitted([indented(unticked(line), _EVENT) for line in told], _SECTION - len(head))
    return section(markup(f"{head}\n```{lines}```"))


def _numbered(steps: tuple[str, ...]) -> Iterator[str]:
    return (f"{number}. {safe(step, _LINE)}" for number, step in enumerate(steps, start=1))
