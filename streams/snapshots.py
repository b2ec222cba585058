"""Where snapshots come from: built from the stored states of score, published by one worker, taken by all.

In replay one is built at the end of each event-time day. Live, the worker that owns partition 0 of audit.events reads
the baselines every few hours in small bites and publishes what they share under one key; every worker looks at that key
every ten seconds and swaps in what is newer, between two batches.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from audit.context import Context
from audit.event import MICROSECONDS
from detectors.baseline import Baseline
from detectors.peers import HEADER_SIZE, Gathering, Snapshot, group_names, made_of
from streams.metrics import gauge
from streams.principal import baseline_key, memory_key, told_by_memory, undeclared_in
from streams.store import bites

log = logging.getLogger("auditwatch.snapshots")

KEY = "auditwatch:{snapshot}"
POLL_SECONDS = 10.0
DUE_SECONDS = 1.0
"""Between two looks while one is due: partitions may not be assigned yet, or another worker is building."""
BITE = 200
"""Principals read and counted at once: about 1 MB and 15 ms."""
REST = 1.0
"""How many times as long as a bite took the builder rests after it: half of one core at most."""
HOUR = 3_600 * MICROSECONDS
GAP_PRINCIPALS = 10
"""When so many principals use a permission nobody declared, it is the model that lacks it."""
GAP_DAYS = 7
RETRY = 600 * MICROSECONDS
"""How soon a build that failed is tried again."""


class Builder:
    """A snapshot in the making from stored states; a state that cannot be read is left out."""

    def __init__(self, context: Context, made: int, budget: float) -> None:
        self._context = context
        self._gathering = Gathering(made, budget)
        self._since = made - GAP_DAYS * 24 * HOUR
        self._undeclared: Counter[int] = Counter()

    def add(self, principal: str, baseline: bytes, memory: bytes | None) -> None:
        """Counts a principal.

        Raises:
            ValueError: what is stored cannot be read.
        """
        kind, peaks = told_by_memory(memory)
        groups = group_names(self._context.person(principal), kind)
        self._gathering.add(groups, Baseline.unpack(baseline), peaks)
        self._undeclared.update({code for code, time in undeclared_in(memory) if time >= self._since})

    def close(self) -> Snapshot:
        """The snapshot."""
        gaps = sorted(code for code, count in self._undeclared.items() if count >= GAP_PRINCIPALS)
        return replace(self._gathering.close(), gaps=tuple(gaps))


def of_values(values: Mapping[tuple[int, str], bytes], context: Context, made: int, budget: float) -> Snapshot:
    """The snapshot of the states in a MemoryStateStore, which are whole between two batches."""
    builder = Builder(context, made, budget)
    prefix = baseline_key("")
    for partition, key in sorted(pair for pair in values if pair[1].startswith(prefix)):
        principal = key.removeprefix(prefix)
        builder.add(principal, values[partition, key], values.get((partition, memory_key(principal))))
    return builder.close()


async def of_redis(redis: Any, stage: str, context: Context, made: int, budget: float) -> Snapshot:
    """The snapshot of the states a stage keeps in Redis, read in bites beside the worker's work."""
    builder = Builder(context, made, budget)
    seen: set[int] = set()  # SCAN may name a key twice
    async for bite in bites(redis, stage, baseline_key(""), memory_key(""), BITE):
        started = time.perf_counter()
        fresh = {name: pair for name, pair in bite.items() if hash(name) not in seen}
        seen.update(map(hash, fresh))
        await asyncio.to_thread(_add_all, builder, fresh)
        await asyncio.sleep(REST * (time.perf_counter() - started))
    return await asyncio.to_thread(builder.close)


def _add_all(builder: Builder, pairs: Mapping[str, tuple[bytes, bytes | None]]) -> None:
    for principal, (baseline, memory) in pairs.items():
        try:
            builder.add(principal, baseline, memory)
        except ValueError as error:
            log.warning("%s is left out of the snapshot: %s", principal, error)


class Snapshots:
    """A worker's part in it: `keep` for ever, `current` is what was taken last."""

    def __init__(self, redis: Any, hours: int, budget: float, started: int) -> None:
        """Every `hours` (0: never) one is built; none before `started` (µs) lies that long back, unless one that is
        stored is older."""
        self._redis = redis
        self._every = hours * HOUR
        self._budget = budget
        self._due = started + self._every
        self._refused = b""
        self.current = Snapshot()

    async def poll(self) -> Snapshot | None:
        """The stored snapshot, if it is another than the current one; None also where it cannot be used."""
        header = await self._redis.getrange(KEY, 0, HEADER_SIZE - 1)
        if not header:
            return None
        try:
            made = made_of(header)
            if made <= self.current.made:
                return None
            stored = await asyncio.to_thread(Snapshot.unpack, await self._redis.get(KEY) or b"")
        except ValueError as error:
            if header != self._refused:
                log.error("the stored snapshot cannot be used (%s); until one is built the one before stays", error)
                self._refused, self._due = header, 0
            return None
        self._take(stored)
        log.info("snapshot %s taken: %d groups, bar %s", stored.hash, len(stored.groups), stored.bar)
        return stored

    def is_due(self, now: int) -> bool:
        """Whether it is time to build one."""
        return bool(self._every) and now >= self._due

    async def build(self, context: Context, now: int) -> Snapshot:
        """Builds one, publishes it and takes it."""
        started = time.perf_counter()
        self._due = now + RETRY
        snapshot = await of_redis(self._redis, "events", context, now, self._budget)
        packed = await asyncio.to_thread(snapshot.pack)
        await self._redis.set(KEY, packed)
        self._take(snapshot)
        seconds = time.perf_counter() - started
        gauge("snapshot_build_seconds", seconds)
        log.info(
            "snapshot %s built in %.1f s: %d groups, %d kB, bar %s",
            snapshot.hash, seconds, len(snapshot.groups), len(packed) // 1000, snapshot.bar,
        )  # fmt: skip
        return snapshot

    def _take(self, snapshot: Snapshot) -> None:
        self.current = snapshot
        self._due = snapshot.made + self._every
        gauge("snapshot_groups", len(snapshot.groups))


async def keep_snapshots(
    snapshots: Snapshots,
    context: Callable[[], Context],
    swap: Callable[[Snapshot], None],
    builds: Callable[[], bool],
    now: Callable[[], int],
) -> None:
    """Takes what is published, and builds when it is time and this worker's turn, for ever.

    Args:
        snapshots: this worker's.
        context: what the company declares at the moment.
        swap: takes another snapshot; the next batch runs under it.
        builds: whether this worker is the one that builds.
        now: microseconds since the epoch.
    """
    while True:
        try:
            if taken := await snapshots.poll():
                swap(taken)
            if snapshots.is_due(now()) and builds():
                swap(await snapshots.build(context(), now()))
        except Exception as error:
            log.error("no snapshot could be taken or built: %r; trying again", error)
        if snapshots.current.made:
            gauge("snapshot_age_seconds", (now() - snapshots.current.made) / MICROSECONDS)
        await asyncio.sleep(DUE_SECONDS if snapshots.is_due(now()) else POLL_SECONDS)
