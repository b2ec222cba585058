"""Event time: how far each source has come, so that one that is slow or silent does not mislead the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from audit.event import MICROSECONDS, AuditEvent
from rules.correlation import SOURCE_LAG

RETRY = 10 * MICROSECONDS
"""After this much event time somebody is asked again whose sources had not come far enough."""


class Reading:
    """How far event time had come at one moment; callable with the sources somebody depends on (none: all).

    The slowest of them counts, but none holds the others up by more than SOURCE_LAG: it is silent, not slow.
    `latest` is when something is worth asking for.
    """

    __slots__ = ("_by_source", "_newest", "latest")

    def __init__(self, by_source: Mapping[str, int]) -> None:
        self._by_source = by_source
        self._newest = self.latest = max(by_source.values(), default=0)

    def __call__(self, sources: frozenset[str]) -> int:
        """Microseconds since the epoch."""
        times = [time for source, time in self._by_source.items() if not sources or source in sources]
        return max(min(times, default=self._newest), self._newest - SOURCE_LAG)

    def closed(self) -> Reading:
        """The reading once nothing more comes: no source is waited for, and who was to be asked again is asked now."""
        last = Reading({})
        last._newest, last.latest = self._newest, self._newest + RETRY
        return last


class Clock:
    """The newest event time of each source, and when it was seen. Times in microseconds.

    Between events a source's time goes on like the clock on the wall (`wall`, 0 in replay), but never beyond it.
    """

    __slots__ = ("_newest", "latest")

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, int]] = {}
        self.latest = 0

    def see(self, events: Iterable[AuditEvent], wall: int = 0) -> None:
        """Events have come in."""
        newest = self._newest
        for event in events:
            time, (known, seen) = event.time, newest.get(event.source, (0, wall))
            if time > known + wall - seen:
                newest[event.source] = (time, wall)
                self.latest = max(self.latest, time)

    @property
    def sources(self) -> frozenset[str]:
        """The sources of which anything came in."""
        return frozenset(self._newest)

    def read(self, wall: int = 0) -> Reading:
        """What time it is."""
        return Reading(
            {source: min(time + wall - seen, wall) if wall else time for source, (time, seen) in self._newest.items()}
        )
