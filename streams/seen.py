"""Events in brief that count towards an entity's correlations, kept until one of them is told of.

A window keeps ids and times only. What a correlation's finding shows of its events comes from here: the earliest of
this episode and the one before, a bounded set that does not depend on the order in which they came.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Mapping

from alerting.risk import EPISODE
from audit.brief import EventBrief

MOST = 24
"""Events kept per episode."""
EPISODES = 2


class Seen:
    """By episode; changed in place."""

    __slots__ = ("episodes",)

    def __init__(self, episodes: Mapping[int, list[EventBrief]]) -> None:
        self.episodes = dict(episodes)

    def take(self, brief: EventBrief, newest: int) -> None:
        """One more event, where the newest episode that was heard of is this."""
        index = brief.time // EPISODE
        if index <= newest - EPISODES:
            return
        kept = self.episodes.setdefault(index, [])
        if len(kept) < MOST or brief < kept[-1]:
            if brief not in kept:
                insort(kept, brief)
            del kept[MOST:]

    def forget(self, newest: int) -> None:
        """Episodes are over."""
        for index in [index for index in self.episodes if index <= newest - EPISODES]:
            del self.episodes[index]

    def of(self, event_ids: Collection[str]) -> tuple[EventBrief, ...]:
        """Those among events of these ids, in order of time."""
        if not self.episodes:
            return ()
        wanted = set(event_ids)
        return tuple(brief for index in sorted(self.episodes) for brief in self.episodes[index] if brief.id in wanted)
