"""A digest, an escalation or another word of the desk itself as Slack shows it."""

from __future__ import annotations

from collections.abc import Iterator

from alerting import story
from alerting.alert import Alert
from alerting.notice import LINES, is_escalation
from alerting.slack_buttons import acknowledge
from alerting.slack_message import SIGN, Message, metadata
from alerting.slack_text import Block, context, header, literal, markup, safe, section, trusted

_LINE = 140  # twenty of them and a sign each stay below the 3,000 characters of a section
_TOLD = 3
_FACTS = ("Who", "So what", "Risk")


def render_notice(alert: Alert) -> Message:
    """What it is, its lines, and where to look further. Its id is in the metadata, as an alert's is."""
    title = f"{_sign(alert)} {safe(alert.title, 140)}"
    blocks = [header(title), *(_escalation(alert) if is_escalation(alert) else _digest(alert))]
    return Message(f"{title} ({alert.severity})", blocks, metadata(alert))


def _sign(alert: Alert) -> str:
    return "⏰" if is_escalation(alert) else "🔔" if alert.id.startswith("mute:") else "🗒️"


def _digest(alert: Alert) -> Iterator[Block]:
    """A line a kind of alert, its severity as a sign."""
    lines = [_signed(safe(line, _LINE)) for line in alert.reasons[:LINES]]
    yield section(literal("\n".join(lines) or "-"))
    yield context([safe(alert.summary.replace("`", '"'), 300)])


def _signed(line: str) -> str:
    for severity, sign in SIGN.items():
        if line.startswith(f"{severity}: "):
            return f"{sign} {line.removeprefix(f'{severity}: ')}"
    return f"• {line}"


def _escalation(alert: Alert) -> Iterator[Block]:
    """Enough to decide whether to get up: why it is told, who, so what; and the one button."""
    told = [f"*{label}* {trusted(line)}" for label, line in story.facts(alert, None) if label in _FACTS]
    why, *reasons = alert.reasons or ("-",)
    more = [f"and {len(reasons) - _TOLD} more reasons"] if len(reasons) > _TOLD else []
    yield section(literal("\n".join([safe(why, _LINE), *(f"• {safe(one, _LINE)}" for one in reasons[:_TOLD]), *more])))
    yield section(markup("\n".join(told)))
    if button := acknowledge(alert.key):
        yield button
    yield context(
        [safe(f"alert {alert.key}: its message has all of it, as has: auditwatch alerts show {alert.key}", 600)]
    )
