"""Which states of a partition have something due, and when: in memory whole, stored in pieces beside the states.

A piece holds what falls due in the same minute, so that a batch rewrites few of them. Pieces are written together with
the states and the position they belong to, and so are as old as these after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from audit.event import MICROSECONDS
from streams.store import DAY, Entry

MINUTE = 60 * MICROSECONDS
INDEX = "agenda"
TTL = 100 * DAY


class Agenda:
    """Due times (microseconds) by key of a state."""

    __slots__ = ("_asleep", "_changed", "_dues", "_next", "_pieces")

    def __init__(self, pieces: Mapping[int, dict[str, int]] | None = None) -> None:
        self._pieces = dict(pieces or {})
        self._dues = {key: due for piece in self._pieces.values() for key, due in piece.items()}
        self._asleep: dict[str, int] = {}
        self._changed: set[int] = set()
        self._next: int | None = None

    def set(self, key: str, due: int | None) -> None:
        """A state's next due time, None where it has none."""
        before = self._dues.get(key)
        if due == before:
            return
        if before is not None:
            del self._dues[key]
            self._asleep.pop(key, None)
            self._piece(before).pop(key)
        if due is not None:
            self._dues[key] = due
            self._piece(due)[key] = due
        self._next = None

    def _piece(self, due: int) -> dict[str, int]:
        number = due // MINUTE
        self._changed.add(number)
        return self._pieces.setdefault(number, {})

    def get(self, key: str) -> int | None:
        """A state's due time."""
        return self._dues.get(key)

    def sleep(self, key: str, until: int) -> None:
        """Asked too early: not again before `until`. Only memory knows of this."""
        self._asleep[key] = until
        self._next = None

    def mute(self, key: str) -> None:
        """Not asked again until it is due at another time. Only memory knows of this."""
        self.sleep(key, 1 << 62)

    def next(self) -> int | None:
        """When the first is due."""
        if self._next is None and self._dues:
            awake = self._dues | self._asleep if self._asleep else self._dues
            self._next = min(awake.values())
        return self._next

    def due(self, now: int, most: int) -> list[str]:
        """The first so many keys that are due at `now`."""
        first = self.next()
        if first is None or first > now:
            return []
        found: list[tuple[int, str]] = []
        for number in sorted(number for number in self._pieces if number <= now // MINUTE):
            piece = self._pieces[number]
            found += [(due, key) for key, due in piece.items() if due <= now and self._asleep.get(key, 0) <= now]
            if len(found) >= most:
                break
        return [key for _, key in sorted(found)[:most]]

    def entries(self) -> list[Entry]:
        """What has to be stored since this was asked last."""
        if not self._changed:
            return []
        entries = [Entry(name_of(number), _ENCODE(self._pieces[number] or None), TTL) for number in self._changed]
        for number in [number for number in self._changed if not self._pieces[number]]:
            del self._pieces[number]
        self._changed.clear()
        stored = [Entry(key, b"" if value == _NOTHING else value, ttl) for key, value, ttl in entries]
        return [*sorted(stored), Entry(INDEX, _ENCODE(sorted(self._pieces)) if self._pieces else b"", TTL)]


def name_of(number: int) -> str:
    """The store's key of a piece."""
    return f"{INDEX}:{number}"


def pieces_named(index: bytes | None) -> list[int]:
    """The pieces a stored index names. Raises msgspec.DecodeError."""
    return _INDEXES.decode(index) if index else []


def read_agenda(numbers: Sequence[int], values: Sequence[bytes | None]) -> Agenda:
    """The agenda of stored pieces. Raises msgspec.DecodeError."""
    return Agenda({number: _PIECES.decode(value) for number, value in zip(numbers, values, strict=True) if value})


_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode
_NOTHING = _ENCODE(None)
_INDEXES = msgspec.msgpack.Decoder(list[int])
_PIECES = msgspec.msgpack.Decoder(dict[str, int])
