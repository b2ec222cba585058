"""Questions to people and what came of them, as Slack shows them; log text can neither ping, link nor format."""

from __future__ import annotations

from alerting.alert import Alert
from alerting.ask_notice import QUESTION, is_question
from alerting.interaction import value_of
from alerting.slack_message import Message, metadata
from alerting.slack_text import Block, button, context, header, literal, safe, section

YES, NO, REASON = "case.yes", "case.no", "case.reason"
_LINE, _LINES = 250, 10
_FINE_PRINT = (
    "Only you can answer. A yes closes this one alert, unless it is too grave for that; a no calls the security team "
    "at once. Nobody will ask you for a password, a code or a link here."
)
_YES_ME, _NO_ME = "Yes, it was me", "No, it was not me"
_YES_THEM, _NO_THEM = "Yes, I know of it", "No, I do not"
_ANSWERABLE = ("open", "acknowledged")


def render_ask(notice: Alert) -> Message:
    """At most five blocks: the question or news, what was seen, the buttons while an answer counts, the fine print."""
    sign = "❓" if is_question(notice) and notice.status == "open" else "🔴" if notice.severity == "critical" else "💬"
    title = f"{sign} {safe(notice.title, 140)}"
    lines = "\n".join(f"• {safe(line, _LINE)}" for line in notice.reasons[:_LINES])
    about = [safe(f"alert {notice.key}", 260)]
    blocks = [
        header(title),
        section(literal(safe(notice.summary, 600))),
        section(literal(lines or "-")),
        _buttons(notice),
        context([_FINE_PRINT, *about] if is_question(notice) else about),
    ]
    return Message(f"{title} {safe(notice.summary, 300)}", [one for one in blocks if one], metadata(notice))


def _buttons(notice: Alert) -> Block | None:
    """Both answers while one is waited for, the no alone while it may be said after all."""
    if not is_question(notice) or notice.status not in _ANSWERABLE:
        return None
    value = value_of(notice.key, 0, question=notice.id)
    words = (_YES_ME, _NO_ME) if notice.title == QUESTION["self"] else (_YES_THEM, _NO_THEM)
    yes, no = button(words[0], YES, value), button(words[1], NO, value, "danger")
    why = button("Give a reason", REASON, value)
    return {"type": "actions", "elements": [yes, no, why] if notice.status == "open" else [no]}
