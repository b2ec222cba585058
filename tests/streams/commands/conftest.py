"""The command line as a user calls it, in a folder of its own, without this machine's settings."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from click.testing import CliRunner, Result

from streams.cli import cli
from streams.embedded import Broker, RedisServer
from streams.kafka import MAX_MESSAGE_BYTES, client_options, ensure_topics
from streams.settings import Settings
from streams.simulate.organisation import simulate
from streams.simulate.output import write
from streams.store import connect

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"
PROGRAM = [sys.executable, "-c", "from streams.cli import main; main()"]

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder and an environment without settings; the log's handlers are put back afterwards."""
    for name in list(os.environ):
        if name.startswith(("AUDITWATCH_", "SLACK_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield folder
    logging.getLogger().handlers[:], level = before
    logging.getLogger().setLevel(level)


@pytest.fixture
def run() -> Run:
    """Calls a command in this process; what it did not expect is raised."""

    def call(*words: object, input: bytes | str | None = None) -> Result:
        result = CliRunner().invoke(cli, [str(word) for word in words], input=input)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated organisation's files."""
    folder = tmp_path_factory.mktemp("organisation") / "logs"
    write(simulate(12, 4, 7, attack_after=2), folder)
    return folder


@pytest.fixture(scope="session")
def assumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a context and a trail: Ada assumes a role, which assumes another and works under a machine's name.

    `cloudtrail.jsonl` is not in order, as CloudTrail's files are not.
    """
    folder = tmp_path_factory.mktemp("assumed")
    (folder / "context.yml").write_text(
        "users:\n- {id: ada, kind: human, identities: {aws: ['arn:aws:iam::1:user/ada']}}\n"
        "- {id: bob, kind: human, identities: {aws: ['arn:aws:iam::1:user/bob']}}\n"
        "ip_geo:\n- {prefix: 192.0.2.0/24, country: DE}\n- {prefix: 198.51.100.0/24, country: HK}\n"
    )
    records = [
        call(4, "GetObject", "role/export", "ASIA3", address="198.51.100.7"),
        call(1, "AssumeRole", "user/ada", "AKIA1", "ASIA2"),
        call(2, "AssumeRole", "role/ci", "ASIA2", "ASIA3"),
        call(5, "PutObject", "role/export", "ASIA9"),
        call(6, "ListBuckets", "user/bob", "AKIA2"),
    ]
    (folder / "cloudtrail.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def call(minute: int, name: str, who: str, key: str, new: str = "", address: str = "192.0.2.7") -> dict[str, Any]:
    """A CloudTrail record: by a user (user/ada) or a session of a role (role/ci); `new` is the session it hands out."""
    kind, _, named = who.partition("/")
    role = f"arn:aws:sts::1:assumed-role/{named}/botocore-session-17000{minute}"
    arn = role if kind == "role" else f"arn:aws:iam::1:user/{named}"
    return {
        "eventID": f"{name}-{minute}",
        "eventTime": f"2026-03-02T09:{minute:02}:00Z",
        "eventSource": "sts.amazonaws.com" if new else "s3.amazonaws.com",
        "eventName": name,
        "sourceIPAddress": address,
        "userIdentity": {"type": "AssumedRole" if kind == "role" else "IAMUser", "arn": arn, "accessKeyId": key},
        "responseElements": {"credentials": {"accessKeyId": new}} if new else None,
    }


@pytest.fixture
def own_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An empty embedded broker of this test's own, set in the environment."""
    with Broker.start() as server:
        monkeypatch.setenv("AUDITWATCH_BROKER", server.url)
        yield Settings(broker=server.url)


@pytest.fixture
def redis_url(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database of the session's Redis, set in the environment."""
    url = redis_server.url.removesuffix("/0") + "/7"
    monkeypatch.setenv("AUDITWATCH_REDIS", url)

    async def flush() -> None:
        async with connect(Settings(redis=url)) as client:
            await client.flushdb()

    asyncio.run(flush())
    return url


def lines(text: str | bytes | Path) -> list[dict[str, Any]]:
    """The JSON lines of a text or file."""
    read = text.read_bytes() if isinstance(text, Path) else text
    return [json.loads(line) for line in read.splitlines()]


def send(settings: Settings, topic: str, payloads: Sequence[bytes]) -> None:
    """Puts messages into a topic, in one batch."""

    async def drive() -> None:
        await ensure_topics(settings, [topic])
        producer = AIOKafkaProducer(**client_options(settings), linger_ms=20, max_request_size=MAX_MESSAGE_BYTES)
        await producer.start()
        await asyncio.gather(*[await producer.send(topic, payload, partition=0) for payload in payloads])
        await producer.stop()

    asyncio.run(drive())


def received(settings: Settings, topic: str, wanted: int) -> list[tuple[int, bytes]]:
    """(partition, payload) of the first `wanted` messages of a topic; fewer where no more come within 3 s."""

    async def drive() -> list[tuple[int, bytes]]:
        count = (await ensure_topics(settings, [topic]))[topic]
        consumer = AIOKafkaConsumer(**client_options(settings))
        await consumer.start()
        consumer.assign([TopicPartition(topic, number) for number in range(count)])
        await consumer.seek_to_beginning()
        got: list[tuple[int, bytes]] = []
        for _ in range(6 if wanted else 1):
            for place, messages in (await consumer.getmany(timeout_ms=500)).items():
                got += [(place.partition, message.value) for message in messages]
            if len(got) >= wanted > 0:
                break
        await consumer.stop()
        return got

    return asyncio.run(drive())


def start(folder: Path, *words: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """The program as a process of its own, in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    return subprocess.Popen([*PROGRAM, *words], cwd=folder, env=environment, text=True, **options)
