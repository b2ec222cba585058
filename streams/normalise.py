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
        try:
            records = read(source, payload, arrival, context)
        except Exception as error:  # a bug in a source must not stop its partition
            faults.append(Fault(lane, offset, f"reading failed: {error!r}", payload))
            continue
        rejects = [record for record in records if isinstance(record, Reject)]
        faults.extend(Fault(lane, offset, reject.error, reject.raw) for reject in rejects)
        events = [event for record in records if not isinstance(record, Reject) for event in record]
        first = mark(offset)
        outputs.extend(Output(lane, first + index, event.actor.id, event) for index, event in enumerate(events))
    return outputs, faults
