"""What rests, and until when. A channel rests after each message; edits and looks into histories are limited apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from alerting.desk import backoff, repeats
from alerting.store import Entry
from alerting.thread import behind
from audit.event import MICROSECONDS

LONGEST = 60.0
"""Seconds a channel rests at most after failures in a row, unless somebody asked for more."""

POSTS, EDITS, REPEATS, LOOKS = "\0posts", "\0edits", "\0repeats", "\0looks"
"""What is limited over all channels: messages, edits, those among them that only count more, looks into histories."""
BURST = 20
"""Messages over all channels that may go out before their pace holds."""


def limits_of(entry: Entry, doubtful: bool) -> tuple[str, ...]:
    """What holds a delivery back beside its channel; `doubtful`: its message has to be looked for first."""
    if entry.receipt is None:
        return (LOOKS, POSTS) if doubtful else (POSTS,)
    if behind(entry):
        return (POSTS,)
    return (EDITS, REPEATS) if repeats(entry) else (EDITS,)


@dataclass(slots=True)
class Pauses:
    """The ends of all pauses, by channel or one of the above; `clock` gives microseconds since the epoch."""

    clock: Callable[[], int]
    ends: dict[str, int] = field(default_factory=dict)
    strikes: dict[str, int] = field(default_factory=dict)  # channel -> failures in a row

    def free(self, *names: str) -> bool:
        """Whether none of these rests."""
        now = self.clock()
        return all(self.ends.get(name, 0) <= now for name in names)

    def rest(self, name: str, seconds: float) -> None:
        """Lets it rest from now on."""
        self.ends[name] = self.clock() + round(seconds * MICROSECONDS)

    def take(self, name: str, seconds: float, burst: int = 0) -> None:
        """Uses up so many seconds of it; after a quiet time `burst` more may follow at once."""
        now, worth = self.clock(), round(seconds * MICROSECONDS)
        self.ends[name] = max(self.ends.get(name, 0), now - burst * worth) + worth

    def failed(self, channel: str) -> float:
        """One more failure in a row; returns how many seconds the channel should rest."""
        strikes = self.strikes.get(channel, 0)
        self.strikes[channel] = strikes + 1
        return min(backoff(strikes), LONGEST)

    def worked(self, channel: str) -> None:
        """Ends the failures in a row."""
        self.strikes.pop(channel, None)

    def until_next(self, longest: float) -> float:
        """Seconds to the end of the first pause, at most `longest`."""
        left = [end - self.clock() for end in self.ends.values()]
        return min([longest, *(max(wait / MICROSECONDS, 0.001) for wait in left if wait > 0)])
