"""The watch over temporary access in replay: the same looks, in event time, at states in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping

from alerting.alert import Alert
from audit.context_people import system_of
from audit.context_schema import DAY
from rules.correlation_section import LATENESS
from streams.detections import Detections
from streams.grant_words import TOLD, alert_of
from streams.grants import Known, emergency, times
from streams.principal import granted_in, memory_key

NEVER = 1 << 62


class Summaries:
    """Puts summaries into `told`, by id; `due` is the event time (µs) from which on the next look is worth it."""

    def __init__(self, told: dict[str, Alert]) -> None:
        self._told = told
        self.due = 0
        self._known = Known()

    def look(
        self, detections: Detections, now: int, values: Mapping[tuple[int, str], bytes], sources: Collection[str]
    ) -> None:
        """Looks before the first event from `due` on is folded: at its time `now`, and at the states so far."""
        context = detections.context
        uses = {user: granted_in(values.get((0, memory_key(user)))) for user in self._known.wanted(context, now)}
        for news in self._known.look(context, now, uses, frozenset(map(system_of, sources))):
            if news.step in TOLD:
                alert = alert_of(news, detections.version)
                self._told[alert.id] = alert
        all_times = times(context)
        place = bisect_right(all_times, now)
        self.due = all_times[place] if place < len(all_times) else NEVER
        if emergency(context):
            self.due = min(self.due, ((now - LATENESS) // DAY + 1) * DAY + LATENESS)
