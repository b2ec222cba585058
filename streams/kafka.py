"""What ingest, the trail, the dispatcher and the commands share of Kafka: options, topics, their identity, offsets."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from streams.settings import Settings

RAW = "audit.raw."
EVENTS = "audit.events"
FINDINGS = "audit.findings"
ALERTS = "audit.alerts"
DEADLETTER = "audit.deadletter"

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
KEPT_DAYS = 30
"""Of alerts and dead letters, which people come back to; the rest is kept `retention_days`."""
REPLICAS = 3
PROPAGATION_SECONDS = 15.0

log = logging.getLogger(__name__)


class KafkaProblem(Exception):
    """Kafka refused or did not answer; the text says what was asked of whom and what to do."""


class Bounds(NamedTuple):
    """The offsets a partition holds: from `earliest` up to, not including, `end`."""

    earliest: int
    end: int


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, the same in every process and for ever: CRC-32 of its UTF-8 modulo `partitions`."""
    return crc32(key.encode("utf-8", "surrogatepass")) % partitions


def client_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for any aiokafka client: servers, TLS and SASL.

    Raises:
        KafkaProblem: no broker is configured, or a certificate file cannot be used.
    """
    if not settings.broker:
        raise KafkaProblem("no Kafka broker is configured: set AUDITWATCH_BROKER, for example kafka://localhost:9092")
    servers = [each.removeprefix("kafka://").strip("/") for each in settings.broker.split(";") if each]
    options: dict[str, Any] = {
        "bootstrap_servers": servers,
        "client_id": "auditwatch",
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password
    return options


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_ssl_certfile:
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    except OSError as error:  # ssl.SSLError is one
        files = [settings.kafka_ssl_cafile, settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile]
        named = ", ".join(str(file) for file in files if file)
        raise KafkaProblem(f"cannot use the TLS files {named} ({error}); they must be PEM") from error
    return context


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client; whatever Kafka refuses inside is raised as KafkaProblem."""
    client = AIOKafkaAdminClient(**client_options(settings))
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise _unreachable(settings, error) from error
    finally:
        await client.close()


async def ensure_topics(settings: Settings, topics: Collection[str]) -> dict[str, int]:
    """Create those topics that do not exist; returns the partition count each one has.

    A topic that exists keeps its partitions: more of them would re-key principals, so a difference from the settings is
    only logged. With several brokers a topic gets up to 3 replicas.

    Raises:
        KafkaProblem: Kafka is not reachable, or refuses a topic.
    """
    there = await incarnations(settings, topics)
    missing = sorted(set(topics) - there.keys())
    if missing:
        async with admin(settings) as client:
            await _create(client, settings, missing)
        there = await _appeared(settings, topics)
    counts = {topic: int(incarnation.rpartition("/")[2]) for topic, incarnation in there.items()}
    for topic, count in counts.items():
        if count != partitions_for(settings, topic):
            log.warning("%s has %d partitions, not %d: kept", topic, count, partitions_for(settings, topic))
    return counts


def partitions_for(settings: Settings, topic: str) -> int:
    """How many partitions a topic of ours is created with."""
    if topic.startswith(RAW):
        return settings.raw_partitions
    return settings.partitions if topic in (EVENTS, FINDINGS) else 1


async def _create(client: AIOKafkaAdminClient, settings: Settings, topics: Iterable[str]) -> None:
    brokers = len((await client.describe_cluster())["brokers"])
    wanted = [
        NewTopic(
            topic, partitions_for(settings, topic), min(REPLICAS, brokers), topic_configs=_configs(settings, topic)
        )
        for topic in topics
    ]
    for topic, code, message in (await client.create_topics(wanted)).topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):  # another process may have been quicker
            raise KafkaProblem(f"Kafka would not create {topic}: {for_code(code).__name__} {message or ''}")


def _configs(settings: Settings, topic: str) -> dict[str, str]:
    days = KEPT_DAYS if topic in (ALERTS, DEADLETTER) else settings.retention_days
    return {"max.message.bytes": str(MAX_MESSAGE_BYTES), "retention.ms": str(days * 86_400_000)}


async def _appeared(settings: Settings, topics: Collection[str]) -> dict[str, str]:
    """A broker learns of a new topic a moment after the controller has agreed to it."""
    for _ in range(int(PROPAGATION_SECONDS / 0.1)):
        there = await incarnations(settings, topics)
        if set(topics) <= there.keys():
            return there
        await asyncio.sleep(0.1)
    raise KafkaProblem(f"created, but not seen after {PROPAGATION_SECONDS:.0f} s: {sorted(set(topics) - there.keys())}")


async def incarnations(settings: Settings, topics: Collection[str]) -> dict[str, str]:
    """The identity of each topic that exists: "UUID/partitions", new whenever the topic is created anew.

    Offsets mean something only within one incarnation: a topic deleted and created again, or a memory broker that
    restarted, starts at 0 under the same name.

    Raises:
        KafkaProblem: Kafka is not reachable, or older than 3.1 (no topic ids).
    """
    client = AIOKafkaClient(**client_options(settings))
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), _TopicIds(topics))
    except NotImplementedError as error:  # aiokafka's word for a version the broker does not speak
        raise KafkaProblem(f"the broker {settings.broker} has no topic ids; Kafka 3.1 or later has") from error
    except (KafkaError, OSError) as error:
        raise _unreachable(settings, error) from error
    finally:
        await client.close()
    return {topic[1]: f"{topic[2]}/{len(topic[4])}" for topic in answer.topics if topic[0] == 0}


async def bounds(settings: Settings, topics: Collection[str]) -> dict[TopicPartition, Bounds]:
    """The offsets every partition of these topics holds now; topics that do not exist are left out.

    Raises:
        KafkaProblem: Kafka is not reachable.
    """
    counts = {name: int(each.rpartition("/")[2]) for name, each in (await incarnations(settings, topics)).items()}
    partitions = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
    if not partitions:
        return {}
    consumer = AIOKafkaConsumer(**client_options(settings))
    try:
        await consumer.start()
        earliest = await consumer.beginning_offsets(partitions)
        end = await consumer.end_offsets(partitions)
    except (KafkaError, OSError) as error:
        raise _unreachable(settings, error) from error
    finally:
        await consumer.stop()
    return {each: Bounds(earliest[each], end[each]) for each in partitions}


def _unreachable(settings: Settings, error: Exception) -> KafkaProblem:
    return KafkaProblem(
        f"Kafka at {settings.broker} ({settings.kafka_security_protocol}): {type(error).__name__}: {error}; "
        "check AUDITWATCH_BROKER and the AUDITWATCH_KAFKA_* settings, and that the broker runs"
    )


# Metadata version 12 (KIP-516), the first flexible one that asks by name on Kafka 4 and on Tansu; aiokafka stops at 5.


class _Uuid:
    @staticmethod
    def encode(value: UUID) -> bytes:
        return value.bytes

    @staticmethod
    def decode(data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


_TAGS = ("tags", TaggedFields)
_BROKER = (("id", Int32), ("host", CompactString()), ("port", Int32), ("rack", CompactString()), _TAGS)
_PARTITION = (
    ("error", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline", CompactArray(Int32)),
    _TAGS,
)
_TOPIC = (
    ("error", Int16),
    ("name", CompactString()),
    ("id", _Uuid),
    ("internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("operations", Int32),
    _TAGS,
)


class _TopicIdsResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(*_BROKER)),
        ("cluster", CompactString()),
        ("controller", Int32),
        ("topics", CompactArray(*_TOPIC)),
        _TAGS,
    )


class _TopicIdsRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TopicIdsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("name", CompactString()), _TAGS)),
        ("auto_create", Boolean),
        ("operations", Boolean),
        _TAGS,
    )


class _TopicIds(Request[_TopicIdsRequest]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = topics

    def build(self, form: type[_TopicIdsRequest]) -> _TopicIdsRequest:
        return form([(UUID(int=0), topic, {}) for topic in self.topics], False, False, {})
