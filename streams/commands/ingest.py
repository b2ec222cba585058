"""auditwatch ingest: raw logs into audit.raw.SOURCE, in the file's order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import orjson
from aiokafka import AIOKafkaProducer

from audit.sources import SOURCES
from streams.commands.common import config_option, log_to_stderr, problems, settings_of, source_file
from streams.files import records
from streams.kafka import MAX_MESSAGE_BYTES, RAW, client_options, ensure_topics, partition_of
from streams.laptop import found
from streams.settings import Settings

IN_FLIGHT = 64
PACKED_BYTES = 500_000


@click.command()
@click.argument("source_and_file", metavar="SOURCE=FILE|-")
@config_option
@click.option("--follow", is_flag=True, help="Keep reading as the file grows or is rotated, until Ctrl-C.")
@click.option("--pack", default=50, show_default=True, type=click.IntRange(1, 1000), help="Records a Kafka message.")
def command(source_and_file: str, config: Path | None, follow: bool, pack: int) -> None:
    """Ship raw logs of SOURCE: JSON lines, .gz, CloudTrail {"Records": []}, Kubernetes EventList, lists.

    A file goes to one partition, so that its order is kept. Records are sent as they are: what cannot be read is
    refused by the worker, with its bytes, in audit.deadletter.
    """
    source, path = source_file(source_and_file, set(SOURCES))
    log_to_stderr()
    with problems():
        settings = found(settings_of(config))
        sent = asyncio.run(_ship(settings, source, path, follow, pack))
    click.echo(f"{sent} records sent to {RAW}{source}", err=True)


async def _ship(settings: Settings, source: str, path: str, follow: bool, pack: int) -> int:
    topic = RAW + source
    counts = await ensure_topics(settings, [topic])
    partition = partition_of(path, counts[topic])
    producer = AIOKafkaProducer(**client_options(settings), max_request_size=MAX_MESSAGE_BYTES, linger_ms=5)
    await producer.start()
    sent, waiting = 0, []
    try:
        for count, payload in packed((payload for _, payload in records(path, follow=follow)), 1 if follow else pack):
            waiting.append(await producer.send(topic, payload, partition=partition))
            sent += count
            if len(waiting) >= (1 if follow else IN_FLIGHT):
                await asyncio.gather(*waiting)
                waiting.clear()
                _progress(sent)
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    _progress(0)
    return sent


def packed(payloads: Iterator[bytes], pack: int) -> Iterator[tuple[int, bytes]]:
    """(records, payload) messages: up to `pack` JSON records in one list; anything that is no object travels alone."""
    chunk: list[bytes] = []
    size = 0
    for payload in payloads:
        alone = pack == 1 or not _is_object(payload)
        if chunk and (alone or len(chunk) >= pack or size + len(payload) > PACKED_BYTES):
            yield len(chunk), b"[" + b",".join(chunk) + b"]"
            chunk, size = [], 0
        if alone:
            yield 1, payload
        else:
            chunk.append(payload)
            size += len(payload)
    if chunk:
        yield len(chunk), b"[" + b",".join(chunk) + b"]"


def _is_object(payload: bytes) -> bool:
    """Whether the payload may share a message: one unreadable record would cost its neighbours theirs."""
    try:
        return isinstance(orjson.loads(payload), dict)
    except orjson.JSONDecodeError:
        return False


def _progress(sent: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{sent:>12} records" if sent else "\r" + " " * 24 + "\r", err=True, nl=False)
