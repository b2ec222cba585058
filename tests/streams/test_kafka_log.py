from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from streams.embedded import Broker
from streams.kafka import KafkaProblem, admin, client_options
from streams.kafka_log import KafkaLog
from streams.settings import Settings


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return Settings(broker=broker.url)


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[KafkaLog]:
    log = KafkaLog(settings)
    await log.start()
    yield log
    await log.stop()


async def made(settings: Settings, partitions: int = 2) -> str:
    topic = f"test.{uuid4().hex}"
    async with admin(settings) as client:
        await client.create_topics([NewTopic(topic, partitions, 1)])
    return topic


async def test_bounds_follow_what_is_written(settings: Settings, log: KafkaLog) -> None:
    topic = await made(settings)
    assert await log.bounds(topic, 0) == (0, 0)
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        for _ in range(3):
            await producer.send_and_wait(topic, b"x", partition=1)
    assert await log.bounds(topic, 1) == (0, 3)
    assert await log.bounds(topic, 0) == (0, 0)
    assert await log.ends([TopicPartition(topic, 1)]) == {TopicPartition(topic, 1): 3}
    assert await log.ends([]) == {}


async def test_an_incarnation_names_topic_and_partitions_and_changes_with_it(settings: Settings, log: KafkaLog) -> None:
    topic = await made(settings)
    first = await log.incarnation(topic)
    assert first.endswith("/2")
    assert await log.incarnation(topic) == first
    async with admin(settings) as client:
        await client.delete_topics([topic])
        await client.create_topics([NewTopic(topic, 2, 1)])
    assert await log.incarnation(topic) != first


async def test_a_topic_that_is_gone_is_said_so(log: KafkaLog) -> None:
    with pytest.raises(KafkaProblem, match=r"topics are gone: test\.never"):
        await log.incarnation("test.never")
