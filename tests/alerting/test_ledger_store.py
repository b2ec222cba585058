"""The chain in Redis: one for all processes, each decision once, in segments that can be put away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from alerting import ledger_store as module
from alerting.ledger import GENESIS, NO_KEY, Decision, Key, keys_of, opened, read_record
from alerting.ledger_store import LedgerAway, RedisLedger, Span
from alerting.ledger_verify import TRIMMED, verify
from tests.alerting.test_ledger import KEY, a_decision

CHAIN = "{auditwatch:ledger}:chain"


@pytest.fixture
async def redis(redis_port: int) -> AsyncIterator[Redis]:
    client = Redis.from_url(f"redis://127.0.0.1:{redis_port}/3")
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
def ledger(redis: Redis) -> RedisLedger:
    return RedisLedger(redis, KEY)


async def lines(ledger: RedisLedger, first: int = 1, last: int = 2**53) -> list[bytes]:
    return [line async for line in ledger.lines(first, last)]


def some(*numbers: int) -> list[Decision]:
    return [a_decision(number) for number in numbers]


class TestAppending:
    async def test_what_is_appended_is_a_sound_chain(self, ledger: RedisLedger) -> None:
        assert await ledger.span() == Span(1, GENESIS, "")
        assert await ledger.append(some(1, 2)) == 2
        assert await ledger.append(some(3)) == 1
        kept = await lines(ledger)
        assert [read_record(line).subject for line in kept] == ["alert1", "alert2", "alert3"]
        report = verify(kept, [KEY])
        assert report.sound
        assert await ledger.span() == Span(1, report.last, KEY.name)

    async def test_written_again_counts_once(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(1, 2))
        assert await RedisLedger(redis, KEY).append(some(2, 1, 3, 3)) == 1
        assert await ledger.append(some(3)) == 0
        assert [read_record(line).subject for line in await lines(ledger)] == ["alert1", "alert2", "alert3"]

    async def test_only_the_newest_are_remembered(
        self, ledger: RedisLedger, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "SEEN", 3)
        await ledger.append(some(1, 2, 3, 4, 5))
        assert await redis.zcard("{auditwatch:ledger}:seen") == 3
        assert await ledger.append(some(3, 4, 5)) == 0
        assert await ledger.append(some(1)) == 1

    async def test_many_writers_make_one_chain(self, redis: Redis) -> None:
        async def write(writer: int) -> int:
            ledger = RedisLedger(redis, KEY)
            return sum([await ledger.append(some(100 * writer + number, number)) for number in range(20)])

        assert sum(await asyncio.gather(*map(write, range(1, 6)))) == 5 * 20 + 20
        report = verify(await lines(RedisLedger(redis, KEY)), [KEY])
        assert report.sound
        assert report.records == 120

    async def test_a_lost_answer_is_no_second_record(
        self, ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask = ledger._ask

        async def lost(call: object) -> object:
            await ask(call)
            raise LedgerAway("the connection broke")

        monkeypatch.setattr(ledger, "_ask", lost)
        with pytest.raises(LedgerAway):
            await ledger.append(some(1))
        monkeypatch.setattr(ledger, "_ask", ask)
        assert await ledger.append(some(1, 2)) == 1
        assert verify(await lines(ledger), [KEY]).records == 2

    async def test_nothing(self, ledger: RedisLedger) -> None:
        assert await ledger.append([]) == 0


class TestKeys:
    async def test_the_key_never_reaches_redis(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(1))
        stored = b"".join([await redis.dump(name) or b"" for name in await redis.keys("*")])
        assert b"alert1" in stored
        assert KEY.secret not in stored

    async def test_a_keyed_chain_takes_nothing_without_key(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(1))
        with pytest.raises(LedgerAway, match="AUDITWATCH_LEDGER_KEY"):
            await RedisLedger(redis, NO_KEY).append(some(2))
        assert len(await lines(ledger)) == 1

    async def test_from_no_key_to_a_key_to_another(self, redis: Redis) -> None:
        keys: tuple[Key, ...] = (NO_KEY, KEY, keys_of("f" * 32)[0])
        for number, key in enumerate(keys):
            assert await RedisLedger(redis, key).append(some(number)) == 1
        assert verify(await lines(RedisLedger(redis, NO_KEY)), keys[1:]).sound


class TestAnAttackerWithRedis:
    async def test_edits_a_record(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(1, 2, 3))
        line = (await lines(ledger))[1]
        await redis.lset(f"{CHAIN}:0", 1, line.replace(b"alert2", b"alert9"))
        await ledger.append(some(4))
        assert verify(await lines(ledger), [KEY]).problems == [
            "record 2 is not as it was written, or follows another than it did"
        ]

    async def test_cuts_the_tail_and_the_chain_goes_on(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(1, 2, 3))
        anchor = (await ledger.span()).head
        mac = opened((await lines(ledger))[0])[1]
        await redis.ltrim(f"{CHAIN}:0", 0, 0)
        await redis.hset(CHAIN, mapping={"seq": 1, "mac": mac})
        assert ledger.lost is None
        await ledger.append(some(4, 5, 6))
        assert ledger.lost == anchor
        kept = await lines(ledger)
        assert verify(kept, [KEY]).sound
        assert len(verify(kept, [KEY], [anchor]).problems) == 1

    async def test_empties_it(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(1, 2, 3))
        anchor = (await ledger.span()).head
        await redis.flushdb()
        await ledger.append(some(4))
        assert ledger.lost == anchor
        assert verify(await lines(ledger), [KEY]).sound
        assert not verify(await lines(ledger), [KEY], [anchor]).sound


class TestSegments:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "SEGMENT", 4)
        monkeypatch.setattr(module, "PAGE", 3)

    async def test_any_part_can_be_read(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(*range(1, 7)))
        await ledger.append(some(*range(7, 12)))
        assert sorted(await redis.keys(f"{CHAIN}:*")) == [f"{CHAIN}:{number}".encode() for number in range(3)]
        for first in range(1, 13):
            for last in range(first - 1, 13):
                numbers = [read_record(line).seq for line in await lines(ledger, first, last)]
                assert numbers == list(range(first, min(last, 11) + 1))
        assert verify(await lines(ledger), [KEY]).sound

    async def test_the_newest(self, ledger: RedisLedger) -> None:
        await ledger.append(some(*range(1, 11)))
        assert [read_record(line).seq for line in await ledger.newest(3)] == [8, 9, 10]
        assert len(await ledger.newest(100)) == 10

    async def test_whole_segments_are_let_go(self, ledger: RedisLedger, redis: Redis) -> None:
        await ledger.append(some(*range(1, 11)))
        mac = opened((await lines(ledger))[7])[1]
        await ledger.append([Decision("ledger", TRIMMED, 1, "dispatcher", {"through": "8", "mac": mac})])
        await ledger.drop(8)
        await ledger.drop(8)
        assert [read_record(line).seq for line in await lines(ledger)] == [9, 10, 11]
        assert await redis.keys(f"{CHAIN}:*") == [f"{CHAIN}:2".encode()]
        assert verify(await lines(ledger), [KEY]).sound
        assert await ledger.append(some(11)) == 1


async def test_a_redis_that_is_away() -> None:
    ledger = RedisLedger(Redis.from_url("redis://127.0.0.1:9/0"), KEY)
    with pytest.raises(LedgerAway, match="Redis does not take the ledger now"):
        await ledger.append(some(1))
    with pytest.raises(LedgerAway):
        await ledger.span()
    await ledger.close()
