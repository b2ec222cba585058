"""The state score keeps of one principal: the usual (baseline), all it ever met, what was seen lately, what waits."""

from __future__ import annotations

from array import array
from hashlib import blake2b

import msgspec

from audit.event import MICROSECONDS, AuditEvent
from detectors.baseline import Baseline
from detectors.features import Observation, features, learn, notice
from detectors.terms import Terms
from rules.fields import History
from streams.store import DAY, Entry

RECENT = 256
"""Event ids remembered per principal, so that an event delivered twice counts once."""
HELD = 64
"""Observations that may wait for a verdict; older ones are dropped unlearnt."""
HOLD = DAY * MICROSECONDS
"""How long (event time) a suspected event waits before age decides."""

BASELINE_TTL = 120 * DAY
"""Also of the memory beside a baseline: what is held must not be gone before the usual it belongs to."""
MEMORY_TTL = 8 * DAY
"""Of a memory without a baseline: somebody who never authenticated."""


class Held(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An observation under suspicion; `teaches` says what its age decides after `until` (µs): learn it or drop it."""

    observation: Observation
    until: int
    teaches: bool


class _Memory(msgspec.Struct, array_like=True, frozen=True):
    recent: bytes
    next: int
    held: list[Held]


class Principal:
    """Baseline, terms, recent event ids and held observations of one principal; changed in place by score."""

    __slots__ = ("_next", "_recent", "_seen", "baseline", "held", "terms")

    def __init__(self, baseline: Baseline, memory: _Memory | None = None, terms: Terms | None = None) -> None:
        self.baseline = baseline
        self.terms = terms or Terms()
        self.held = memory.held if memory else []
        self._next = memory.next if memory else 0
        self._recent = array("Q")
        if memory:
            self._recent.frombytes(memory.recent)
        self._seen = set(self._recent)

    @classmethod
    def unpack(cls, baseline: bytes | None, memory: bytes | None, terms: bytes | None = None) -> Principal:
        """The state from its three stored parts."""
        return cls(
            Baseline.unpack(baseline) if baseline else Baseline(),
            _MEMORY.decode(memory) if memory else None,
            Terms.unpack(terms) if terms else None,
        )

    def pack(self, key: str) -> list[Entry]:
        """The stored parts; a principal that never taught anything gets no baseline."""
        memory = _ENCODE(_Memory(self._recent.tobytes(), self._next, self.held))
        known = self.baseline.events or self.held
        entries = [Entry(memory_key(key), memory, BASELINE_TTL if known else MEMORY_TTL)]
        if self.baseline.events:
            entries.append(Entry(baseline_key(key), self.baseline.pack(), BASELINE_TTL))
        if self.terms.since >= 0:
            entries.append(Entry(terms_key(key), self.terms.pack(), BASELINE_TTL))
        return entries

    def copy_of_usual(self) -> tuple[Baseline, list[Held]]:
        """Baseline and held observations as they are now, to go back to with `restore`."""
        return self.baseline.copy(), list(self.held)

    def restore(self, usual: tuple[Baseline, list[Held]]) -> None:
        """Back to a copy made earlier."""
        self.baseline, self.held = usual

    def is_repeat(self, event: AuditEvent) -> bool:
        """Whether the event was seen lately; remembers it if not.

        The id alone does not tell: clients of Kubernetes choose their requests' audit id, and one id for everything
        would hide all but the first.
        """
        code = _code(event)
        if code in self._seen:
            return True
        self._seen.add(code)
        if len(self._recent) < RECENT:
            self._recent.append(code)
        else:
            self._seen.discard(self._recent[self._next])
            self._recent[self._next] = code
            self._next = (self._next + 1) % RECENT
        return False

    def meet(self, observation: Observation) -> History:
        """What the past says of an observation, which from now on belongs to it, suspected or not.

        "Never seen" is a fact, not the usual: that a rule asked about it does not make it unseen again.
        """
        new = self.terms.meet(observation.tokens, observation.time)
        return History(new, self.terms.history(observation.time))

    def row(self, observation: Observation, now: int) -> list[float]:
        """The features of an observation made at `now` (µs) against the usual so far."""
        self.release(now)
        return features(self.baseline, observation)

    def learn(self, observation: Observation) -> None:
        """Makes the observation part of the usual."""
        learn(self.baseline, observation)

    def hold(self, observation: Observation, now: int, teaches: bool) -> None:
        """Keeps an observation out of the usual until its age decides; it still counts among what happens now."""
        notice(self.baseline, observation, [held.observation for held in self.held])
        self.held.append(Held(observation, now + HOLD, teaches))
        if len(self.held) > HELD:
            del self.held[0]

    def release(self, now: int) -> None:
        """What is held until `now` (µs) is learnt or dropped, as its age decides."""
        if not self.held:
            return
        due = [held for held in self.held if held.until <= now]
        if due:
            self.held = [held for held in self.held if held.until > now]
            for held in due:
                if held.teaches:
                    learn(self.baseline, held.observation)


def baseline_key(principal: str) -> str:
    """The store's key of a principal's baseline."""
    return f"b:{principal}"


def memory_key(principal: str) -> str:
    """The store's key of what was seen lately and what is held."""
    return f"m:{principal}"


def terms_key(principal: str) -> str:
    """The store's key of what it was ever seen with."""
    return f"t:{principal}"


def _code(event: AuditEvent) -> int:
    """64 bits of what is the same each time an event is delivered; a time of ours (marked) is not."""
    second = 0 if event.marks else event.time // MICROSECONDS
    name = event.resource.name if event.resource else ""
    identity = f"{event.source}\x1f{event.id}\x1f{second}\x1f{event.action}\x1f{name}"
    return int.from_bytes(blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_ENCODE = msgspec.msgpack.Encoder().encode
_MEMORY = msgspec.msgpack.Decoder(_Memory)
