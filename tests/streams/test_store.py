"""The contract of a StateStore, and what Redis adds to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.embedded import RedisServer
from streams.settings import Settings
from streams.store import (
    POSITION,
    Entry,
    MemoryStateStore,
    Position,
    RedisStateStore,
    StateStore,
    Write,
    connect,
    key_name,
)

STAGES = count()


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(Settings(redis=redis_server.url))
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, client: Redis) -> StateStore:
    return MemoryStateStore() if request.param == "memory" else RedisStateStore(client, f"test{next(STAGES)}")


def write(partition: int, expected: bytes | None, position: bytes, **values: bytes) -> Write:
    return Write(partition, expected, position, [Entry(key, value, 100) for key, value in values.items()])


async def test_there_is_nothing_at_first(store: StateStore) -> None:
    assert await store.positions([0, 7]) == [None, None]
    assert await store.load([(0, "a"), (0, POSITION)]) == [None, None]


async def test_what_is_saved_is_loaded_in_the_order_asked(store: StateStore) -> None:
    assert await store.save([write(0, None, b"p0", a=b"1", b=b"2"), write(1, None, b"p1", a=b"\x00\xff")]) == [
        True,
        True,
    ]
    assert await store.load([(1, "a"), (0, "b"), (0, "x"), (0, "a"), (1, "a")]) == [
        b"\x00\xff",
        b"2",
        None,
        b"1",
        b"\x00\xff",
    ]
    assert await store.positions([1, 0, 2]) == [b"p1", b"p0", None]


async def test_the_position_can_be_loaded_with_the_values(store: StateStore) -> None:
    await store.save([write(3, None, b"p3", a=b"1")])
    assert await store.load([(3, POSITION), (4, POSITION), (3, "a")]) == [b"p3", None, b"1"]


async def test_who_expected_nothing_loses_against_who_was_there(store: StateStore) -> None:
    assert await store.save([write(0, None, b"first", a=b"1")]) == [True]
    assert await store.save([write(0, None, b"second", a=b"2", b=b"2")]) == [False]
    assert await store.load([(0, POSITION), (0, "a"), (0, "b")]) == [b"first", b"1", None]


async def test_who_expected_another_position_changes_nothing(store: StateStore) -> None:
    await store.save([write(0, None, b"p1", a=b"1")])
    assert await store.save([write(0, b"p0", b"p2", a=b"2"), write(0, b"", b"p2", a=b"2")]) == [False, False]
    assert await store.save([write(0, b"p1", b"p2", a=b"2")]) == [True]
    assert await store.load([(0, POSITION), (0, "a")]) == [b"p2", b"2"]


async def test_who_expected_something_where_nothing_is_loses(store: StateStore) -> None:
    assert await store.save([write(0, b"p1", b"p2", a=b"2")]) == [False]
    assert await store.load([(0, POSITION), (0, "a")]) == [None, None]


async def test_one_partition_may_lose_while_others_win(store: StateStore) -> None:
    await store.save([write(number, None, b"old", a=b"old") for number in range(40)])
    writes = [write(number, b"old" if number != 17 else b"gone", b"new", a=b"new") for number in range(40)]
    assert await store.save(writes) == [number != 17 for number in range(40)]
    values = await store.load([(number, "a") for number in range(40)])
    assert values == [b"new" if number != 17 else b"old" for number in range(40)]


async def test_an_empty_value_removes_the_key(store: StateStore) -> None:
    await store.save([write(0, None, b"p1", a=b"1", b=b"2")])
    assert await store.save([write(0, b"p1", b"p2", a=b"", c=b"")]) == [True]
    assert await store.load([(0, "a"), (0, "b"), (0, "c")]) == [None, b"2", None]


async def test_calls_for_nothing_do_nothing(store: StateStore) -> None:
    assert await store.positions([]) == []
    assert await store.load([]) == []
    assert await store.save([]) == []
    assert await store.save([write(0, None, b"p")]) == [True]
    assert await store.positions([0]) == [b"p"]


async def test_keys_may_be_of_any_text(store: StateStore) -> None:
    keys = {"b:ä {0}": b"1", "b:\n\x00": b"2", "b:😀": b"3", "b:" + "x" * 3000: b"4"}
    await store.save([write(0, None, b"p", **keys)])
    assert await store.load([(0, key) for key in keys]) == list(keys.values())


async def test_of_many_who_write_at_once_one_wins(store: StateStore) -> None:
    tries = [store.save([write(0, None, b"p%d" % number, a=b"%d" % number)]) for number in range(20)]
    won = [number for number, (done,) in enumerate(await asyncio.gather(*tries)) if done]
    assert len(won) == 1
    assert await store.load([(0, "a")]) == [b"%d" % won[0]]


async def test_stages_do_not_share_keys(client: Redis) -> None:
    one, other = RedisStateStore(client, f"test{next(STAGES)}"), RedisStateStore(client, f"test{next(STAGES)}")
    await one.save([write(0, None, b"p", a=b"1")])
    assert await other.load([(0, "a"), (0, POSITION)]) == [None, None]


async def test_values_bear_their_time_to_live_and_the_position_none(client: Redis) -> None:
    stage = f"test{next(STAGES)}"
    await RedisStateStore(client, stage).save([Write(0, None, b"p", [Entry("a", b"1", 50), Entry("b", b"1", 5000)])])
    assert 0 < await client.ttl(key_name(stage, 0, "a")) <= 50
    assert 50 < await client.ttl(key_name(stage, 0, "b")) <= 5000
    assert await client.ttl(key_name(stage, 0, POSITION)) == -1


def test_a_partition_s_keys_share_a_hash_tag() -> None:
    assert all(key_name("events", 3, key).startswith("auditwatch:{events-3}:") for key in ("a", POSITION, "b:{x}"))


async def test_redis_may_forget_its_scripts(client: Redis) -> None:
    store = RedisStateStore(client, f"test{next(STAGES)}")
    await store.save([write(0, None, b"p0", a=b"1")])
    await client.script_flush()
    assert await store.save([write(0, b"p0", b"p1", a=b"2")]) == [True]


async def test_a_redis_that_is_killed_costs_one_error_and_no_state(tmp_path: Path) -> None:
    with RedisServer.start(tmp_path) as server:
        client = connect(Settings(redis=server.url))
        store = RedisStateStore(client, "events")
        await store.save([write(0, None, b"p0", a=b"1")])
        await asyncio.sleep(1.1)  # appendfsync everysec
        server.kill()
        for call in (store.positions([0]), store.load([(0, "a")]), store.save([write(0, b"p0", b"p1", a=b"2")])):
            with pytest.raises(RedisError):
                await call
        server.restart()
        assert await store.load([(0, POSITION), (0, "a")]) == [b"p0", b"1"]
        assert await store.save([write(0, b"p0", b"p1", a=b"2")]) == [True]
        await client.aclose()


def test_a_position_follows_its_origins() -> None:
    start = Position("x", -1, {})
    first = start.at(0, "audit.raw.a/0@i1", 5)
    assert (first.offset, first.seen, start.seen) == (0, {"audit.raw.a/0@i1": 5}, {})
    second = first.at(1, "audit.raw.a/10@i1", 7).at(2, "audit.raw.a/0@i1", 9)
    assert second.seen == {"audit.raw.a/0@i1": 9, "audit.raw.a/10@i1": 7}
    assert second.at(3) == Position("x", 3, second.seen)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=60))
def test_marks_of_long_gone_incarnations_are_let_go(met: list[tuple[int, int]]) -> None:
    position = Position("x", -1, {})
    for offset, (partition, incarnation) in enumerate(sorted(met, key=lambda each: each[1])):
        position = position.at(offset, f"audit.raw.a/{partition}@{incarnation}", offset)
        assert position.seen[f"audit.raw.a/{partition}@{incarnation}"] == offset
    for partition in range(3):
        newest = sorted({incarnation for at, incarnation in met if at == partition})[-2:]
        kept = [origin for origin in position.seen if origin.startswith(f"audit.raw.a/{partition}@")]
        assert kept == [f"audit.raw.a/{partition}@{incarnation}" for incarnation in newest]


def test_a_position_is_the_same_bytes_each_time() -> None:
    position = Position("x", 3, {"b": 1, "a": 2})
    packed = msgspec.msgpack.encode(position)
    assert msgspec.msgpack.encode(msgspec.msgpack.decode(packed, type=Position)) == packed
