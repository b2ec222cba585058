"""The notifier for a terminal: what Slack would show, as a coloured block of text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from alerting import story
from alerting.advice import what_to_do
from alerting.alert import Alert
from alerting.case import Case, standing
from alerting.notice import is_notice
from alerting.notifier import Permanent, Receipt
from alerting.plain import plain
from alerting.story_numbers import bars, events
from audit.finding import Severity

_STYLE: dict[Severity, str] = {
    "low": "bold blue",
    "medium": "bold yellow",
    "high": "bold dark_orange",
    "critical": "bold white on red",
}


class ConsoleNotifier:
    """Writes each alert to a text stream, in colour where the stream is a terminal."""

    pace = edit_pace = post_pace = 0.0
    fallback = "console"

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, emoji=False, markup=False)

    def channel(self, alert: Alert) -> str:
        """Always the one console."""
        return "console"

    async def find(self, alert_ids: Collection[str], channel: str, since: int) -> dict[str, Receipt]:
        """None: a terminal cannot be asked what it shows."""
        return {}

    async def deliver(self, alert: Alert, channel: str, previous: Receipt | None, case: Case | None = None) -> Receipt:
        """Writes the block; a newer revision of what was already shown is written again and marked.

        Raises:
            Permanent: when the stream is closed.
        """
        try:
            self._console.print(render(alert, case, again=previous is not None), soft_wrap=True)
        except (OSError, ValueError) as error:
            raise Permanent(f"the console cannot be written to: {error}") from error
        return Receipt(alert.revision, alert.severity, "console", alert.id)


def render(alert: Alert, case: Case | None = None, *, again: bool = False) -> Text:
    """The alert as a block of lines in the order of Slack's; nothing from the log can colour, move or hide anything."""
    alert = standing(alert, case)
    text = Text(end="\n")
    text.append(f" {alert.severity.upper()} ", _STYLE[alert.severity])
    text.append(f" {plain(alert.title, 200)}", "bold")
    text.append(" (update)\n" if again else "\n", "dim")
    for label, value in _notice(alert) if is_notice(alert) else _lines(alert, case):
        text.append(f"  {label:<10}", "cyan")
        text.append(f" {value}\n")
    return text


def _notice(alert: Alert) -> Iterator[tuple[str, str]]:
    if alert.summary:
        yield "what", plain(alert.summary, 500)
    yield from _labelled("why", [f"- {plain(reason, 400)}" for reason in alert.reasons])


def _lines(alert: Alert, case: Case | None) -> Iterator[tuple[str, str]]:
    """As in alerting/slack_message.py."""
    for label, line in story.facts(alert, case):
        yield label.lower(), line.replace("`", "")
    if alert.summary and alert.title not in alert.summary:
        yield "what", plain(alert.summary, 500)
    yield from _labelled("why", [line.replace("• ", "- ", 1) for line in story.outline(story.why(alert))])
    yield from _labelled("numbers", bars(alert.measures))
    yield from _labelled("what to do", [f"{number}. {step}" for number, step in enumerate(what_to_do(alert), start=1)])
    shared, told = events(alert)
    yield from _labelled("events", [*([shared] if shared else []), *told])
    yield from _labelled("", list(story.fine_print(alert)))


def _labelled(label: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines):
        yield "" if number else label, line
