"""When correlate may be told what time it is: when all that had come in by then has come through all stages."""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition

from streams.clock import Reading
from streams.kafka import EVENTS, FINDINGS, RAW

Offsets = Mapping[TopicPartition, int]
Reached = Mapping[TopicPartition, int | None]


class Passage:
    """Follows one reading of the clock at a time through audit.raw.*, audit.events, audit.findings, by the logs' ends.

    A reading is of events of which others, no later, may wait in other raw partitions (after an outage, for hours).
    Once normalise has come to where these ended, all of them are in audit.events; once score has come to where that
    ended then, what follows from them is in audit.findings; and once correlate has come to where that ended, it knows
    all there was at the reading's time. Only this worker's partitions are looked at: a worker that lags hours behind
    the others is not waited for.
    """

    def __init__(self) -> None:
        self._reading: Reading | None = None
        self._topic = RAW
        self._ends: Offsets = {}
        self._places: frozenset[TopicPartition] = frozenset()

    def look(self, now: Reading, ends: Offsets, reached: Reached) -> Reading | None:
        """The reading that has come through, None while there is none.

        Args:
            now: the clock before the ends were asked for.
            ends: the next offset to be written of each partition that is ours.
            reached: the offset up to which each is done with, None where that is not known yet.
        """
        if self._places != ends.keys():  # partitions came or went: begin again
            self._reading, self._places = None, frozenset(ends)
        if self._reading is None:
            self._reading, self._topic, self._ends = now, RAW, _of(ends, RAW)
            return None
        if any((reached.get(tp) or 0) < end for tp, end in self._ends.items()):
            return None
        if self._topic in _NEXT:
            self._topic = _NEXT[self._topic]
            self._ends = _of(ends, self._topic)
            return None
        passed, self._reading = self._reading, None
        return passed


_NEXT = {RAW: EVENTS, EVENTS: FINDINGS}


def _of(offsets: Offsets, topic: str) -> Offsets:
    """Those of a topic, or of all raw ones."""
    return {tp: offset for tp, offset in offsets.items() if tp.topic.startswith(topic)}
