"""The notifier for a terminal: what Slack would show, as a coloured block of text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TextIO

from rich.console import Console
from rich.text import Text

from alerting.advice import what_to_do
from alerting.alert import Alert
from alerting.notice import is_notice
from alerting.notifier import Permanent, Receipt
from alerting.plain import plain
from audit.event import rfc3339
from audit.finding import Severity

_STYLE: dict[Severity, str] = {
    "low": "bold blue",
    "medium": "bold yellow",
    "high": "bold dark_orange",
    "critical": "bold white on red",
}
_REASONS = 8


class ConsoleNotifier:
    """Writes each alert to a text stream, in colour where the stream is a terminal."""

    pace = 0.0
    fallback = "console"

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, emoji=False, markup=False)

    def channel(self, alert: Alert) -> str:
        """Always the one console."""
        return "console"

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        """None: a terminal cannot be asked what it shows."""
        return {}

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None) -> Receipt:
        """Writes the block; a newer revision of what was already shown is written again and marked.

        Raises:
            Permanent: when the stream is closed.
        """
        try:
            self._console.print(render(alert, again=previous is not None), soft_wrap=True)
        except (OSError, ValueError) as error:
            raise Permanent(f"the console cannot be written to: {error}") from error
        return Receipt(alert.revision, alert.severity, "console", alert.id)


def render(alert: Alert, *, again: bool = False) -> Text:
    """The alert as a block of about a dozen lines; nothing from the log can colour, move or hide anything."""
    text = Text(end="\n")
    text.append(f" {alert.severity.upper()} ", _STYLE[alert.severity])
    text.append(f" {plain(alert.title, 200)}", "bold")
    text.append(" (update)\n" if again else "\n", "dim")
    for label, value in _lines(alert):
        text.append(f"  {label:<10}", "cyan")
        text.append(f" {value}\n")
    return text


def _lines(alert: Alert) -> Iterator[tuple[str, str]]:
    if is_notice(alert):
        yield "what", plain(alert.summary, 500)
        yield from _labelled("why", [plain(reason, 400) for reason in alert.reasons])
        return
    yield "who", plain(alert.principal or "-", 200)
    if alert.entity != f"user:{alert.principal}":
        yield "where", plain(alert.entity, 200)
    yield "what", plain(alert.summary or alert.title, 500)
    yield "risk", f"{alert.risk} of 100, findings: {alert.count}, events: {len(alert.event_ids)}, {alert.status}"
    yield "since", rfc3339(min((finding.time for finding in alert.findings), default=alert.time))
    yield from _labelled("why", [plain(reason, 400) for reason in alert.reasons[:_REASONS]])
    if len(alert.reasons) > _REASONS:
        yield "", f"and {len(alert.reasons) - _REASONS} more"
    yield from _labelled("what to do", what_to_do(alert))
    authors = dict.fromkeys(plain(finding.author, 100) for finding in alert.findings if finding.author)
    if authors:
        yield "rules by", plain(", ".join(authors), 1000)
    if alert.attack:
        yield "ATT&CK", plain(", ".join(alert.attack), 200)
    yield "alert", plain(f"{alert.id} revision {alert.revision}", 240)


def _labelled(label: str, values: list[str] | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for number, value in enumerate(values):
        yield "" if number else label, f"- {value}"
