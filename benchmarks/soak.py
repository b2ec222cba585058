"""Whether the worker's memory stays flat: python -m benchmarks soak (minutes; 1,000,000 events unless told otherwise)

A live worker is fed the ordinary life of many principals, more than it keeps in memory, and says at several counts
what it held resident since the one before: the median, and the most.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import orjson

from benchmarks.data import years
from benchmarks.live import fill, subject
from streams.embedded import Broker, RedisServer
from streams.settings import Settings

COUNTS = (0.05, 0.1, 0.175, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
"""Where the worker is looked at, as parts of the whole."""
SETTLED = 0.25
"""From here on memory should be flat."""
MOST, FLAT = 250.0, 1.0
"""MB at any time, and MB that may be added per 100,000 events once settled."""
COPIES = 20
"""People where the simulated organisation has one."""
PEOPLE = 4_200
"""Principals that makes: twice what the worker keeps in memory."""
STRETCH = 2_000


def readings(events: int) -> Iterator[dict[str, float]]:
    """What the worker says, as it says it.

    Raises:
        Exception: whatever kept the records from being sent.
    """
    counts = [str(int(events * part)) for part in COUNTS]
    with Broker.start() as broker, RedisServer.start() as redis, ThreadPoolExecutor(1) as pool:
        with subprocess.Popen(subject("soak", broker.url, redis.url, *counts), stdout=subprocess.PIPE) as worker:
            filling = fill(Settings(broker=broker.url), years(events, COPIES), 50, STRETCH)
            feed = pool.submit(asyncio.run, filling)
            feed.add_done_callback(lambda fed: worker.kill() if fed.exception() else None)
            assert worker.stdout
            for line in worker.stdout:
                _, brace, figures = line.partition(b"{")
                if brace:
                    yield orjson.loads(brace + figures)
        feed.result()


def growth(found: Sequence[dict[str, float]], start: float) -> float:
    """MB more per 100,000 events, by least squares over the readings from `start` events on."""
    points = [(each["events"] / 1e5, each["rss_mb"]) for each in found if each["events"] >= start]
    middle, level = (sum(column) / len(points) for column in zip(*points, strict=True))
    rise = sum((at - middle) * (held - level) for at, held in points)
    return float(rise / sum((at - middle) ** 2 for at, _ in points))


def main(events: int = 1_000_000) -> None:
    """Prints the table as it grows."""
    print(
        f"\nSoak: {events:,} events of about {PEOPLE:,} principals; memory resident since the line before: median, most"
    )
    found = []
    for each in readings(events):
        found.append(each)
        print(f"  {each['events']:>9,.0f} events  {each['rss_mb']:6.1f} MB {each['most_mb']:6.1f} MB", flush=True)
    most, rise = max(each["most_mb"] for each in found), growth(found, SETTLED * events)
    print(f"  at most {most:.0f} MB  <= {MOST:.0f} MB")
    print(f"  from {SETTLED * events:,.0f} events on {rise:+.2f} MB per 100,000 events  flat: <= {FLAT:.0f} MB")
    if len(found) <= len(COUNTS) or most > MOST or rise > FLAT:
        sys.exit("memory is not what it should be" if len(found) > len(COUNTS) else "the worker ended early")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
