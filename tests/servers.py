"""Real servers for tests. A conftest.py makes them fixtures: `pytest_plugins = ["tests.servers"]`.

`broker`, `kafka_server` and `redis_server` are shared by the whole session: use topics and key prefixes of your own, or
`fresh`. A test that kills its server starts one itself: `Broker.start()`, `RedisServer.start(tmp_path)`, `own_kafka`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from streams.child import EmbeddedError
from streams.embedded import Broker, RedisServer
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS, admin, incarnations
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
_spec = spec_from_file_location("deploy_kafka", ROOT / "deploy" / "kafka.py")
assert _spec is not None
assert _spec.loader is not None
deploy_kafka = sys.modules["deploy_kafka"] = module_from_spec(_spec)
_spec.loader.exec_module(deploy_kafka)
KafkaServer = deploy_kafka.KafkaServer


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The embedded broker (Tansu, in memory)."""
    with Broker.start() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis with an append-only file."""
    with RedisServer.start(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A real Apache Kafka 4; tests that use it bear the mark `kafka`."""
    server = _kafka(tmp_path_factory.mktemp("kafka"))
    yield server
    server.stop()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A real Apache Kafka of this test's own, to kill and start again."""
    server = _kafka(tmp_path / "kafka")
    yield server
    server.stop()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def any_broker(request: pytest.FixtureRequest) -> str:
    """The URL of each broker in turn: a test that takes it runs twice."""
    name = "broker" if request.param == "embedded" else "kafka_server"
    return str(request.getfixturevalue(name).url)


@pytest.fixture
def settings(any_broker: str, tmp_path: Path) -> Settings:
    """Settings for each broker in turn, with few partitions and a trail of the test's own."""
    return Settings(broker=any_broker, partitions=3, raw_partitions=2, trail=tmp_path / "trail")


@pytest.fixture
async def fresh(settings: Settings) -> Settings:
    """Like `settings`, on a broker that has none of our topics: for tests that read audit.events from its beginning."""
    ours = [EVENTS, FINDINGS, ALERTS, DEADLETTER]
    async with admin(settings) as client:
        if there := sorted(await incarnations(settings, ours)):
            await client.delete_topics(there)
    while await incarnations(settings, ours):
        await asyncio.sleep(0.05)
    return settings


def _kafka(folder: Path) -> KafkaServer:
    reason = deploy_kafka.available()
    if reason:
        pytest.skip(reason)
    try:
        return KafkaServer(folder).start()
    except EmbeddedError as error:
        if "Maven could not fetch" in str(error):
            pytest.skip(str(error))
        raise
