"""What many principals share: the usual of a team, of everybody of a kind, and of the whole organisation.

A `Snapshot` is gathered from the baselines on a schedule and never changed: principals of one partition see nothing of
another's, and a batch folded again gives the same. Only mature baselines are asked, each weighs the same however busy
it is, and whoever asks is left out, so that nobody is their own peer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import msgspec

from audit.context_schema import Person
from detectors.baseline import CAPACITY, HOURS, Baseline
from detectors.budget import BUDGET, Ceiling, Peak
from detectors.tally import Tally

LEAST_MEMBERS = 5
"""Mature members below which a group says nothing: too few are no custom, and one could be told from the rest."""
MOST_TOKENS = 512
"""Tokens kept of each kind in a group: those held by most members."""
ORG = "org"

_HEADER = struct.Struct("<4sI")
_MAGIC = b"SN\x01\n"
HEADER_SIZE = _HEADER.size + 8
"""Bytes of a packed snapshot that tell when it was made."""

_NO_DICTS: tuple[dict[int, int], ...] = tuple({} for _ in CAPACITY)


class Group(msgspec.Struct, frozen=True, array_like=True):
    """The usual of one group. Kinds of token are numbered as in `Observation.tokens`.

    `people[kind][token]` is the number of mature members whose baseline holds the token (at least 2, else it is not
    kept). `counts[kind][token]` adds up each member's own share of it among all they did of that kind, so a member
    weighs 1 in `totals[kind]`. `hours` adds up each member's activity by hour bin, 1 a member.
    """

    members: int
    people: tuple[dict[int, int], ...] = _NO_DICTS
    counts: tuple[dict[int, float], ...] = ()
    totals: tuple[float, ...] = (0.0,) * len(CAPACITY)
    hours: tuple[float, ...] = (0.0,) * HOURS

    def share(self, kind: int, token: int, own: bool, member: bool = True) -> float:
        """The share (0 to 1) of the other members whose baseline holds the token.

        Args:
            kind: which kind of token.
            token: its hash.
            own: whether the asker's own baseline holds it.
            member: whether the asker is one of the members: their baseline is mature.
        """
        others = self.members - member
        holders = self.people[kind].get(token, 0) - (own and member)
        return min(1.0, max(0, holders) / max(1, others))


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """What was shared at `made` (microseconds since the epoch): groups by name, and the strangeness `bar` that keeps
    anomalies within the alert budget (None: too little history, or too quiet to need one). `gaps` are the permissions
    that many use and no role declares (codes)."""

    made: int = 0
    groups: dict[str, Group] = {}
    bar: float | None = None
    gaps: tuple[int, ...] = ()

    def peers_of(self, person: Person | None, kind: str) -> tuple[Group, ...]:
        """The groups that can say something of a principal, the narrowest first.

        Args:
            person: who they are declared to be, if anybody.
            kind: "human", "service", "contractor" or "unknown".
        """
        groups = self.groups
        if not groups:
            return ()
        return tuple(groups[name] for name in group_names(person, kind) if name in groups)

    def pack(self) -> bytes:
        """Magic with version, CRC-32 of the rest, `made`, all of it as MessagePack."""
        rest = struct.pack("<q", self.made) + _ENCODER.encode(self)
        return _HEADER.pack(_MAGIC, zlib.crc32(rest)) + rest

    @classmethod
    def unpack(cls, data: bytes) -> Snapshot:
        """The snapshot that `pack` wrote.

        Raises:
            ValueError: when the bytes are of another version, cut, or damaged.
        """
        made_of(data)
        rest = memoryview(data)[_HEADER.size :]
        if zlib.crc32(rest) != _HEADER.unpack_from(data)[1]:
            raise ValueError("snapshot is damaged (checksum differs): it is built anew")
        snapshot = _DECODER.decode(rest[8:])
        if not all(len(group.people) == len(group.counts) == len(CAPACITY) for group in snapshot.groups.values()):
            raise ValueError("snapshot lacks kinds of token: it is built anew")
        return snapshot

    @property
    def hash(self) -> str:
        """12 hex digits of what it says."""
        return blake2b(_ENCODER.encode(self), digest_size=6).hexdigest()


NONE = Snapshot()
"""Nothing is known of anybody's peers."""


class Gathering:
    """A snapshot in the making: baselines are added one by one, in any order, and none is kept."""

    def __init__(self, made: int, budget: float = BUDGET) -> None:
        """`made` is the moment it is to speak of (µs); `budget` the anomalies wanted in a day at most."""
        self._made = made
        self._tallies: dict[str, Tally] = {}
        self._ceiling = Ceiling(made, budget)

    def add(self, groups: Iterable[str], baseline: Baseline, peaks: Iterable[Peak] = ()) -> None:
        """Counts a principal in its groups, if its baseline is mature; `peaks` are its strangest moments by day."""
        if baseline.young:
            return
        rows = Tally.rows(baseline)
        for name in groups:
            tally = self._tallies.get(name)
            if tally is None:
                tally = self._tallies[name] = Tally()
            tally.add(rows)
        for day, strangeness in peaks:
            self._ceiling.add(day, strangeness)

    def close(self) -> Snapshot:
        """The snapshot; groups with fewer than LEAST_MEMBERS mature members are left out."""
        groups = {
            name: Group(tally.members, *tally.most_held(MOST_TOKENS), tally.totals, tally.hours)
            for name, tally in sorted(self._tallies.items())
            if tally.members >= LEAST_MEMBERS
        }
        return Snapshot(self._made, groups, self._ceiling.bar())


def build(
    members: Iterable[tuple[str, Baseline]],
    groups_of: Callable[[str], Sequence[str]],
    made: int,
    peaks_of: Callable[[str], Iterable[Peak]] = lambda _: (),
    budget: float = BUDGET,
) -> Snapshot:
    """The snapshot of (principal id, baseline) pairs, read one at a time.

    Args:
        members: every principal once.
        groups_of: the names of the groups a principal is in (`group_names`).
        made: the moment to speak of, microseconds since the epoch.
        peaks_of: a principal's (day, highest strangeness) pairs.
        budget: anomalies wanted in a day at most.
    """
    gathering = Gathering(made, budget)
    for principal, baseline in members:
        gathering.add(groups_of(principal), baseline, peaks_of(principal))
    return gathering.close()


def group_names(person: Person | None, kind: str) -> tuple[str, ...]:
    """The names of the groups a principal is in, the narrowest first; `kind` counts where nobody is declared."""
    if person is None:
        return (ORG,) if kind == "unknown" else (f"kind:{kind}", ORG)
    own = f"kind:{person.kind}"
    return (f"team:{person.team}", own, ORG) if person.team else (own, ORG)


def made_of(data: bytes) -> int:
    """When a packed snapshot was made, from its first HEADER_SIZE bytes.

    Raises:
        ValueError: when they are of another version.
    """
    if len(data) < HEADER_SIZE or data[:4] != _MAGIC:
        raise ValueError(f"snapshot begins with {bytes(data[:4])!r}, expected {_MAGIC!r}: written by another version")
    return int.from_bytes(data[_HEADER.size : HEADER_SIZE], "little")


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)
