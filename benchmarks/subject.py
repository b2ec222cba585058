"""The processes that benchmarks/live.py times: an empty stock Faust agent, and the worker. Prints one JSON line."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faust
import orjson
import psutil

from audit.sources import SOURCES
from streams.kafka import EVENTS, RAW
from streams.load import load_detections
from streams.settings import Settings
from streams.worker import build, run

TOPIC = RAW + "cloudtrail"


def report(events: int, started: float, cpu: float) -> None:
    """The figures, then the end: no clean-up is timed."""
    figures = {
        "events": events,
        "seconds": time.perf_counter() - started,
        "cpu_us": (time.process_time() - cpu) / events * 1e6,
        "rss_mb": psutil.Process().memory_info().rss / 2**20,
    }
    sys.stdout.write(orjson.dumps(figures).decode() + "\n")
    sys.stdout.flush()
    os._exit(0)


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


def worker(broker: str, redis: str, events: int, rules: str) -> None:
    """The real worker; with events = 0 it runs until it is ended."""
    settings = Settings(broker=broker, redis=redis, listen="" if events else "127.0.0.1:0")
    app = build(settings, load_detections(None, [Path(rules)] if rules else [], None), sorted(SOURCES))

    @app.task
    async def watch() -> None:
        while not app.engine.shells:
            await asyncio.sleep(0.005)
        processor = app.engine.shells[EVENTS].processor
        while not processor.folded:
            await asyncio.sleep(0.002)
        before, started, cpu = processor.folded, time.perf_counter(), time.process_time()
        while events:
            await asyncio.sleep(0.01)
            if processor.folded >= events:
                report(processor.folded - before, started, cpu)

    run(app)


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    if kind == "empty":
        empty_agent(rest[0], int(rest[1]))
    else:
        worker(rest[0], rest[1], int(rest[2]), rest[3] if len(rest) > 3 else "")
