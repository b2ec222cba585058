"""An event as rules see it, and its values as the texts that tests compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from audit.context import EMPTY, Context
from audit.context_schema import Person
from audit.event import AuditEvent

MISSING: Final = object()
"""What a getter answers when the event does not carry the field (null is None)."""

FIRST_SEEN = ("action", "resource", "country", "asn", "user_agent", "network")
"""What can be new to a principal, in the order of the bits of `History.new`."""


def _no_peers(_: int) -> None:
    return None


class History(NamedTuple):
    """What the actor's past says of an event: a bit for each thing of FIRST_SEEN never met in 90 days, how many days
    of it there are, and how many went by since the newest of its events (None: this is the first).

    `team` answers for each thing of FIRST_SEEN (its index) how many of the actor's peers know it, 0 to 1, or None."""

    new: int
    days: int
    idle: int | None = 0
    team: Callable[[int], float | None] = _no_peers


class View(msgspec.Struct, gc=False):
    """An event as rules see it: normalised, as the vendor sent it, and against its actor's past where that is known.

    `person` is the actor as `context` declares it; `text` and `lower` cache the record's values for keywords.
    """

    event: AuditEvent
    record: Mapping[str, Any]
    history: History | None = None
    person: Person | None = None
    context: Context = EMPTY
    text: str | None = None
    lower: str | None = None


def members(values: list[Any]) -> list[Any]:
    """The members of a list, nested lists opened (without recursion: depth is the sender's choice)."""
    flat: list[Any] = []
    stack = [iter(values)]
    while stack:
        for value in stack[-1]:
            if value.__class__ is list:
                stack.append(iter(value))
                break
            flat.append(value)
        else:
            stack.pop()
    return flat


def texts(value: Any) -> list[str]:
    """The value as the texts a test compares: any member of a list, a dict as its compact JSON, null as none."""
    if value.__class__ is str:
        return [value]
    if value is None or value is MISSING:
        return []
    if value.__class__ is list:
        return [text for member in members(value) for text in texts(member)]
    return [_text(value)]


def _text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    if value.__class__ is float:
        return str(int(value)) if value.is_integer() else repr(value)
    if value.__class__ is dict:
        try:
            return msgspec.json.encode(value).decode()
        except UnicodeEncodeError:  # a lone surrogate: no JSON can carry it
            return str(value).encode("utf-8", "replace").decode()
    return str(value)


def everything(view: View) -> str:
    """All values of the record, one a line: what keywords search."""
    if view.text is None:
        view.text = "\n".join(_leaves(view.record))
    return view.text


def lowered(view: View) -> str:
    """What `everything` says, in lower case."""
    if view.lower is None:
        view.lower = everything(view).lower()
    return view.lower


def _leaves(record: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    stack: list[Any] = [record]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            stack.extend(reversed(list(value.values())))
        elif value.__class__ is list:
            stack.extend(reversed(value))
        elif value is not None:
            found.append(value if value.__class__ is str else _text(value))
    return found
