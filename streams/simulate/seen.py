"""The simulated organisation as the worker would see it: its context loaded, its raw records read into events."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson

from audit.context import Context, load_context
from audit.event import AuditEvent
from audit.sources.reader import Reject, read
from streams.simulate.organisation import Organisation
from streams.simulate.output import context_yaml


def context_of(organisation: Organisation) -> Context:
    """What the organisation declares, through the reader a context file goes through."""
    with tempfile.TemporaryDirectory(prefix="auditwatch-") as folder:
        path = Path(folder) / "context.yml"
        path.write_text(context_yaml(organisation.context), encoding="utf-8")
        return load_context(path)


def events_of(organisation: Organisation, context: Context, *, attacks: bool = True) -> Iterator[AuditEvent]:
    """Its events in order of time, each read as it happens; without `attacks` only its ordinary life.

    Raises:
        RuntimeError: when a record of the simulator cannot be read.
    """
    for made in organisation.events():
        if made.attack is not None and not attacks:
            continue
        for record in read(made.source, orjson.dumps(made.record), made.time, context):
            if isinstance(record, Reject):
                raise RuntimeError(f"{made.source} {made.id}: {record.error}")
            yield from record
