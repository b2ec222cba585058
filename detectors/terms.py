"""What a principal was ever seen with: exact for 90 days, ten bytes a term, apart from the decayed baseline.

The baseline forgets what is rare; a rule that asks "never before?" must not. Each kind of term has a table of its own,
so that a flood of new resources cannot push out a country. A full table drops the terms unseen for longest and says so.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

import msgspec

KINDS = ("action", "resource", "country", "asn", "user_agent", "network")
"""The kinds of term, in the order of `Observation.tokens`."""
WINDOW = 90
"""Days after which a term unseen counts as never seen."""
ROOM = (1024, 4096, 128, 256, 256, 1024)
"""Terms kept of each kind."""
DAY = 86_400
VERSION = 1


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    version: int
    since: int
    dropped: int
    tables: list[tuple[bytes, bytes]]


class Terms:
    """The terms of one principal. `since` and `newest` are the days (since the epoch) of the first and of the newest
    event, -1 before there is one.

    `dropped` counts terms a full table let go: with 0, "never seen in 90 days" is exact.
    """

    __slots__ = ("_days", "_keys", "dropped", "newest", "since")

    def __init__(self) -> None:
        self._keys = [array("Q") for _ in KINDS]
        self._days = [array("H") for _ in KINDS]
        self.since = self.newest = -1
        self.dropped = 0

    def meet(self, tokens: Sequence[int], time: int) -> int:
        """Which kinds are new to this principal, as a bit mask over KINDS; the terms are remembered.

        Args:
            tokens: one 64-bit hash a kind, 0 where the event has none.
            time: seconds since the epoch; an event late by days is new only if its term was not seen since either.
        """
        day = time // DAY
        if self.since < 0 or day < self.since:
            self.since = day
        if day > self.newest:
            self.newest = day
        new = 0
        for kind, token in enumerate(tokens):
            if token:
                keys, days = self._keys[kind], self._days[kind]
                place = bisect_left(keys, token)
                if place == len(keys) or keys[place] != token:
                    new |= 1 << kind
                    self._insert(kind, place, token, day)
                elif days[place] < day:
                    if day - days[place] > WINDOW:
                        new |= 1 << kind
                    days[place] = day
        return new

    def history(self, time: int) -> int:
        """Whole days since the first event, at `time` (seconds since the epoch)."""
        return max(0, time // DAY - self.since) if self.since >= 0 else 0

    def idle(self, time: int) -> int | None:
        """Whole days since the newest event met, at `time` (seconds since the epoch); None before the first.

        Of what is late: 0.
        """
        return max(0, time // DAY - self.newest) if self.newest >= 0 else None

    def _insert(self, kind: int, place: int, token: int, day: int) -> None:
        self._keys[kind].insert(place, token)
        self._days[kind].insert(place, day)
        if len(self._keys[kind]) > ROOM[kind]:
            self._make_room(kind, day)

    def _make_room(self, kind: int, day: int) -> None:
        """Lets go of what is past the window, and if that is too little of the eighth unseen for longest."""
        keys, days = self._keys[kind], self._days[kind]
        kept = [place for place in range(len(keys)) if day - days[place] <= WINDOW]
        if len(kept) > ROOM[kind]:
            kept.sort(key=lambda place: (days[place], keys[place]))
            surplus = len(kept) - ROOM[kind] + ROOM[kind] // 8
            self.dropped += surplus
            kept = sorted(kept[surplus:])
        self._keys[kind] = array("Q", [keys[place] for place in kept])
        self._days[kind] = array("H", [days[place] for place in kept])

    def pack(self) -> bytes:
        """The terms as bytes."""
        tables = [(keys.tobytes(), days.tobytes()) for keys, days in zip(self._keys, self._days, strict=True)]
        return msgspec.msgpack.encode(_Packed(VERSION, self.since, self.dropped, tables))

    @classmethod
    def unpack(cls, data: bytes) -> Terms:
        """The terms `pack` made bytes of.

        Raises:
            ValueError: other bytes, or of another version.
        """
        try:
            packed = msgspec.msgpack.decode(data, type=_Packed)
        except msgspec.MsgspecError as error:
            raise ValueError(f"these are no packed terms: {error}") from error
        if packed.version != VERSION or len(packed.tables) != len(KINDS):
            raise ValueError(f"terms of version {packed.version}, not {VERSION}")
        terms = cls()
        terms.since, terms.dropped = packed.since, packed.dropped
        for kind, (keys, days) in enumerate(packed.tables):
            if len(keys) % 8 or len(keys) // 8 != len(days) // 2 or len(keys) // 8 > ROOM[kind]:
                raise ValueError("packed terms are damaged")
            terms._keys[kind].frombytes(keys)
            terms._days[kind].frombytes(days)
        terms.newest = max((max(days) for days in terms._days if days), default=terms.since)
        return terms
