"""The state score keeps of one principal: the usual (baseline), all it ever met, what was seen lately, what waits."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec

from audit.event import MICROSECONDS, ActorKind, AuditEvent
from detectors.baseline import Baseline
from detectors.budget import Peak, with_peak
from detectors.features import Groups, Observation, features, learn, learn_held, notice
from detectors.names import Names, with_names
from detectors.observation import KINDS
from detectors.slow import Slow
from detectors.slow_days import Stored
from detectors.terms import Terms
from rules.access_use import Used
from rules.correlation_section import LATENESS
from rules.view import History
from streams.packet import Control
from streams.store import DAY, Entry

RECENT = 256
"""Event ids remembered per principal, so that an event delivered twice counts once."""
HELD = 64
"""Observations that may wait for a verdict; older ones are dropped unlearnt."""
TAUGHT = 4
"""Of what waits at one time, age alone lets so many be learnt: doing a deed often in a day does not make it usual."""
FIRST_USES = 64
"""Permissions nobody declared whose first use in a day is told and remembered, of a principal: the day's earliest."""
UNDECLARED = 128
"""Permissions nobody declared that are remembered of the days before, each with its newest day's first use."""
HOLD = DAY * MICROSECONDS
"""How long (event time) a suspected event waits before age decides."""

BASELINE_TTL = 120 * DAY
"""Also of the memory beside a baseline: what is held must not be gone before the usual it belongs to."""
MEMORY_TTL = 8 * DAY
"""Of a memory without a baseline: somebody who never authenticated."""


Use = Literal["first", "repeat", "surplus"]


class Held(msgspec.Struct, array_like=True, gc=False):
    """An observation under suspicion; `teaches` says what its age decides after `until` (µs): learn it or drop it.

    `event` is the code by which a verdict names it; 0 in what an older version stored. `told` is the severity (an
    index) of the finding that told of it, 0 where its strangeness was none; its own deed sets it, and it is
    raised where what was taken for a journey turns out to be none.
    """

    observation: Observation
    until: int
    teaches: bool
    event: int = 0
    told: int = 0


class Usual(NamedTuple):
    """What a principal has learnt and holds at one moment."""

    baseline: Baseline
    held: list[Held]
    names: Names


class _Memory(msgspec.Struct, array_like=True, frozen=True):
    recent: bytes
    next: int
    held: list[Held]
    peaks: list[Peak] = []
    kind: int = KINDS.index("unknown")
    slow: Stored = Stored()
    names: Names = {}
    undeclared: list[tuple[int, int]] = []
    granted: list[Used] = []


class Principal:
    """Baseline, terms, recent event ids and held observations of one principal; changed in place by score.

    `peaks` are its highest strangeness by day, `kind` what its newest event says it is: for the next snapshot. `slow`
    is what adds up over days, `names` what its usual is called, `undeclared` what it used that no role permits,
    `granted` what it did under temporary grants and by break-glass (rules/access_use.py).
    """

    __slots__ = (
        "_next", "_recent", "baseline", "granted", "held", "kind", "names", "peaks", "slow", "terms", "undeclared"
    )  # fmt: skip

    def __init__(self, baseline: Baseline, memory: _Memory | None = None, terms: Terms | None = None) -> None:
        self.baseline = baseline
        self.terms = terms or Terms()
        self.held = memory.held if memory else []
        self.peaks = memory.peaks if memory else []
        self.kind = memory.kind if memory else KINDS.index("unknown")
        self.slow = Slow(memory.slow if memory else None)
        self.names = memory.names if memory else {}
        self.undeclared = memory.undeclared if memory else []
        self.granted = memory.granted if memory else []
        self._next = memory.next if memory else 0
        self._recent = bytearray(memory.recent if memory else b"")

    @classmethod
    def unpack(cls, baseline: bytes | None, memory: bytes | None, terms: bytes | None = None) -> Principal:
        """The state from its three stored parts."""
        return cls(
            Baseline.unpack(baseline) if baseline else Baseline(),
            _MEMORY.decode(memory) if memory else None,
            Terms.unpack(terms) if terms else None,
        )

    def pack(self, key: str) -> list[Entry]:
        """The stored parts; a principal that never taught anything, or not since it was forgotten, has no baseline."""
        slow = self.slow.days.stored()
        seen = bytes(self._recent), self._next
        used = self.undeclared, self.granted
        memory = _ENCODE(_Memory(*seen, self.held, self.peaks, self.kind, slow, self.names, *used))
        known = self.baseline.events or self.held
        entries = [Entry(memory_key(key), memory, BASELINE_TTL if known else MEMORY_TTL)]
        baseline = self.baseline.pack() if self.baseline.events else NOTHING
        terms = self.terms.pack() if self.terms.since >= 0 else NOTHING
        entries.append(Entry(baseline_key(key), baseline, BASELINE_TTL))
        entries.append(Entry(terms_key(key), terms, BASELINE_TTL))
        return entries

    def copy_of_usual(self) -> Usual:
        """Baseline, held observations and names as they are now, to go back to with `restore`."""
        return Usual(self.baseline.copy(), list(self.held), self.names)

    def restore(self, usual: Usual) -> None:
        """Back to a copy made earlier."""
        self.baseline, self.held, self.names = usual

    def is_repeat(self, event: AuditEvent) -> bool:
        """Whether the event was seen lately; remembers it if not.

        The id alone does not tell: clients of Kubernetes choose their requests' audit id, and one id for everything
        would hide all but the first.
        """
        return self._is_repeat(_code(event))

    def _is_repeat(self, code: int) -> bool:
        """Looked for among the bytes: a set of the codes would hold twenty times their memory."""
        recent, wanted = self._recent, code.to_bytes(8, "little")
        place = recent.find(wanted)
        while place > 0 and place % 8:  # it lies across two codes
            place = recent.find(wanted, place + 1)
        if place >= 0:
            return True
        if len(recent) < 8 * RECENT:
            recent += wanted
        else:
            recent[8 * self._next : 8 * self._next + 8] = wanted
            self._next = (self._next + 1) % RECENT
        return False

    def meet(self, observation: Observation) -> History:
        """What the past says of an observation, which from now on belongs to it, suspected or not.

        "Never seen" is a fact, not the usual: that a rule asked about it does not make it unseen again.
        """
        self.kind = observation.kind
        idle = self.terms.idle(observation.time)
        new = self.terms.meet(observation.tokens, observation.time)
        return History(new, self.terms.history(observation.time), idle)

    def score(self, time: int, strangeness: float) -> None:
        """Remembers the strangeness of an event at `time` (µs) if it is the highest of its day."""
        self.peaks = with_peak(self.peaks, time, strangeness)

    def uses(self, permission: int, time: int) -> Use:
        """Whether the use of a permission nobody declared (its code) at `time` (µs) is of the first minutes of its day.

        These are as many as events may be late, so that the answer does not depend on the order they come in. So long
        after the day's FIRST_USES-th permission a new one is surplus: not remembered, each of its uses is the same.
        """
        day = time // HOLD
        today = {known: first for known, first in self.undeclared if first // HOLD == day}
        first = today.get(permission, time)
        if permission in today and time >= first:
            return "first" if time <= first + LATENESS else "repeat"
        if len(today) >= FIRST_USES and time > max(today.values()) + LATENESS:
            return "surplus"
        today[permission] = time
        told = sorted(today.items(), key=_by_time)[:FIRST_USES]
        self.undeclared = _settled([*(use for use in self.undeclared if use[1] // HOLD != day), *told])
        return "first"

    def row(self, observation: Observation, now: int, groups: Groups = ()) -> list[float]:
        """The features of an observation made at `now` (µs) against the usual so far, and against that of its peers."""
        self.release(now)
        return features(self.baseline, observation, groups)

    def learn(self, observation: Observation) -> None:
        """Makes the observation part of the usual."""
        learn(self.baseline, observation)

    def name(self, observation: Observation, event: AuditEvent) -> None:
        """Remembers what the usual is called, of an event just learnt."""
        self.names = with_names(self.names, self.baseline, observation, event)

    def hold(self, observation: Observation, now: int, teaches: bool, event: int = 0) -> Held:
        """Keeps an observation out of the usual until a verdict on its `event` (a code), or until its age decides.

        It still counts among what happens now.
        """
        notice(self.baseline, observation, [held.observation for held in self.held])
        teaches = teaches and sum([held.teaches for held in self.held]) < TAUGHT
        held = Held(observation, now + HOLD, teaches, event)
        self.held.append(held)
        if len(self.held) > HELD:
            del self.held[0]
        return held

    def release(self, now: int) -> None:
        """What is held until `now` (µs) is learnt or dropped, as its age decides."""
        if not self.held:
            return
        due = [held for held in self.held if held.until <= now]
        if due:
            self.held = [held for held in self.held if held.until > now]
            for held in due:
                if held.teaches:
                    learn_held(self.baseline, held.observation)

    def obey(self, control: Control) -> None:
        """Does what people decided, once, however often it is delivered. What was seen lately stays known, and so does
        what was done under grants: that is no usual, but evidence."""
        if self._is_repeat(event_code(control.id)):
            return
        if control.kind == "forget":
            fresh = Principal(Baseline(), _Memory(bytes(self._recent), self._next, [], granted=self.granted))
            for name in self.__slots__:
                setattr(self, name, getattr(fresh, name))
            return
        meant = [held for held in self.held if _concerns(control, held)]
        self.held = [held for held in self.held if not _concerns(control, held)]
        if control.kind == "learn":
            for held in meant:
                learn_held(self.baseline, held.observation)


def _by_time(use: tuple[int, int]) -> tuple[int, int]:
    return use[1], use[0]


def _settled(uses: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The uses, those of days of which nothing can come any more bounded: of each permission the newest, of these the
    last UNDECLARED. That is the same whenever, and however often, it is done."""
    over = (max(first for _, first in uses) - LATENESS) // HOLD
    newest: dict[int, int] = {}
    for code, first in uses:
        if first // HOLD < over:
            newest[code] = max(first, newest.get(code, first))
    return [*sorted(newest.items(), key=_by_time)[-UNDECLARED:], *(use for use in uses if use[1] // HOLD >= over)]


def _concerns(control: Control, held: Held) -> bool:
    time = held.observation.time * MICROSECONDS
    return held.event in control.events or control.since <= time < control.until


def told_by_memory(memory: bytes | None) -> tuple[ActorKind, list[Peak]]:
    """What a stored memory adds to a snapshot: the principal's kind and peaks.

    Raises:
        msgspec.DecodeError: these are other bytes.
    """
    if not memory:
        return "unknown", []
    read = _MEMORY.decode(memory)
    return KINDS[read.kind], read.peaks


def undeclared_in(memory: bytes | None) -> list[tuple[int, int]]:
    """The permissions nobody declared that a stored memory names, each with the time of a day's first use (µs).

    Raises:
        msgspec.DecodeError: these are other bytes.
    """
    return _MEMORY.decode(memory).undeclared if memory else []


def granted_in(memory: bytes | None) -> list[Used]:
    """What a stored memory knows of its principal's temporary grants.

    Raises:
        msgspec.DecodeError: these are other bytes.
    """
    return _MEMORY.decode(memory).granted if memory else []


def baseline_key(principal: str) -> str:
    """The store's key of a principal's baseline."""
    return f"b:{principal}"


def memory_key(principal: str) -> str:
    """The store's key of what was seen lately and what is held."""
    return f"m:{principal}"


def terms_key(principal: str) -> str:
    """The store's key of what it was ever seen with."""
    return f"t:{principal}"


def event_code(name: str) -> int:
    """64 bits for an event's id; never 0."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def _code(event: AuditEvent) -> int:
    """64 bits of what is the same each time an event is delivered; a time of ours (marked) is not."""
    second = 0 if event.marks else event.time // MICROSECONDS
    name = event.resource.name if event.resource else ""
    identity = f"{event.source}\x1f{event.id}\x1f{second}\x1f{event.action}\x1f{name}"
    return int.from_bytes(blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


NOTHING = b""
_ENCODE = msgspec.msgpack.Encoder().encode
_MEMORY = msgspec.msgpack.Decoder(_Memory)
