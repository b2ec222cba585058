"""What a shell asks of Kafka: the identity of a topic and the offsets it holds, over connections that stay open."""

from __future__ import annotations

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka import KafkaProblem, client_options, incarnations
from streams.settings import Settings


class KafkaLog:
    """A Log (streams/shell.py) over Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = AIOKafkaConsumer(**client_options(settings))

    async def start(self) -> None:
        """Connects. Raises aiokafka's errors when the broker is out of reach."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Closes the connections."""
        await self._consumer.stop()

    async def incarnations(self, topics: Collection[str]) -> dict[str, str]:
        """The identity of each topic; asked anew each time, since a broker may have restarted."""
        found = await incarnations(self._settings, topics)
        if missing := sorted(set(topics) - found.keys()):
            raise KafkaProblem(f"topics are gone: {', '.join(missing)}; restart the worker to create them anew")
        return found

    async def incarnation(self, topic: str) -> str:
        """See Log."""
        return (await self.incarnations([topic]))[topic]

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """See Log."""
        place = TopicPartition(topic, partition)
        first = await self._consumer.beginning_offsets([place])
        end = await self._consumer.end_offsets([place])
        return first[place], end[place]

    async def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset to be written of each partition."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(places) if places else {}
        return ends
