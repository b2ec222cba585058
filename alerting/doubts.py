"""Alerts people may have been shown without anybody having noted it, and what a look into a channel said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from alerting.notice import is_notice
from alerting.notifier import Begun, Receipt
from alerting.store import Entry
from audit.event import MICROSECONDS

FARTHEST = 30 * 86_400 * MICROSECONDS
"""How far back one looks for what an outbox that is no more may have shown; Redis keeps what was shown as long."""
MOST = 16_384


class Partly(dict[str, Receipt]):
    """What a look found that did not get to the end: nothing is known of deliveries before `back_to` (microseconds)."""

    back_to = 0


@dataclass(slots=True)
class Doubts:
    """In doubt are deliveries begun, and alerts older than `after` (microseconds): an outbox that is lost knew them."""

    after: int
    _absent: dict[str, int] = field(
        default_factory=dict
    )  # alert -> beginning of the delivery known not to have arrived

    def of(self, entry: Entry, channel: str, now: int) -> Begun | None:
        """The delivery to look for before the alert goes to its channel; None where nothing is in doubt."""
        begun = entry.begun
        if begun is None and not is_notice(entry.alert) and entry.alert.time < now - self.after:
            begun = Begun(channel, entry.alert.time)
        known_absent = begun is None or self._absent.get(entry.alert.id) == begun.at
        return None if entry.receipt or known_absent else begun

    def like(self, doubt: Begun, page: Iterable[Entry], bound: Mapping[str, str], now: int) -> dict[str, Begun]:
        """All of a page that the same look answers; `bound` says which channel each alert goes to."""
        open_ = {one.alert.id: self.of(one, bound.get(one.alert.id, ""), now) for one in page}
        return {name: one for name, one in open_.items() if one and one.channel == doubt.channel}

    def answered(self, doubts: Mapping[str, Begun], found: Iterable[str]) -> None:
        """Remembers what was not there."""
        if len(self._absent) > MOST:
            self._absent.clear()
        self._absent.update((name, one.at) for name, one in doubts.items() if name not in found)


def unanswered(doubts: Mapping[str, Begun], found: Mapping[str, Receipt]) -> list[str]:
    """The alerts of which a look says nothing."""
    back_to = found.back_to if isinstance(found, Partly) else 0
    return [name for name, one in doubts.items() if name not in found and one.at < back_to]


def since(doubts: Mapping[str, Begun], now: int) -> int:
    """How far back one has to look (microseconds since the epoch)."""
    return max(min(one.at for one in doubts.values()), now - FARTHEST)
