from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from hypothesis import given
from hypothesis import strategies as st

from streams.child import free_port
from streams.embedded import Broker
from streams.kafka import (
    Bounds,
    KafkaProblem,
    admin,
    bounds,
    client_options,
    ensure_topics,
    incarnations,
    partition_of,
)
from streams.settings import Settings
from tests.servers import KafkaServer


def raw_topic() -> str:
    return f"audit.raw.{uuid4().hex}"


async def delete(settings: Settings, topic: str) -> None:
    async with admin(settings) as client:
        await client.delete_topics([topic])
    while topic in await incarnations(settings, [topic]):
        pass


class TestPartitionOf:
    def test_is_the_same_for_ever(self) -> None:
        assert partition_of("123456789", 2**32) == 0xCBF43926  # the published check value of CRC-32
        assert [partition_of(key, 8) for key in ("alice", "bob", "", "zoë", "日本")] == [7, 0, 0, 4, 4]

    @given(st.text(), st.integers(1, 1000))
    def test_takes_any_text_python_can_hold(self, key: str, partitions: int) -> None:
        assert 0 <= partition_of(key, partitions) < partitions

    def test_takes_lone_surrogates(self) -> None:
        assert 0 <= partition_of("\udcff", 8) < 8

    def test_spreads_keys_evenly(self) -> None:
        counts = [0] * 8
        for number in range(8000):
            counts[partition_of(f"user{number}@example.com", 8)] += 1
        assert min(counts) > 800


class TestClientOptions:
    def test_plain(self) -> None:
        options = client_options(Settings(broker="kafka://a:1;kafka://b:2"))
        assert options["bootstrap_servers"] == ["a:1", "b:2"]
        assert options["security_protocol"] == "PLAINTEXT"
        assert not {"ssl_context", "sasl_mechanism", "sasl_plain_password"} & options.keys()

    def test_sasl_over_tls_checks_the_brokers_certificate(self) -> None:
        settings = Settings(
            broker="kafka://a:1",
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_sasl_username="u",
            kafka_sasl_password="p",
        )
        options = client_options(settings)
        assert options["sasl_mechanism"] == "SCRAM-SHA-512"
        assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("u", "p")
        context: ssl.SSLContext = options["ssl_context"]
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED

    def test_a_certificate_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("not a certificate")
        settings = Settings(broker="kafka://a:1", kafka_security_protocol="SSL", kafka_ssl_cafile=tmp_path / "ca.pem")
        with pytest.raises(KafkaProblem, match=r"ca\.pem.*must be PEM"):
            client_options(settings)

    def test_no_broker(self) -> None:
        with pytest.raises(KafkaProblem, match="set AUDITWATCH_BROKER"):
            client_options(Settings())


class TestTopics:
    async def test_are_created_with_our_partitions_and_limits(self, fresh: Settings) -> None:
        raw = raw_topic()
        counts = await ensure_topics(fresh, [raw, "audit.events", "audit.findings", "audit.alerts", "audit.deadletter"])
        assert counts == {
            raw: 2,
            "audit.events": 3,
            "audit.findings": 3,
            "audit.alerts": 1,
            "audit.deadletter": 1,
        }

    @pytest.mark.kafka
    async def test_have_room_for_a_record_of_5_mb_and_a_retention(self, kafka_server: KafkaServer) -> None:
        settings, raw = Settings(broker=kafka_server.url, retention_days=2), raw_topic()
        await ensure_topics(settings, [raw])
        async with admin(settings) as client:
            (answer,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, raw)])
        configs = {each[0]: each[1] for each in answer.resources[0][4]}
        assert configs["max.message.bytes"] == str(8 * 1024 * 1024)
        assert configs["retention.ms"] == str(2 * 86_400_000)
        await send(settings, raw, 0, b"x" * 5_000_000)
        assert (await bounds(settings, [raw]))[TopicPartition(raw, 0)] == Bounds(0, 1)

    async def test_that_exist_stay_as_they_are(self, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
        raw = raw_topic()
        await ensure_topics(settings, [raw])
        before = await incarnations(settings, [raw])
        with caplog.at_level(logging.WARNING):
            assert await ensure_topics(replace(settings, raw_partitions=5), [raw]) == {raw: 2}
        assert f"{raw} has 2 partitions, not 5: kept" in caplog.text
        assert await incarnations(settings, [raw]) == before

    async def test_a_bad_name_is_refused_with_the_reason(self, kafka_url: str) -> None:
        with pytest.raises(KafkaProblem, match=r"would not create audit\.raw\.a b: InvalidTopic"):
            await ensure_topics(Settings(broker=kafka_url), ["audit.raw.a b"])

    async def test_an_unreachable_broker_is_named(self) -> None:
        url = f"kafka://127.0.0.1:{free_port()}"
        with pytest.raises(KafkaProblem, match=rf"{url}.*check AUDITWATCH_BROKER"):
            await ensure_topics(Settings(broker=url), ["audit.events"])


class TestIncarnations:
    async def test_stay_the_same_for_every_connection(self, settings: Settings) -> None:
        raw = raw_topic()
        await ensure_topics(settings, [raw])
        first, again = await incarnations(settings, [raw]), await incarnations(settings, [raw])
        assert first == again
        identity, _, partitions = first[raw].partition("/")
        assert UUID(identity).int
        assert partitions == "2"

    async def test_differ_from_topic_to_topic_and_after_creating_again(self, settings: Settings) -> None:
        one, two = raw_topic(), raw_topic()
        await ensure_topics(settings, [one, two])
        before = await incarnations(settings, [one, two])
        await delete(settings, one)
        assert await incarnations(settings, [one, two]) == {two: before[two]}
        await ensure_topics(settings, [one])
        after = await incarnations(settings, [one, two])
        assert after[two] == before[two]
        assert len({before[one], before[two], after[one]}) == 3

    async def test_a_memory_broker_that_restarted_is_recognised(self) -> None:
        with Broker.start() as broker:
            settings = Settings(broker=broker.url)
            await ensure_topics(settings, ["audit.events"])
            before = await incarnations(settings, ["audit.events"])
            broker.restart()
            assert await incarnations(settings, ["audit.events"]) == {}
            await ensure_topics(settings, ["audit.events"])
            assert await incarnations(settings, ["audit.events"]) != before

    @pytest.mark.kafka
    async def test_a_kafka_that_was_killed_keeps_them_and_its_records(self, own_kafka: KafkaServer) -> None:
        settings = Settings(broker=own_kafka.url)
        await ensure_topics(settings, ["audit.events"])
        await send(settings, "audit.events", 3, b"kept")
        before = await incarnations(settings, ["audit.events"])
        own_kafka.kill()
        own_kafka.start()
        assert own_kafka.url == settings.broker
        assert await incarnations(settings, ["audit.events"]) == before
        assert (await bounds(settings, ["audit.events"]))[TopicPartition("audit.events", 3)] == Bounds(0, 1)


class TestBounds:
    async def test_of_every_partition(self, settings: Settings) -> None:
        raw = raw_topic()
        await ensure_topics(settings, [raw])
        await send(settings, raw, 1, b"one", b"two")
        assert await bounds(settings, [raw, "audit.raw.missing"]) == {
            TopicPartition(raw, 0): Bounds(0, 0),
            TopicPartition(raw, 1): Bounds(0, 2),
        }


@pytest.mark.kafka
class TestSecurity:
    async def test_a_password_over_tls_is_what_lets_us_in(self, tmp_path: Path, own_certificate: Path) -> None:
        port = free_port()
        server = KafkaServer(tmp_path / "k", users={"watch": "s3cret"}, certificate=own_certificate, sasl_port=port)
        settings = Settings(
            broker=f"kafka://127.0.0.1:{port}",
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_username="watch",
            kafka_sasl_password="s3cret",
            kafka_ssl_cafile=own_certificate,
        )
        try:
            server.start()
            assert await ensure_topics(settings, ["audit.events"]) == {"audit.events": 8}
            assert len(await bounds(settings, ["audit.events"])) == 8
            for stranger in (
                replace(settings, kafka_sasl_password="guess"),
                replace(settings, kafka_ssl_cafile=None),
                replace(settings, kafka_security_protocol="PLAINTEXT"),
            ):
                with pytest.raises(KafkaProblem) as error:
                    await incarnations(stranger, ["audit.events"])
                assert "s3cret" not in str(error.value)
        finally:
            server.stop()


@pytest.fixture
def own_certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, one PEM file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl on PATH to make a certificate")
    both, key, certificate = tmp_path / "both.pem", tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run([*command, *names], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.fixture
def kafka_url(request: pytest.FixtureRequest) -> str:
    """Only Apache Kafka checks topic names."""
    return str(request.getfixturevalue("kafka_server").url)


async def send(settings: Settings, topic: str, partition: int, *payloads: bytes) -> None:
    options: dict[str, Any] = client_options(settings)
    producer = AIOKafkaProducer(**options, max_request_size=8 * 1024 * 1024)
    await producer.start()
    try:
        for payload in payloads:
            await producer.send_and_wait(topic, payload, partition=partition)
    finally:
        await producer.stop()
