"""What only the outbox in Redis does; its contract is tested in test_store.py."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from alerting.store import StoreUnavailable
from alerting.store_redis import DELIVERED_KEPT, SPENT_KEPT, RedisAlertStore
from tests.alerting.conftest import an_alert
from tests.alerting.test_store import ids, shown


async def test_redis_lets_only_the_delivered_expire(redis_store: RedisAlertStore) -> None:
    alert, key = an_alert(), f"{{test}}:alert:{an_alert().id}"
    await redis_store.put(alert)
    assert await redis_store._client.ttl(key) == -1
    await redis_store.receipt(alert.id, shown(alert))
    assert DELIVERED_KEPT - 10 < await redis_store._client.ttl(key) <= DELIVERED_KEPT
    await redis_store.put(an_alert(revision=2))
    assert await redis_store._client.ttl(key) == -1


async def test_redis_forgets_what_has_expired_from_its_index(redis_store: RedisAlertStore) -> None:
    for number in range(50):
        await redis_store.put(an_alert(number))
    gone = [f"{{test}}:alert:{an_alert(number).id}" for number in range(45)]
    await redis_store._client.delete(*gone)
    assert len(await redis_store.list(100)) == 5
    for number in range(100, 200):
        await redis_store.put(an_alert(number))
    assert await redis_store._client.zcard("{test}:index") < 150


async def test_redis_outlives_its_client(redis_store: RedisAlertStore, redis_port: int) -> None:
    await redis_store.put(an_alert())
    other = RedisAlertStore.connect(f"redis://127.0.0.1:{redis_port}/0", prefix="test")
    assert await ids(other) == [an_alert().id]
    await other.close()


async def test_without_redis_the_store_says_so() -> None:
    store = RedisAlertStore.connect("redis://127.0.0.1:1/0")
    with pytest.raises(StoreUnavailable, match="AUDITWATCH_REDIS"):
        await store.put(an_alert())


def test_a_client_that_decodes_is_refused() -> None:
    with pytest.raises(ValueError, match="decode_responses"):
        RedisAlertStore(Redis(decode_responses=True))


async def test_redis_forgets_old_purses(redis_store: RedisAlertStore) -> None:
    await redis_store.spend("2026-01-31:C1", "a", 2)
    assert 0 < await redis_store._client.ttl("{test}:spent:2026-01-31:C1") <= SPENT_KEPT
