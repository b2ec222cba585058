"""What is usual for one principal: a fixed-size memory of what they did, decayed in event time.

Law 2: every number lives in memory in the type it is stored in, so packing and unpacking between any two events changes
no later result. Layout: a table of `ENTRIES` tokens in one region a kind (a flood of one kind pushes out none of
another), 48 hour bins, the places where the newest sessions began, and the scalars named below.

Forward decay (Cormode et al., "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE 2009): what
happened at time t weighs 2 ** ((t - landmark) / HALF_LIFE) and is never touched again; dividing by the weight of now
gives the decayed count. The landmark moves by whole half-lives, so that rebasing multiplies by powers of two: exact.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from math import isfinite, ldexp

HALF_LIFE = 14 * 86_400
"""Seconds of event time after which an observation counts half."""
REBASE_AFTER = 64
"""Half-lives past the landmark; float32 counts reach to 128."""

YOUNG_EVENTS, YOUNG_SECONDS = 50, 3 * 86_400
"""A baseline is young until it has learnt so many events and for so long: a burst of 50 is no history."""

ACTION, RESOURCE, COUNTRY, ASN, AGENT, NETWORK = range(6)
CAPACITY = (64, 64, 6, 8, 8, 10)
REGIONS = tuple((sum(CAPACITY[:kind]), sum(CAPACITY[: kind + 1])) for kind in range(len(CAPACITY)))
ENTRIES = sum(CAPACITY)
HOURS = 48
SESSIONS = 8

# Scalars. Decayed totals: weight of all tokens seen of a kind, weight of those seen for the first time, hours with
# activity, events that failed. Short counters fall by e in 15 minutes, an hour or a day; they also count what is held,
# and HELD says how much of them that is. Ten hold the usual height of the short counters: their peak since the last
# look, then mean and variance of its logarithm and the highest of all. The last three: where on earth it was, and when.
LANDMARK, FIRST, NEWEST, EVENTS = range(4)
TOTAL = 4
NOVEL = TOTAL + len(CAPACITY)
(
    ACTIVE_HOURS, FAILED, RECENT, SPREAD, FAILURES, DENIALS, NEW_HOUR, NEW_DAY, HELD_RECENT, HELD_SPREAD,
    RATE_PEAK, SPREAD_PEAK, FOLDED_AT, FOLDS, RATE_MEAN, RATE_VAR, RATE_TOP, SPREAD_MEAN, SPREAD_VAR, SPREAD_TOP,
    LATITUDE, LONGITUDE, PLACED_AT,
) = range(NOVEL + len(CAPACITY), NOVEL + len(CAPACITY) + 23)  # fmt: skip
SCALARS = PLACED_AT + 1
DECAYED = (*range(TOTAL, NOVEL + len(CAPACITY)), ACTIVE_HOURS, FAILED)

_HEADER = struct.Struct("<4sI")
_MAGIC = b"BL\x04\n"
_LENGTHS = (ENTRIES * 8, ENTRIES * 4, ENTRIES * 4, HOURS * 4, SCALARS * 8, SESSIONS * 8)
_CUTS = tuple(_HEADER.size + sum(_LENGTHS[:part]) for part in range(len(_LENGTHS) + 1))
SIZE = _CUTS[-1]
"""Bytes of a packed baseline."""

_CURE = "forget it (auditwatch baseline forget) or learn it again (auditwatch backfill)"
_HIGHEST_EXPONENT = 1000.0  # of a float64, with room for sums
_NO_KEYS = array("Q", [0]) * ENTRIES
_NO_COUNTS = array("f", [0.0]) * ENTRIES
_NO_TIMES = array("I", [0]) * ENTRIES
_NO_HOURS = array("f", [0.0]) * HOURS
_NO_SCALARS = array("d", [0.0]) * SCALARS

if sys.byteorder != "little":
    raise ImportError("baselines are stored little-endian: run auditwatch on a little-endian machine")


class Baseline:
    """One principal's usual; `features.learn` fills it and `features.features` reads it.

    `slots` finds a token's place in `keys`, `counts` and `seen` (seconds since the epoch); it follows from `keys`.
    `sessions` has where each of the newest sessions began, both as 32-bit hashes, in the order in which they began.
    """

    __slots__ = ("counts", "hours", "keys", "scalars", "seen", "sessions", "slots")

    def __init__(self) -> None:
        self.keys, self.counts, self.seen = _NO_KEYS[:], _NO_COUNTS[:], _NO_TIMES[:]
        self.hours, self.scalars = _NO_HOURS[:], _NO_SCALARS[:]
        self.slots: dict[int, int] = {}
        self.sessions: dict[int, int] = {}

    @property
    def events(self) -> int:
        """Number of events learnt."""
        return int(self.scalars[EVENTS])

    @property
    def young(self) -> bool:
        """Whether it knows too little for what it finds strange to accuse anybody."""
        events, age = self.scalars[EVENTS], self.scalars[NEWEST] - self.scalars[FIRST]
        return events < YOUNG_EVENTS or age < YOUNG_SECONDS

    def weight(self, time: float) -> float:
        """What an event at `time` (seconds) weighs in the decayed counts: 0.0 in the remote past, never infinite."""
        return float(2.0 ** min((time - self.scalars[LANDMARK]) / HALF_LIFE, _HIGHEST_EXPONENT))

    def count(self, kind_token: int, time: float) -> float:
        """Decayed number of times a token was seen, as of `time`; 0.0 when it is not in the table."""
        slot = self.slots.get(kind_token)
        return 0.0 if slot is None else self.counts[slot] / self.weight(time)

    def record(self, kind: int, token: int, weight: float, time: int) -> bool:
        """Count a token of a kind; True when it was not in the table.

        A full region gives up its lowest decayed count, the first of them where several are equal.
        """
        slot = self.slots.get(token)
        if slot is not None:
            self.counts[slot] += weight
            if time > self.seen[slot]:
                self.seen[slot] = time
            return False
        start, end = REGIONS[kind]
        region = self.counts[start:end]
        slot = start + region.index(min(region))
        self.slots.pop(self.keys[slot], None)
        self.slots[token] = slot
        self.keys[slot], self.counts[slot], self.seen[slot] = token, weight, time
        return True

    def begin(self, session: int, origin: int) -> None:
        """Remember where a session not known yet began; the oldest goes where there is no room. Both 1 to 2**32 - 1."""
        if len(self.sessions) == SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        self.sessions[session] = origin

    def rebase(self, time: float) -> None:
        """Move the landmark to at most one half-life before `time`; counts lose no bit unless they vanish."""
        steps = int((time - self.scalars[LANDMARK]) // HALF_LIFE)
        self.scalars[LANDMARK] += steps * HALF_LIFE
        self.counts = array("f", [ldexp(count, -steps) for count in self.counts])
        self.hours = array("f", [ldexp(count, -steps) for count in self.hours])
        for index in DECAYED:
            self.scalars[index] = ldexp(self.scalars[index], -steps)

    def copy(self) -> Baseline:
        """An independent equal baseline."""
        twin = Baseline.__new__(Baseline)
        twin.keys, twin.counts, twin.seen = self.keys[:], self.counts[:], self.seen[:]
        twin.hours, twin.scalars, twin.slots = self.hours[:], self.scalars[:], self.slots.copy()
        twin.sessions = self.sessions.copy()
        return twin

    def pack(self) -> bytes:
        """`SIZE` bytes: magic with version, CRC-32 of the rest, then the arrays, little-endian."""
        sessions = array("I", [half for pair in self.sessions.items() for half in pair])
        sessions.extend([0] * (2 * SESSIONS - len(sessions)))
        body = b"".join((self.keys, self.counts, self.seen, self.hours, self.scalars, sessions))
        return _HEADER.pack(_MAGIC, zlib.crc32(body)) + body

    @classmethod
    def unpack(cls, data: bytes) -> Baseline:
        """The baseline that `pack` wrote.

        Raises:
            ValueError: when the bytes are of another version, cut, too long, or damaged.
        """
        if data[: len(_MAGIC)] != _MAGIC and data[:2] == _MAGIC[:2]:
            raise ValueError(f"baseline {data[:4]!r} was written by another version, not {_MAGIC!r}: {_CURE}")
        if len(data) != SIZE:
            raise ValueError(f"baseline of {len(data)} bytes, expected {SIZE}: {_CURE}")
        magic, checksum = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError(f"baseline begins with {magic!r}, not {_MAGIC!r}: {_CURE}")
        if zlib.crc32(memoryview(data)[_HEADER.size :]) != checksum:
            raise ValueError(f"baseline is damaged (checksum differs): {_CURE}")
        twin = cls.__new__(cls)
        a, b, c, d, e, f, g = _CUTS
        twin.keys, twin.counts, twin.seen = array("Q", data[a:b]), array("f", data[b:c]), array("I", data[c:d])
        twin.hours, twin.scalars = array("f", data[d:e]), array("d", data[e:f])
        if not isfinite(sum(twin.scalars)):
            raise ValueError(f"baseline holds numbers that are not finite: {_CURE}")
        twin.slots = dict(zip(twin.keys, range(ENTRIES), strict=True))
        twin.slots.pop(0, None)
        sessions = array("I", data[f:g])
        twin.sessions = dict(zip(sessions[::2], sessions[1::2], strict=True))
        twin.sessions.pop(0, None)
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Baseline):
            return NotImplemented
        return self.pack() == other.pack()
