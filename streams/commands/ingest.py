"""auditwatch ingest: raw logs into audit.raw.SOURCE, in the file's order."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path

import click
import orjson
from aiokafka import AIOKafkaProducer

from audit.sources import LINES, SOURCES
from streams.commands.common import config_option, log_to_stderr, problems, settings_of, source_file, sources_line
from streams.commands.out import counting
from streams.files import FileError, records
from streams.kafka import MAX_MESSAGE_BYTES, RAW, client_options, ensure_topics, partition_of
from streams.laptop import found
from streams.settings import Settings

IN_FLIGHT = 64
PACKED_BYTES = 500_000
LARGEST = MAX_MESSAGE_BYTES - 1024
"""Bytes of a record that fits into a message with its headers."""
AHEAD = 1_000
"""Records a followed file may be read ahead of the broker."""

log = logging.getLogger(__name__)


@click.command(epilog=sources_line)
@click.argument("source_and_file", metavar="SOURCE=FILE|-")
@config_option
@click.option("--follow", is_flag=True, help="Keep reading as the file grows or is rotated, until Ctrl-C.")
@click.option("--pack", default=50, show_default=True, type=click.IntRange(1, 1000), help="Records a Kafka message.")
def command(source_and_file: str, config: Path | None, follow: bool, pack: int) -> None:
    """Ship raw logs of SOURCE: JSON lines, .gz, CloudTrail {"Records": []}, Kubernetes EventList, lists.

    A file goes to one partition, so that its order is kept. Records are sent as they are: what cannot be read is
    refused by the worker, with its bytes, in audit.deadletter. A record larger than a Kafka message (8 MiB) is not
    sent: its place is said and the exit code is 1. With --follow each record travels at once.

    \b
    Examples:
      auditwatch ingest cloudtrail=trail.jsonl.gz
      auditwatch ingest kubernetes=/var/log/kubernetes/audit.log --follow
      journalctl -f -o cat -u okta-export | auditwatch ingest okta=- --follow
    """
    source, path = source_file(source_and_file, set(SOURCES))
    log_to_stderr()
    with problems(), counting("shipping") as tick:
        settings = found(settings_of(config), "broker")
        sent, refused = asyncio.run(_ship(settings, RAW + source, path, 0 if follow else pack, tick))
    click.echo(f"{sent} records sent to {RAW}{source}" + (f", {refused} too large" if refused else ""), err=True)
    if refused:
        raise click.exceptions.Exit(1)


async def _ship(settings: Settings, topic: str, path: str, pack: int, tick: Callable[[int], None]) -> tuple[int, int]:
    """Sends a file, `pack` records a message (0: follow it); how many were sent and how many were too large."""
    counts = await ensure_topics(settings, [topic])
    options = {"max_request_size": MAX_MESSAGE_BYTES, "linger_ms": 5, "acks": "all"}
    shipment = _Shipment(AIOKafkaProducer(**client_options(settings), **options), topic, path, tick)
    await shipment.start(counts[topic])
    try:
        if pack:
            for count, payload in packed(shipment.fitting(records(path)), pack, topic.removeprefix(RAW) in LINES):
                await shipment.send(count, payload)
        else:
            await _follow(shipment, path)
        await shipment.settle()
    finally:
        await shipment.producer.stop()
    return shipment.sent, shipment.refused


class _Shipment:
    """Messages on their way to one partition; at most IN_FLIGHT of them are not yet stored."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, path: str, tick: Callable[[int], None]) -> None:
        self.producer = producer
        self.sent = self.refused = 0
        self._topic, self._path, self._tick = topic, path, tick
        self._partition = 0
        self._waiting: list[asyncio.Future[object]] = []

    async def start(self, partitions: int) -> None:
        """Connects; the file's name chooses its partition."""
        self._partition = partition_of(self._path, partitions)
        await self.producer.start()

    def fitting(self, numbered: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
        """The records that fit into a message; the others are counted and told."""
        for line, payload in numbered:
            if len(payload) <= LARGEST:
                yield payload
            else:
                self.refused += 1
                log.error("%s:%d: %d bytes are more than a message holds: not sent", self._path, line, len(payload))

    async def send(self, count: int, payload: bytes) -> None:
        """Sends a message of `count` records; waits for those before it when there are many."""
        self._waiting.append(await self.producer.send(self._topic, payload, partition=self._partition))
        self.sent += count
        if len(self._waiting) >= IN_FLIGHT:
            await self.settle()
        self._tick(count)

    async def settle(self) -> None:
        """Waits until the broker has everything. Raises KafkaError."""
        waiting, self._waiting = self._waiting, []
        await asyncio.gather(*waiting)


async def _follow(shipment: _Shipment, path: str) -> None:
    """Sends each record as it is written, until Ctrl-C or SIGTERM."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for told in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(told, task.cancel)
    with suppress(asyncio.CancelledError):
        async for numbered in _written(path):
            for payload in shipment.fitting(numbered):
                await shipment.send(1, payload)
            await shipment.settle()


async def _written(path: str) -> AsyncIterator[list[tuple[int, bytes]]]:
    """The records of a growing file, as many at once as there are. A thread waits for them, so that sending goes on."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, bytes] | FileError | None] = asyncio.Queue(AHEAD)

    def put(item: tuple[int, bytes] | FileError | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(item), loop).result()

    def read() -> None:
        with suppress(CancelledError, RuntimeError):  # the loop has ended
            try:
                for record in records(path, follow=True):
                    put(record)
                put(None)
            except FileError as error:
                put(error)

    threading.Thread(target=read, daemon=True).start()
    last: tuple[int, bytes] | FileError | None = (0, b"")
    while isinstance(last, tuple):
        items = [await queue.get(), *(queue.get_nowait() for _ in range(queue.qsize()))]
        last = items[-1]  # the end, or an error, has nothing after it
        yield [item for item in items if isinstance(item, tuple)]
    if last is not None:
        raise last


def packed(payloads: Iterable[bytes], pack: int, texts: bool = False) -> Iterator[tuple[int, bytes]]:
    """(records, payload) messages: up to `pack` JSON objects in one list; what is none travels alone.

    With `texts` (a source of text lines) lines share a message as lines, too.
    """
    chunk: list[bytes] = []
    size, form = 0, b""
    for payload in payloads:
        this = _separator(payload, texts) if pack > 1 else b""
        if chunk and (not this or this != form or len(chunk) >= pack or size + len(payload) > PACKED_BYTES):
            yield len(chunk), _joined(form, chunk)
            chunk, size = [], 0
        chunk.append(payload)
        size, form = size + len(payload), this
    if chunk:
        yield len(chunk), _joined(form, chunk)


def _joined(separator: bytes, chunk: list[bytes]) -> bytes:
    return b"[" + b",".join(chunk) + b"]" if separator == b"," else separator.join(chunk)


def _separator(payload: bytes, texts: bool) -> bytes:
    """What stands between this and its like in a message; nothing where it would cost its neighbours theirs."""
    try:
        return b"," if isinstance(orjson.loads(payload), dict) else b""
    except orjson.JSONDecodeError:
        return b"\n" if texts and not payload.lstrip().startswith((b"{", b"[", b"\x1f\x8b")) else b""
