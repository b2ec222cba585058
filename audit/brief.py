"""An event and a number in brief: what people are shown of what an alert rests on.

Built where a finding is made, so that the raw record need not travel. All text is redacted, printable and short.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from audit.event import AuditEvent
from audit.redact import redact

_LONG, _SHORT = 120, 60
_OFTEN = 200
"""Longer texts are not remembered."""
LONGEST_ID = 200


class EventBrief(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """One event. `time` is in microseconds since the epoch; what the event does not say is empty.

    `target` is the second principal, `resource` the vendor's "TYPE NAME". In order of time, then of all else.
    """

    time: int
    id: str
    source: str = ""
    action: str = ""
    outcome: str = ""
    actor: str = ""
    target: str = ""
    resource: str = ""
    address: str = ""
    country: str = ""


EARLIEST, LATEST = 12, 8
"""How many of many events are kept in brief: the first and the last of them."""


def ends(briefs: Iterable[EventBrief]) -> tuple[EventBrief, ...]:
    """The earliest and the latest of events, in order: what is between them goes, whatever the order they came in.

    Of what was kept of a set and more of it, this keeps the same as of the whole.
    """
    ordered = sorted(set(briefs))
    return tuple(ordered if len(ordered) <= EARLIEST + LATEST else [*ordered[:EARLIEST], *ordered[-LATEST:]])


class Measure(msgspec.Struct, frozen=True, order=True, gc=False):
    """A number beside its usual: "events in 15 min", 41 now, 3 usual. Both are 0 or more; `what` is not from a log."""

    what: str
    now: float
    usual: float


def brief(event: AuditEvent) -> EventBrief:
    """The event in brief: at most about 800 characters."""
    return named(about(event), event.time, event.id, event.source)


def named(nameless: EventBrief, time: int, id: str, source: str) -> EventBrief:
    """What `about` leaves out put in again."""
    return msgspec.structs.replace(nameless, time=time, id=id[:LONGEST_ID], source=source)


def about(event: AuditEvent) -> EventBrief:
    """The event in brief without time, id and source: for who knows them, and keeps many."""
    resource = event.resource
    return EventBrief(
        time=0,
        id="",
        action=_short(event.action, _SHORT),
        outcome=event.outcome,
        actor=_short(event.actor.id, _SHORT),
        target=_short(event.target.id, _SHORT) if event.target else "",
        resource=_short(f"{resource.type} {resource.name}", _LONG) if resource else "",
        address=_short(event.source_ip or "", _SHORT),
        country=_short(event.country or "", 8),
    )


def _short(text: str, limit: int) -> str:
    return _cut(text, limit) if len(text) <= _OFTEN else _cut.__wrapped__(text, limit)


@lru_cache(maxsize=4_096)
def _cut(text: str, limit: int) -> str:
    """Redacted before it is cut: a secret cut in two has no shape to know it by."""
    text = redact(text)
    text = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
