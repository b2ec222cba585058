"""State by key, written together with the position it was computed at, only if nobody else wrote meanwhile.

This one condition covers a worker that was evicted, one that lost its assignment, and a Redis that came back older:
all of them find another position than the one they last read or wrote (architecture: State and crashes).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.settings import Settings

StoreError = RedisError
"""What a store out of reach raises."""

DAY = 86_400
KEPT_INCARNATIONS = 2
POSITION = "position"
"""The key of a partition's position: loaded with states, it tells whether they belong to the position in memory."""


class Position(msgspec.Struct, array_like=True, frozen=True):
    """How far a partition was folded: the topic's incarnation, its last offset, and the highest mark per origin.

    `ticks` counts the writes that time alone caused, so that no two writes leave the same position.
    """

    incarnation: str
    offset: int
    seen: dict[str, int]
    ticks: int = 0

    def at(self, offset: int, origin: str = "", mark: int = -1) -> Position:
        """The position after one more message, and the highest mark of the origin it came from.

        Of one origin ("topic/partition@incarnation") only the marks of its last few incarnations are kept.
        """
        seen = self.seen
        if origin and origin not in seen:
            place = origin.partition("@")[0] + "@"
            gone = [known for known in seen if known.startswith(place)][: 1 - KEPT_INCARNATIONS]
            seen = {known: high for known, high in seen.items() if known not in gone}
        return Position(self.incarnation, offset, {**seen, origin: mark} if origin else seen, self.ticks)

    def ticked(self) -> Position:
        """The position after a write that time alone caused."""
        return Position(self.incarnation, self.offset, self.seen, self.ticks + 1)


class Entry(NamedTuple):
    """One value to keep under a key for `ttl` seconds; an empty value removes the key."""

    key: str
    value: bytes
    ttl: int


class Write(NamedTuple):
    """What one batch changed in one partition, and the position bytes it was computed from (None: there were none)."""

    partition: int
    expected: bytes | None
    position: bytes
    entries: Sequence[Entry]


class StateStore(Protocol):
    """Where the states of one stage live; partitions are independent of each other."""

    async def positions(self, partitions: Sequence[int]) -> list[bytes | None]:
        """The position bytes of each partition, None where there are none yet."""

    async def load(self, wanted: Sequence[tuple[int, str]]) -> list[bytes | None]:
        """The values of (partition, key) pairs in order, None where there is none; each partition at one moment."""

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """Writes each partition atomically if its position is still the expected one; False where it was not."""


class MemoryStateStore:
    """The store of replay and of tests: a dictionary with the same condition on writes."""

    def __init__(self) -> None:
        self.marks: dict[int, bytes] = {}
        self.values: dict[tuple[int, str], bytes] = {}

    async def positions(self, partitions: Sequence[int]) -> list[bytes | None]:
        """See StateStore."""
        return [self.marks.get(partition) for partition in partitions]

    async def load(self, wanted: Sequence[tuple[int, str]]) -> list[bytes | None]:
        """See StateStore."""
        return [self.marks.get(pair[0]) if pair[1] == POSITION else self.values.get(pair) for pair in wanted]

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """See StateStore."""
        return [self._save(write) for write in writes]

    def _save(self, write: Write) -> bool:
        if self.marks.get(write.partition) != write.expected:
            return False
        self.marks[write.partition] = write.position
        for key, value, _ in write.entries:
            if value:
                self.values[write.partition, key] = value
            else:
                self.values.pop((write.partition, key), None)
        return True


COMPARE_AND_SET = """
local held = redis.call('GET', KEYS[1])
if ARGV[1] == '' then
  if held then return 0 end
elseif held ~= ARGV[1] then
  return 0
end
for i = 2, #KEYS do
  local value = ARGV[2 * i - 1]
  if value == '' then
    redis.call('DEL', KEYS[i])
  else
    redis.call('SET', KEYS[i], value, 'EX', ARGV[2 * i])
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


class RedisStateStore:
    """States in Redis: the keys of one partition share a hash tag, so that a cluster keeps them on one node."""

    def __init__(self, client: Redis, stage: str) -> None:
        self._redis = client
        self._stage = stage
        self._script = client.register_script(COMPARE_AND_SET)

    async def positions(self, partitions: Sequence[int]) -> list[bytes | None]:
        """See StateStore."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for partition in partitions:
                pipe.get(self._key(partition, POSITION))
            return list(await pipe.execute())

    async def load(self, wanted: Sequence[tuple[int, str]]) -> list[bytes | None]:
        """See StateStore: one MGET a partition, all in one round trip."""
        by_partition: dict[int, list[str]] = {}
        for partition, key in wanted:
            by_partition.setdefault(partition, []).append(key)
        async with self._redis.pipeline(transaction=False) as pipe:
            for partition, keys in by_partition.items():
                pipe.mget([self._key(partition, key) for key in keys])
            answers = await pipe.execute()
        values = dict(zip(by_partition, map(iter, answers), strict=True))
        return [next(values[partition]) for partition, _ in wanted]

    async def save(self, writes: Sequence[Write]) -> list[bool]:
        """See StateStore."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for write in writes:
                await self._script(*self._arguments(write), client=pipe)
            return [answer == 1 for answer in await pipe.execute()]

    def _arguments(self, write: Write) -> tuple[list[str], list[bytes | int]]:
        keys = [self._key(write.partition, POSITION)]
        arguments: list[bytes | int] = [write.expected or b"", write.position]
        for key, value, ttl in write.entries:
            keys.append(self._key(write.partition, key))
            arguments += (value, ttl)
        return keys, arguments

    def _key(self, partition: int, key: str) -> str:
        return key_name(self._stage, partition, key)


def key_name(stage: str, partition: int | str, key: str) -> str:
    """The Redis key of a part of a state."""
    return f"auditwatch:{{{stage}-{partition}}}:{key}"


async def bites(
    client: Any, stage: str, prefix: str, beside: str, size: int
) -> AsyncIterator[dict[str, tuple[bytes, bytes | None]]]:
    """The values of a stage's keys that begin with `prefix`, a few at a time, in no order; a name may come twice.

    Yields the name behind the prefix -> its value, and the value under the same name behind `beside` in its partition.
    """
    pattern, cursor = key_name(stage, "*", f"{prefix}*"), 0
    while True:
        cursor, found = await client.scan(cursor, match=pattern, count=size)
        heads = [key.partition(b"}:" + prefix.encode()) for key in found]
        async with client.pipeline(transaction=False) as pipe:
            for key, (head, _, name) in zip(found, heads, strict=True):
                pipe.mget(key, head + b"}:" + beside.encode() + name)
            answers = await pipe.execute() if found else []
        names = [name.decode() for _, _, name in heads]
        yield {name: (own, other) for name, (own, other) in zip(names, answers, strict=True) if own}
        if not cursor:
            return


def connect(settings: Settings) -> Redis:
    """A client for the settings' Redis; connects with its first command."""
    options: dict[str, Any] = {"socket_timeout": 10, "socket_connect_timeout": 5, "health_check_interval": 30}
    if settings.redis_ssl_cafile:
        options["ssl_ca_certs"] = str(settings.redis_ssl_cafile)
    return Redis.from_url(settings.redis, **options)
