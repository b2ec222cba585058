"""Building from what is stored, publishing, polling: nothing at the very start, newer wins, damage is ignored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from audit.context import EMPTY, Context
from audit.context_schema import Declared, Person
from detectors.features import observe
from detectors.peers import NONE, Group, Snapshot
from streams import snapshots as module
from streams.embedded import RedisServer
from streams.metrics import REGISTRY
from streams.principal import Principal
from streams.settings import Settings
from streams.snapshots import HOUR, KEY, Snapshots, keep_snapshots, of_redis, of_values
from streams.store import MemoryStateStore, RedisStateStore, Write, bites, connect
from tests.detectors.company import MONDAY, company

NOW = (MONDAY + 20 * 86_400) * 1_000_000
TEAM = Context(Declared(users=tuple(Person(id=f"user{number}", team="blue") for number in range(6))))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer.start(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(Settings(redis=server.url))
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="module")
def principals() -> dict[str, Principal]:
    found: dict[str, Principal] = {}
    for event in company(users=8, days=20, seed=2):
        principal = found.setdefault(event.actor.id, Principal.unpack(None, None))
        observation = observe(event)
        principal.meet(observation)
        principal.learn(observation)
        principal.score(event.time, 2.0 + int(event.actor.id[-1]) / 10)
    return found


async def stored(store: MemoryStateStore | RedisStateStore, principals: dict[str, Principal]) -> None:
    for partition in (0, 1):
        mine = [name for name in principals if int(name[-1]) % 2 == partition]
        entries = [entry for name in mine for entry in principals[name].pack(name)]
        assert await store.save([Write(partition, None, b"p", entries)]) == [True]


async def test_memory_and_redis_give_the_same(client: Redis, principals: dict[str, Principal]) -> None:
    memory = MemoryStateStore()
    await stored(memory, principals)
    await stored(RedisStateStore(client, "events"), principals)
    await client.set("auditwatch:{findings-0}:b:other", b"of another stage")
    one, other = of_values(memory.values, TEAM, NOW, 10), await of_redis(client, "events", TEAM, NOW, 10)
    assert one == other
    assert {name: group.members for name, group in one.groups.items()} == {"kind:human": 8, "org": 8, "team:blue": 6}


async def test_a_kind_is_that_of_the_newest_event_where_nobody_is_declared(principals: dict[str, Principal]) -> None:
    memory = MemoryStateStore()
    await stored(memory, principals)
    assert of_values(memory.values, EMPTY, NOW, 10).groups.keys() == {"kind:human", "org"}


async def test_the_budget_reads_the_peaks_that_are_stored(principals: dict[str, Principal]) -> None:
    memory = MemoryStateStore()
    await stored(memory, principals)
    made = (MONDAY + 20 * 86_400) * 1_000_000
    bars = [of_values(memory.values, TEAM, made, budget).bar for budget in (1, 2, 100)]
    assert bars[2] is None
    assert 2.7 >= bars[0] > bars[1] > 2.0


@pytest.mark.parametrize("size", [1, 3, 500])
async def test_bites_bring_every_principal_of_a_stage(
    client: Redis, principals: dict[str, Principal], size: int
) -> None:
    await stored(RedisStateStore(client, "events"), principals)
    await client.set("auditwatch:{events-1}:b:odd}:b:name", b"x")
    found: dict[str, Any] = {}
    async for bite in bites(client, "events", "b:", "m:", size):
        found |= bite
    assert found.pop("odd}:b:name") == (b"x", None)
    assert found.keys() == principals.keys()
    assert all(Principal.unpack(*pair).peaks == principals[name].peaks for name, pair in found.items())


async def test_a_state_that_cannot_be_read_is_left_out(
    client: Redis, principals: dict[str, Principal], caplog: pytest.LogCaptureFixture
) -> None:
    await stored(RedisStateStore(client, "events"), principals)
    await client.set("auditwatch:{events-0}:b:user0", b"BL damaged")
    await client.set("auditwatch:{events-1}:m:user1", b"\xff")
    snapshot = await of_redis(client, "events", EMPTY, NOW, 10)
    assert snapshot.groups["org"].members == 6
    assert "user0 is left out" in caplog.text
    assert "user1 is left out" in caplog.text


class TestTaking:
    async def test_nothing_is_built_before_the_interval_is_over(self, client: Redis) -> None:
        snapshots = Snapshots(client, hours=6, budget=10, started=NOW)
        assert await snapshots.poll() is None
        assert not snapshots.is_due(NOW)
        assert not snapshots.is_due(NOW + 6 * HOUR - 1)
        assert snapshots.is_due(NOW + 6 * HOUR)
        assert not Snapshots(client, hours=0, budget=10, started=NOW).is_due(NOW + 1_000 * HOUR)

    async def test_another_worker_takes_what_one_has_built(
        self, client: Redis, principals: dict[str, Principal]
    ) -> None:
        await stored(RedisStateStore(client, "events"), principals)
        builder, other = (Snapshots(client, hours=6, budget=10, started=NOW) for _ in range(2))
        built = await builder.build(TEAM, NOW + 7 * HOUR)
        assert "team:blue" in built.groups
        assert await other.poll() == built == other.current
        assert await other.poll() is await builder.poll() is None, "nothing newer"
        assert not other.is_due(NOW + 12 * HOUR)
        assert other.is_due(NOW + 13 * HOUR)

    async def test_a_stored_one_that_is_old_is_used_and_built_anew(self, client: Redis) -> None:
        await client.set(KEY, Snapshot(NOW - 7 * HOUR, {"org": Group(5, ({},) * 6, ({},) * 6)}).pack())
        snapshots = Snapshots(client, hours=6, budget=10, started=NOW)
        taken = await snapshots.poll()
        assert taken is not None
        assert taken.groups.keys() == {"org"}
        assert snapshots.is_due(NOW)

    async def test_newer_wins(self, client: Redis) -> None:
        snapshots = Snapshots(client, hours=6, budget=10, started=NOW)
        for made, takes in [(5, True), (4, False), (5, False), (6, True)]:
            await client.set(KEY, Snapshot(made).pack())
            assert (await snapshots.poll() is not None) == takes

    @pytest.mark.parametrize("data", [b"SN\x02\n" + bytes(40), b"short", Snapshot(9).pack()[:-1] + b"?"])
    async def test_what_cannot_be_used_is_said_once_and_built_anew(
        self, client: Redis, data: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        await client.set(KEY, data)
        snapshots = Snapshots(client, hours=6, budget=10, started=NOW)
        assert await snapshots.poll() is await snapshots.poll() is None
        assert caplog.text.count("cannot be used") == 1
        assert snapshots.is_due(NOW)
        assert await snapshots.build(EMPTY, NOW) == Snapshot(NOW)
        assert await Snapshots(client, hours=6, budget=10, started=NOW).poll() == Snapshot(NOW)

    async def test_a_build_that_fails_is_tried_again_soon_not_at_once(self, client: Redis) -> None:
        class Gone:
            def __getattr__(self, name: str) -> Any:
                raise ConnectionError("gone")

        snapshots = Snapshots(Gone(), hours=6, budget=10, started=NOW)
        with pytest.raises(ConnectionError):
            await snapshots.build(EMPTY, NOW + 6 * HOUR)
        assert not snapshots.is_due(NOW + 6 * HOUR + 1)
        assert snapshots.is_due(NOW + 7 * HOUR)


class TestKeeping:
    async def kept(self, snapshots: Snapshots, builds: bool, now: int) -> list[Snapshot]:
        taken: list[Snapshot] = []
        task = asyncio.create_task(keep_snapshots(snapshots, lambda: EMPTY, taken.append, lambda: builds, lambda: now))
        await asyncio.sleep(0.3)
        task.cancel()
        return taken

    @pytest.fixture(autouse=True)
    def _fast(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
        monkeypatch.setattr(module, "DUE_SECONDS", 0.02)

    async def test_only_the_worker_whose_turn_it_is_builds_and_once(self, client: Redis) -> None:
        idle = Snapshots(client, hours=6, budget=10, started=NOW)
        assert await self.kept(idle, builds=False, now=NOW + 6 * HOUR) == []
        snapshots = Snapshots(client, hours=6, budget=10, started=NOW)
        assert await self.kept(snapshots, builds=True, now=NOW + 6 * HOUR) == [Snapshot(NOW + 6 * HOUR)]
        assert await self.kept(idle, builds=False, now=NOW + 6 * HOUR) == [Snapshot(NOW + 6 * HOUR)]
        assert REGISTRY.get_sample_value("auditwatch_snapshot_age_seconds", {"label": ""}) == 0

    async def test_it_goes_on_when_redis_comes_back(
        self, client: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        snapshots = Snapshots(client, hours=6, budget=10, started=NOW)
        answers = iter([ConnectionError("gone"), NONE])
        poll = snapshots.poll

        async def flaky() -> Snapshot | None:
            if isinstance(answer := next(answers, None), ConnectionError):
                raise answer
            return await poll()

        monkeypatch.setattr(snapshots, "poll", flaky)
        await client.set(KEY, Snapshot(NOW).pack())
        assert await self.kept(snapshots, builds=False, now=NOW) == [Snapshot(NOW)]
        assert "gone" in caplog.text
