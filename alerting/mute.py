"""Mutes: what somebody does not want to hear of for a while. A muted alert is kept and counted, and nobody is told."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alerting.when import Facts, When, misfit
from audit.context_schema import DAY, End

LONGEST = 90 * DAY
"""A mute ends after this many microseconds at the latest: what should never alert is an exception of its rule."""


class Mute(msgspec.Struct, frozen=True):
    """Who wants silence about what, why, and until when (microseconds since the epoch)."""

    when: When
    owner: str
    reason: str
    expires: End
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} by {self.owner}: {self.reason}"


def muted_by(mutes: Iterable[Mute], facts: Facts, now: int) -> Mute | None:
    """The first mute that silences an alert now."""
    return next((mute for mute in mutes if now <= mute.expires and not misfit(mute.when, facts, wholly=True)), None)
