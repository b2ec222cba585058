"""What is known to be true of an organisation: its campaigns and look-alikes, and which events are theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from audit.context import Context, load_context
from audit.event import AuditEvent, parse_rfc3339
from streams.files import FileError
from streams.replay import Source, events_of
from streams.simulate import seen
from streams.simulate.model import SOURCES, Attack, Lookalike
from streams.simulate.organisation import Organisation

NEVER_AHEAD = 1 << 62
"""Arrival of records whose own times are to be believed."""
Label = TypeVar("Label", Attack, Lookalike)


@dataclass(frozen=True)
class Labelled:
    """An organisation with labels; `events` begins anew with each call."""

    name: str
    context: Context
    attacks: Sequence[Attack]
    lookalikes: Sequence[Lookalike]
    events: Callable[[], Iterator[AuditEvent]]

    @cached_property
    def attack_of(self) -> dict[str, Attack]:
        """The campaign of each event that belongs to one."""
        return {event: attack for attack in self.attacks for event in attack.event_ids}

    @cached_property
    def lookalikes_of(self) -> dict[str, tuple[Lookalike, ...]]:
        """The look-alikes of each event that belongs to any."""
        found: dict[str, tuple[Lookalike, ...]] = {}
        for odd in self.lookalikes:
            for event in odd.event_ids:
                found[event] = (*found.get(event, ()), odd)
        return found

    @property
    def users(self) -> int:
        """How many people there are, machines not counted."""
        return sum(person.kind != "service" for person in self.context.declared.users)


def simulated(organisation: Organisation) -> Labelled:
    """A simulated organisation, played from memory."""
    context = seen.context_of(organisation)
    return Labelled(
        f"seed {organisation.plan.seed}", context, organisation.attacks, organisation.lookalikes,
        lambda: seen.events_of(organisation, context),
    )  # fmt: skip


def from_folder(folder: Path) -> Labelled:
    """An organisation out of a folder that `auditwatch simulate` wrote, or anything laid out alike.

    Raises:
        FileError: a file is missing or has a wrong line; the message says which.
        ContextErrors: the context file has mistakes.
    """
    context = load_context(folder / "context.yml")
    sources = [Source(name, str(path)) for name in SOURCES if (path := folder / f"{name}.jsonl.gz").exists()]
    if not sources:
        missing = f"has no SOURCE.jsonl.gz of {', '.join(SOURCES)}: make them with `auditwatch simulate`"
        raise FileError(str(folder), 0, missing)
    attacks, lookalikes = _labels(folder / "attacks.jsonl", Attack), _labels(folder / "lookalikes.jsonl", Lookalike)
    return Labelled(folder.name, context, attacks, lookalikes, lambda: events_of(sources, context, NEVER_AHEAD, []))


def _labels(path: Path, label: type[Label]) -> list[Label]:
    rows = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise FileError(str(path), 0, f"cannot be read: {error.strerror or error}") from error
    for number, line in enumerate(lines, 1):
        try:
            row = msgspec.json.decode(line)
            row |= {"start": parse_rfc3339(row["start"]), "end": parse_rfc3339(row["end"])}
            rows.append(msgspec.convert(row, label))
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(str(path), number, f"not a label: {error}") from error
    return rows
