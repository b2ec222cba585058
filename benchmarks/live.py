"""The live worker against an empty stock Faust agent: same broker, same core, one after the other in one run."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from audit.sources import SOURCES
from benchmarks.data import attacked, distinct, ordinary
from streams.commands.ingest import packed
from streams.embedded import Broker, RedisServer
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS, RAW, client_options, ensure_topics
from streams.packet import decode_signals
from streams.settings import Settings

TOPIC = RAW + "cloudtrail"
TOPICS = [RAW + source for source in SOURCES] + [EVENTS, FINDINGS, ALERTS, DEADLETTER]
PINNED = "1" if (os.cpu_count() or 1) > 1 else "0"
STRETCHES = 8
"""Pieces the records of one run are sent in, a partition after another."""
PROBE = "auditwatch-bench-probe"
PROBE_RULE = f"""title: Probe
id: 7a7c6e1e-2f50-4b39-9d0e-0b1f7a6d4c11
status: test
description: Matches the benchmark's probes.
author: auditwatch
level: low
logsource: {{product: aws, service: cloudtrail}}
detection: {{probe: {{userAgent: {PROBE}}}, condition: probe}}
falsepositives: [none]
"""


def subject(*arguments: str) -> list[str]:
    """The command of a timed process, on a core of its own where taskset is there."""
    pin = ["taskset", "-c", PINNED] if shutil.which("taskset") else []
    return [*pin, sys.executable, "-m", "benchmarks.subject", *arguments]


def timed(*arguments: str) -> dict[str, Any]:
    """The figures a subject prints."""
    done = subprocess.run(subject(*arguments), capture_output=True, timeout=600, check=False)
    _, brace, figures = done.stdout.partition(b"{")  # Faust writes terminal codes before it
    if brace:
        read: dict[str, Any] = orjson.loads(brace + figures.splitlines()[0])
        return read
    raise RuntimeError(f"no figures:\n{done.stdout.decode()}\n{done.stderr.decode()[-2000:]}")


async def fill(settings: Settings, records: Iterable[bytes], pack: int, stretch: int) -> None:
    """Sends records to audit.raw.cloudtrail as ingest sends files: each stretch of them to a partition of its own."""
    counts = await ensure_topics(settings, TOPICS)
    producer = AIOKafkaProducer(**client_options(settings), max_request_size=2**23, linger_ms=5)
    await producer.start()
    source, partition = iter(records), 0
    while piece := list(islice(source, stretch)):
        messages = packed(iter(piece), pack)
        await asyncio.gather(*[await producer.send(TOPIC, payload, partition=partition) for _, payload in messages])
        partition = (partition + 1) % counts[TOPIC]
    await producer.stop()


def throughput(records: Sequence[bytes], pack: int, kind: str) -> dict[str, Any]:
    """Figures of a subject that finds all records waiting on a fresh broker and Redis."""
    with Broker.start() as broker, RedisServer.start() as redis:
        asyncio.run(fill(Settings(broker=broker.url), records, pack, len(records) // STRETCHES))
        if kind == "empty":
            return timed("empty", broker.url, str(len(records)))
        return timed(kind, broker.url, redis.url, str(len(records)))


def latency(rate: int, seconds: int) -> list[float]:
    """Seconds from sending a raw record to its finding on audit.findings, for one record in fifty."""
    with Broker.start() as broker, RedisServer.start() as redis, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "probe.yml").write_text(PROBE_RULE)
        settings = Settings(broker=broker.url)
        asyncio.run(ensure_topics(settings, TOPICS))
        with subprocess.Popen(
            subject("worker", broker.url, redis.url, "0", folder), stdout=subprocess.DEVNULL
        ) as worker:
            try:
                return asyncio.run(_probe(settings, distinct(ordinary(), rate * seconds + 500), rate))
            finally:
                worker.kill()


async def _probe(settings: Settings, records: list[bytes], rate: int) -> list[float]:
    producer = AIOKafkaProducer(**client_options(settings))
    consumer = AIOKafkaConsumer(
        FINDINGS, **client_options(settings), auto_offset_reset="earliest", fetch_max_wait_ms=10
    )
    await producer.start()
    await consumer.start()
    sent: dict[str, float] = {}
    waits: list[float] = []
    reading = asyncio.create_task(_collect(consumer, sent, waits))
    await _send(producer, records[:500], 100, {})
    await asyncio.sleep(3)
    await _send(producer, records[500:], rate, sent)
    await asyncio.sleep(3)
    reading.cancel()
    await producer.stop()
    await consumer.stop()
    return sorted(waits)


async def _send(producer: AIOKafkaProducer, records: Sequence[bytes], rate: int, sent: dict[str, float]) -> None:
    started = time.perf_counter()
    for number, payload in enumerate(records):
        if number % 50 == 0:
            record = orjson.loads(payload) | {"userAgent": PROBE}
            payload = orjson.dumps(record)
            sent[record["eventID"]] = time.perf_counter()
        await producer.send(TOPIC, payload, partition=number % 4)
        if number % 20 == 0:
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))


async def _collect(consumer: AIOKafkaConsumer, sent: dict[str, float], waits: list[float]) -> None:
    async for record in consumer:
        now = time.perf_counter()
        found = [signal.finding for signal in decode_signals(record.value).items if signal.finding]
        probes = [each.event_ids[0] for each in found if each.kind == "rule" and each.event_ids[0] in sent]
        waits += [now - sent.pop(probe) for probe in probes]


def main(events: int = 40_000, soak: int = 500_000) -> None:
    """Prints the table."""
    print("\nLive, embedded broker, subject alone on one core; records of a simulated organisation's CloudTrail")
    records = distinct(ordinary(), events)
    empty = throughput(records, 1, "empty")
    yardstick = empty["events"] / empty["seconds"]
    print(
        f"  {'empty stock agent, one record a message':<46} {yardstick:9.0f} ev/s {empty['cpu_us']:6.1f} us CPU  1.00"
    )
    for name, pack, goal in (
        ("raw to findings, 50 records a message", 50, ">= 0.8"),
        ("raw to findings, one a message", 1, ">= 0.45"),
    ):
        _say(name, throughput(records, pack, "worker"), yardstick, goal)
    if attacked():
        figures = throughput(distinct(attacked(), events), 50, "worker")
        _say("the same, a real dump of an attack tool", figures, yardstick, "")
    waits = latency(2_000, 15)
    p50, p99 = (waits[int(len(waits) * share)] * 1000 for share in (0.5, 0.99))
    print(
        f"  {'raw to finding at 2,000 ev/s':<46} p50 {p50:.0f} ms, p99 {p99:.0f} ms of {len(waits)} probes  <= 250 ms"
    )
    if soak:
        long = throughput(distinct(ordinary(), soak), 50, "worker")
        _say(f"{soak:,} events", long, yardstick, "")
        print(f"  {'resident memory after them':<46} {long['rss_mb']:.0f} MB  <= 250 MB")


def _say(name: str, figures: dict[str, Any], yardstick: float, goal: str) -> None:
    rate = figures["events"] / figures["seconds"]
    print(f"  {name:<46} {rate:9.0f} ev/s {figures['cpu_us']:6.1f} us CPU  {rate / yardstick:.2f}  {goal}")


if __name__ == "__main__":
    main(soak=int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
