"""A broker that forgot everything while Redis remembers: the worker stops and says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from streams.embedded import Broker
from streams.files import records
from streams.kafka import EVENTS
from streams.replay import Run
from tests.e2e.conftest import Logs
from tests.e2e.house import House, house
from tests.e2e.logbook import Logbook


async def test_a_memory_broker_that_restarted(own_broker: Broker, tmp_path: Path, few_logs: Logs) -> None:
    lines = [line for _, line in records(str(few_logs.files["okta"]))]
    middle = len(lines) // 2
    with house(own_broker, tmp_path, few_logs.context) as built:
        worker = built.worker()
        await worker.ready()
        await _ingested(built, lines[:middle])
        own_broker.restart()
        assert await worker.ended() == 70
        assert "topics are gone" in worker.said
        assert "--adopt-new-log" in worker.said

        refused = built.worker()
        assert await refused.ended() == 70
        assert "is not the log this state was computed on" in refused.said
        assert "--adopt-new-log" in refused.said

        adopting = built.worker("--adopt-new-log")
        await adopting.ready()
        assert await _ingested(built, lines[middle:]) == await _replayed(few_logs, "okta")
        adopting.end()

        again = built.worker()
        await again.ready()
        again.end()


async def _ingested(built: House, lines: Sequence[bytes]) -> dict[str, bytes]:
    """Sends the lines and waits until each is in the states; returns the baselines by key."""
    file = built.folder / "part.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    async with Logbook(built.settings) as book:
        await built.ingest("okta", file)
        await book.until("all events", lambda: len(book.event_ids) == len(lines))
        await book.caught_up()
        _, values = await book.stored(EVENTS)
        return {key: value for (_, key), value in values.items()}


async def _replayed(logs: Logs, source: str) -> dict[str, bytes]:
    """The baselines by key after one undisturbed replay of the whole file."""
    run = Run(logs.detections, snapshots=False)
    await run.open()
    await run.feed(await asyncio.to_thread(logs.events, source))
    return {key: value for (_, key), value in run.stores[0].values.items()}
