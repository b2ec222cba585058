"""When correlate may be told what time it is: when all that had been read by then has come through both stages."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition

from streams.clock import Reading
from streams.kafka import EVENTS, FINDINGS

Offsets = Mapping[TopicPartition, int]
Reached = Mapping[TopicPartition, int | None]


class Passage:
    """Follows one reading of the clock at a time through audit.events and audit.findings, by the ends of the logs.

    A reading is of events that are in audit.events. Once score has come to where that ended, what follows from them is
    in audit.findings; once correlate has come to where that ended then, it knows all there was at the reading's time.
    Only this worker's partitions are looked at: a worker that lags hours behind the others is not waited for.
    """

    def __init__(self) -> None:
        self._reading: Reading | None = None
        self._topic = EVENTS
        self._ends: Offsets = {}

    def look(self, now: Reading, ends: Offsets, reached: Reached) -> Reading | None:
        """The reading that has come through, None while there is none.

        Args:
            now: the clock before the ends were asked for.
            ends: the next offset to be written of each partition that is ours.
            reached: the offset up to which each is done with, None where that is not known yet.
        """
        if self._ends.keys() != _of(ends, self._topic).keys():  # partitions came or went: begin again
            self._reading = None
        if self._reading is None:
            self._reading, self._topic, self._ends = now, EVENTS, _of(ends, EVENTS)
            return None
        if any((reached.get(tp) or 0) < end for tp, end in self._ends.items()):
            return None
        if self._topic == EVENTS:
            self._topic, self._ends = FINDINGS, _of(ends, FINDINGS)
            return None
        passed, self._reading = self._reading, None
        return passed


def _of(offsets: Offsets, topic: str) -> Offsets:
    return {tp: offset for tp, offset in offsets.items() if tp.topic == topic}
