"""Everything about an alert as one file, for the thread of its message: the Alert line and the history of its case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alerting.alert import Alert, to_line
from alerting.case import standing
from alerting.interaction import Answer
from alerting.notifier import Permanent, Receipt
from alerting.plain import plain
from alerting.store import Entry
from alerting.thread import line
from audit.redact import redact_record

REMEMBERED = 1_000
_TEXT, _MANY = 2_000, 1_000

Attach = Callable[[Receipt, str, bytes], Awaitable[None]]


class Document(msgspec.Struct):
    """The file, as JSON. Events are in it in brief and redacted, as everywhere in alerts; raw records are not."""

    alert: msgspec.Raw
    history: list[str]


def document(entry: Entry) -> bytes:
    """Indented JSON, for people and programs: redacted, printable and bounded, as it leaves the program here."""
    history = [line(step) for step in entry.case.steps]
    alert = msgspec.json.decode(to_line(standing(entry.alert, entry.case)))
    told = Document(msgspec.Raw(msgspec.json.encode(_shown(redact_record(alert)))), history)
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _shown(value: Any) -> Any:
    """Nothing invisible and nothing endless: people look at it where they look at the message."""
    if isinstance(value, str):
        return plain(value, _TEXT)
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value[:_MANY]] if isinstance(value, list) else value


@dataclass(slots=True)
class Evidence:
    """Puts the file into the thread; the same state of an alert only once, as far as this process remembers."""

    attach: Attach
    _there: dict[str, tuple[int, int]] = field(default_factory=dict)

    async def show(self, entry: Entry) -> Answer:
        """For Casework.

        Raises:
            Retry: Slack is away.
        """
        alert, state = entry.alert, (entry.alert.revision, entry.case.version)
        if entry.receipt is None or not entry.receipt.posted:
            return Answer("The alert has no message yet.")
        if self._there.get(alert.id) == state:
            return Answer("The evidence is in the thread already, and nothing has changed since.")
        while len(self._there) >= REMEMBERED:
            del self._there[next(iter(self._there))]
        self._there[alert.id] = state  # before it is: two who click at once
        try:
            await self.attach(entry.receipt, file_name(alert), document(entry))
        except Exception as problem:
            self._there.pop(alert.id, None)
            if not isinstance(problem, Permanent):
                raise
            return Answer(f"Slack takes no file: {problem}. `auditwatch alerts show {_name(alert.id)} --json` has it.")
        return Answer()


def file_name(alert: Alert) -> str:
    """One for each revision."""
    return f"alert-{_name(alert.id)}-revision-{alert.revision}.json"


def _name(alert_id: str) -> str:
    """What may stand in the name of a file."""
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in alert_id)[:60]
