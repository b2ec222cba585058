"""The processes that benchmarks/live.py times: an empty stock Faust agent, and the worker. Prints one JSON line."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import faust
import orjson
import psutil

from audit.sources import SOURCES
from benchmarks.sampler import Sampler
from benchmarks.where import stages
from streams.kafka import EVENTS, RAW
from streams.load import load_detections
from streams.metrics import counted
from streams.settings import Settings
from streams.worker import build, run

TOPIC = RAW + "cloudtrail"


def report(events: int, started: float, cpu: float, sampler: Sampler | None = None) -> None:
    """The figures, then the end: no clean-up is timed."""
    figures: dict[str, Any] = {
        "events": events,
        "seconds": time.perf_counter() - started,
        "cpu_us": (time.process_time() - cpu) / events * 1e6,
        "rss_mb": resident(),
    }
    if sampler:
        figures |= {"booked": sampler.stop(), "looks": sampler.looks}
    say(figures)
    os._exit(0)


def say(figures: dict[str, Any]) -> None:
    """One JSON line."""
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")
    sys.stdout.flush()


def empty_agent(broker: str, events: int) -> None:
    """One record a message, nothing done with it: what Faust alone costs."""
    app = faust.App(
        "bench-empty", broker=broker, broker_session_timeout=6.0, broker_heartbeat_interval=2.0,
        broker_rebalance_timeout=6.0, consumer_auto_offset_reset="earliest", stream_buffer_maxsize=65536,
        broker_max_poll_records=5000, topic_allow_declare=False, topic_disable_leader=True, web_enabled=False,
        store="memory://", datadir=tempfile.mkdtemp(prefix="auditwatch-bench-"),
    )  # fmt: skip

    @app.agent(app.topic(TOPIC, value_serializer="raw"))
    async def empty(stream: Any) -> None:
        seen, started, cpu = 0, 0.0, 0.0
        async for _ in stream:
            if not seen:
                started, cpu = time.perf_counter(), time.process_time()
            seen += 1
            if seen == events:
                report(events, started, cpu)

    run(app)


def soak(broker: str, redis: str, *counts: str) -> None:
    """The real worker; at each count of events folded it says what it held resident since the one before."""
    app = build(Settings(broker=broker, redis=redis, listen=""), load_detections(None, [], None), sorted(SOURCES))

    @app.task
    async def watch() -> None:
        say({"events": 0, "rss_mb": resident(), "most_mb": resident()})
        while not app.engine.shells:
            await asyncio.sleep(0.005)
        processor = app.engine.shells[EVENTS].processor
        for count in map(int, counts):
            seen = [resident()]
            while processor.folded < count:
                await asyncio.sleep(0.1)
                seen.append(resident())
            say({"events": processor.folded, "rss_mb": median(seen), "most_mb": max(seen)})
        os._exit(0)

    run(app)


def resident() -> float:
    """MB of this process in memory."""
    return float(psutil.Process().memory_info().rss) / 2**20


def worker(broker: str, redis: str, count: str, rules: str = "", *, sampler: Sampler | None = None) -> None:
    """The real worker; with a count of 0 it runs until it is ended."""
    events = int(count)
    settings = Settings(broker=broker, redis=redis, listen="" if events else "127.0.0.1:0")
    app = build(settings, load_detections(None, [Path(rules)] if rules else [], None), sorted(SOURCES))

    @app.task
    async def watch() -> None:
        while not counted("records"):  # not folded: normalise runs ahead, and is part of the cost
            await asyncio.sleep(0.002)
        processor = app.engine.shells[EVENTS].processor
        before, started, cpu = processor.folded, time.perf_counter(), time.process_time()
        if sampler:
            sampler.start()
        while events:
            await asyncio.sleep(0.01)
            if processor.folded >= events:
                report(processor.folded - before, started, cpu, sampler)

    run(app)


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    if kind == "empty":
        empty_agent(rest[0], int(rest[1]))
    elif kind == "soak":
        soak(*rest)
    else:
        worker(*rest, sampler=Sampler(stages()) if kind == "where" else None)
