"""What a shell asks of Kafka: the identity of a topic and the offsets it holds, over connections that stay open."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka import KafkaProblem, client_options, incarnations
from streams.settings import Settings

LOOK_MS = 2_000
"""How long the record at an offset is waited for."""


class TopicsGone(KafkaProblem):
    """Topics that were there are not any more."""

    def __init__(self, missing: Sequence[str]) -> None:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        super().__init__(
            f"topics are gone: {', '.join(missing[:3])}{more}. They were deleted, or a memory-only broker restarted; "
            "what was not yet read went with them. Start the worker again: it creates them, and says where it needs "
            "--adopt-new-log to keep the baselines and go on from the new log's start."
        )


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
            raise TopicsGone(missing)
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

    async def holds(self, topic: str, partition: int, offset: int) -> bool:
        """See Log. The embedded broker tells an end too low until the next write, where several were under way."""
        place = TopicPartition(topic, partition)
        consumer = AIOKafkaConsumer(**client_options(self._settings))
        await consumer.start()
        try:
            consumer.assign([place])
            consumer.seek(place, offset)
            found = await consumer.getmany(place, timeout_ms=LOOK_MS, max_records=1)
            return any(record.offset == offset for record in found.get(place, []))
        finally:
            await consumer.stop()

    async def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset to be written of each partition."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(places) if places else {}
        return ends
