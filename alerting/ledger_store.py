"""The ledger in Redis: one chain for all processes, in segments, each append a compare-and-set of the chain's end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerting.ledger import GENESIS, Decision, Head, Key, chain

SEGMENT = 10_000
"""Records of a segment: what is put away at once."""
SEEN = 50_000
"""Decisions remembered by their id, so that one written again after a crash counts once."""
PAGE = 2_000
_TRIES = 64


class LedgerAway(Exception):
    """The ledger takes nothing now; the text says why. Writing again later is safe."""


class Span(msgspec.Struct, frozen=True):
    """What Redis holds: records `first` to `head.seq` (first > head.seq: none), made with the key of that name."""

    first: int
    head: Head
    key: str


APPEND = """
local have = redis.call('HMGET', KEYS[1], 'seq', 'mac', 'key')
local seq, mac, key = tonumber(have[1] or 0), have[2] or string.rep('0', 64), have[3] or ''
if seq ~= tonumber(ARGV[1]) or mac ~= ARGV[2] or (key ~= '' and ARGV[3] == '') then
  return {'moved', seq, mac, key}
end
local known = {'known'}
for i = 7, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[2], ARGV[i]) then known[#known + 1] = ARGV[i] end
end
if #known > 1 then return known end
local size = tonumber(ARGV[5])
for i = 7, #ARGV, 2 do
  redis.call('RPUSH', KEYS[1] .. ':' .. math.floor(seq / size), ARGV[i + 1])
  seq = seq + 1
  redis.call('ZADD', KEYS[2], seq, ARGV[i])
end
redis.call('HSET', KEYS[1], 'seq', seq, 'mac', ARGV[4], 'key', ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[6]))
return {'done', seq, ARGV[4], ARGV[3]}
"""  # KEYS: chain, seen. ARGV: expected seq and mac, key, new mac, size, seen kept, then id and line of each record


class RedisLedger:
    """Appends to the chain and reads it. The client must return bytes.

    Redis never sees the key: MACs are made here, on the end of the chain as it was read, and the append is refused
    where the chain has moved on meanwhile.

    Raises, in every method:
        LedgerAway: Redis cannot be reached, takes no writes, or the chain is keyed and we have no key.
    """

    def __init__(self, client: Redis, key: Key, prefix: str = "auditwatch:ledger") -> None:
        self._client = client
        self._key = key
        self._chain, self._seen = f"{{{prefix}}}:chain", f"{{{prefix}}}:seen"
        self._head = GENESIS
        self.lost: Head | None = None
        """Where we had written up to, when the chain was found to end before that."""

    async def append(self, decisions: Sequence[Decision]) -> int:
        """Appends those that are not in it yet; returns how many these were."""
        left = list({decision.id: decision for decision in decisions}.values())
        for _ in range(_TRIES):
            if not left:
                return 0
            lines, head = chain(self._head, left, self._key)
            answer = await self._try(head, [one.id for one in left], lines)
            if answer[0] == b"done":
                self._head = head
                return len(left)
            if answer[0] == b"known":
                known = {name.decode() for name in answer[1:]}
                left = [one for one in left if one.id not in known]
            else:
                self._moved(int(answer[1]), answer[2].decode(), answer[3].decode())
        raise LedgerAway("others write to the ledger faster than this process can")

    async def _try(self, head: Head, ids: Sequence[str], lines: Sequence[bytes]) -> Any:
        pairs = [part for pair in zip(ids, lines, strict=True) for part in pair]
        before = (self._head.seq, self._head.mac, self._key.name, head.mac, SEGMENT, SEEN)
        return await self._ask(self._client.eval(APPEND, 2, self._chain, self._seen, *before, *pairs))

    def _moved(self, seq: int, mac: str, key: str) -> None:
        if key and not self._key.name:
            raise LedgerAway("the ledger is keyed: set AUDITWATCH_LEDGER_KEY for this process, too")
        if seq < self._head.seq or (seq == self._head.seq and mac != self._head.mac):
            self.lost = self._head
        self._head = Head(seq, mac)

    async def span(self) -> Span:
        """What there is."""
        first, seq, mac, key = await self._ask(self._client.hmget(self._chain, ["first", "seq", "mac", "key"]))
        head = Head(int(seq), mac.decode()) if seq else GENESIS
        return Span(int(first or 1), head, (key or b"").decode())

    async def lines(self, first: int = 1, last: int = 2**53) -> AsyncIterator[bytes]:
        """The records from `first` to `last`, as far as Redis holds them."""
        span = await self.span()
        seq, last = max(first, span.first), min(last, span.head.seq)
        while seq <= last:
            number, at = divmod(seq - 1, SEGMENT)
            stop = min(at + PAGE, SEGMENT, at + last - seq + 1)
            for line in await self._ask(self._client.lrange(self._segment(number), at, stop - 1)):
                yield line
            seq += stop - at

    async def newest(self, limit: int) -> list[bytes]:
        """The last so many records."""
        span = await self.span()
        return [line async for line in self.lines(max(1, span.head.seq - limit + 1))]

    async def drop(self, through: int) -> None:
        """Lets go of whole segments, up to the record `through`, which ends one."""
        span = await self.span()
        numbers = range((span.first - 1) // SEGMENT, through // SEGMENT)
        if numbers:
            both = self._client.pipeline(transaction=True)
            both.hset(self._chain, "first", str(through + 1))
            both.delete(*map(self._segment, numbers))
            await self._ask(both.execute())

    def _segment(self, number: int) -> str:
        return f"{self._chain}:{number}"

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _ask(self, call: Any) -> Any:
        try:
            return await cast(Awaitable[Any], call)
        except (RedisError, OSError) as error:
            raise LedgerAway(f"Redis does not take the ledger now: {error}") from error
