"""What may change while a dispatcher runs, what it is told, and what it tells of its work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from alerting.route import HOUR, Routing

Deed = Literal["sent", "refused", "muted", "gathered", "explained", "quiet", "waiting"]


class Delivered(msgspec.Struct):
    """What one run did: deliveries made, and alerts refused for good (shown on stderr instead).

    `muted` and `gathered` count what was kept or put into digests, `explained` what declared paper closed, `quiet` what
    people are asked about at most; `waiting`, only with drain, what is due later.
    """

    sent: int = 0
    refused: int = 0
    muted: int = 0
    gathered: int = 0
    explained: int = 0
    quiet: int = 0
    waiting: int = 0


def _nobody(deed: Deed, number: int) -> None:
    """Whoever counts nothing."""


@dataclass(slots=True)
class Live:
    """`routing` counts from the next turn on; whoever puts an alert in sets `news`; `told` hears of each deed.

    An alert older than `doubt_after` (microseconds) when nobody was shown it yet is looked for before it is posted: an
    outbox that is no more may have shown it.
    """

    routing: Routing = field(default_factory=Routing)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    doubt_after: int = HOUR
    told: Callable[[Deed, int], None] = _nobody
