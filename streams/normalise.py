"""The first stage: raw records as the vendors send them -> AuditEvents by principal. It keeps no state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from audit.context import Context
from audit.event import AuditEvent
from audit.sources.reader import Reject, read
from streams.packet import Output, mark
from streams.processor import Fault


class RawMessage(NamedTuple):
    """A message of audit.raw.SOURCE; `lane` numbers its topic and partition, `arrival` is in microseconds."""

    source: str
    lane: int
    offset: int
    arrival: int
    payload: bytes


def normalise(messages: Sequence[RawMessage], context: Context) -> tuple[list[Output[AuditEvent]], list[Fault]]:
    """The events of each message, keyed by principal, and the records nobody could read."""
    outputs: list[Output[AuditEvent]] = []
    faults: list[Fault] = []
    for source, lane, offset, arrival, payload in messages:
        index = 0
        for record in read(source, payload, arrival, context):
            if isinstance(record, Reject):
                faults.append(Fault(lane, offset, record.error, record.raw))
                continue
            for event in record:
                outputs.append(Output(lane, mark(offset, index), event.actor.id, event))
                index += 1
    return outputs, faults
