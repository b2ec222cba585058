"""Who of a group holds which token: counted from baselines one by one, in memory that depends on what they share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import ACTIVE_HOURS, CAPACITY, HOURS, TOTAL, Baseline

ROOM = 8_192
"""Tokens of one kind under count; beyond, those held by fewest go (lossy counting: Manku and Motwani, "Approximate
Frequency Counts over Data Streams", VLDB 2002)."""
LEAST_PENDING = 512
UNIT = 1 << 20
"""A member's share is counted in whole parts of it: sums of integers are the same in any order."""

_KIND = np.repeat(np.arange(len(CAPACITY), dtype=np.uint8), CAPACITY)


class Rows(NamedTuple):
    """The tokens one baseline holds, of which kind each is, and its share of what was done of that kind, in UNITs."""

    tokens: NDArray[np.uint64]
    kinds: NDArray[np.uint8]
    shares: NDArray[np.uint32]
    totals: NDArray[np.int64]
    hours: NDArray[np.int64]


class Tally:
    """A group's members under count."""

    __slots__ = ("_held", "_hours", "_kinds", "_pending", "_shares", "_tokens", "_totals", "_waiting", "members")

    def __init__(self) -> None:
        self.members = 0
        self._tokens = np.empty(0, dtype=np.uint64)
        self._kinds = np.empty(0, dtype=np.uint8)
        self._held = np.empty(0, dtype=np.uint32)
        self._shares: NDArray[np.float64] = np.empty(0, dtype=np.float64)
        self._totals = np.zeros(len(CAPACITY), dtype=np.int64)
        self._hours = np.zeros(HOURS, dtype=np.int64)
        self._pending: list[tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.uint32]]] = []
        self._waiting = 0

    @staticmethod
    def rows(baseline: Baseline) -> Rows:
        """What a baseline adds to each of its groups."""
        scalars = baseline.scalars
        tokens = np.frombuffer(baseline.keys, dtype=np.uint64)
        there = np.flatnonzero(tokens)
        kinds = _KIND[there]
        totals = np.array(scalars[TOTAL : TOTAL + len(CAPACITY)])
        counts = np.frombuffer(baseline.counts, dtype=np.float32)[there].astype(np.float64)
        shares = np.rint(UNIT * np.minimum(1.0, counts / np.maximum(totals, 1e-300)[kinds])).astype(np.uint32)
        active = max(scalars[ACTIVE_HOURS], 1e-300)
        hours = np.frombuffer(baseline.hours, dtype=np.float32).astype(np.float64) / active
        return Rows(
            tokens[there],
            kinds,
            shares,
            (totals > 0.0).astype(np.int64),
            np.rint(UNIT * np.minimum(1.0, hours)).astype(np.int64),
        )

    def add(self, rows: Rows) -> None:
        """Counts one member."""
        self.members += 1
        self._totals += rows.totals
        self._hours += rows.hours
        self._pending.append(rows[:3])
        self._waiting += len(rows.tokens)
        if self._waiting > max(LEAST_PENDING, len(self._tokens)):
            self._merge()

    @property
    def totals(self) -> tuple[float, ...]:
        """Members that have any token of a kind."""
        return tuple(map(float, self._totals.tolist()))

    @property
    def hours(self) -> tuple[float, ...]:
        """Activity by hour bin, 1 a member."""
        return tuple((self._hours / UNIT).tolist())

    def most_held(self, most: int) -> tuple[tuple[dict[int, int], ...], tuple[dict[int, float], ...]]:
        """For each kind the tokens held by most members, and by more than one: token -> members, token -> shares."""
        self._merge()
        people: list[dict[int, int]] = []
        counts: list[dict[int, float]] = []
        for kind in range(len(CAPACITY)):
            chosen = self._first(kind, most)
            chosen = chosen[self._held[chosen] > 1]
            tokens = self._tokens[chosen].tolist()
            people.append(dict(zip(tokens, self._held[chosen].tolist(), strict=True)))
            counts.append(dict(zip(tokens, (self._shares[chosen] / UNIT).tolist(), strict=True)))
        return tuple(people), tuple(counts)

    def _merge(self) -> None:
        pending, self._pending, self._waiting = self._pending, [], 0
        if not pending:
            return
        tokens = np.concatenate([self._tokens, *(tokens for tokens, _, _ in pending)])
        kinds = np.concatenate([self._kinds, *(kinds for _, kinds, _ in pending)])
        shares: NDArray[np.float64] = np.concatenate([self._shares, *(shares for _, _, shares in pending)])
        held = np.ones(len(tokens))
        held[: len(self._held)] = self._held
        self._tokens, first, place = np.unique(tokens, return_index=True, return_inverse=True)
        self._kinds = kinds[first]
        self._held = np.bincount(place, weights=held).astype(np.uint32)
        self._shares = np.bincount(place, weights=shares).astype(np.float64)
        if len(self._tokens) > ROOM:
            self._make_room()

    def _make_room(self) -> None:
        kept = np.sort(np.concatenate([self._first(kind, ROOM) for kind in range(len(CAPACITY))]))
        if len(kept) < len(self._tokens):
            self._tokens, self._kinds = self._tokens[kept], self._kinds[kept]
            self._held, self._shares = self._held[kept], self._shares[kept]

    def _first(self, kind: int, most: int) -> NDArray[np.intp]:
        """Places of a kind's tokens held by most members, those first; of equals the lowest token first."""
        places = np.flatnonzero(self._kinds == kind)
        order = np.argsort(-self._held[places].astype(np.int64), kind="stable")
        return places[order[:most]]
