"""A real attack, through the services and through replay."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from alerting.alert import to_line
from streams.load import load_detections
from streams.replay import Source, events_of, replay
from tests.e2e.conftest import ARRIVAL
from tests.e2e.exact import assert_exact
from tests.e2e.house import House
from tests.e2e.logbook import Logbook

FILE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "cloudtrail" / "invictus.raw.jsonl.gz"


@pytest.mark.skipif(not FILE.exists(), reason="needs ../shared/data beside the checkout")
async def test_a_recorded_intrusion_raises_the_alerts_of_its_replay(empty_house: House) -> None:
    source, detections = Source("cloudtrail", str(FILE)), load_detections(None, (), None)
    told = await asyncio.to_thread(replay, [source], detections, arrival=ARRIVAL, snapshots=False)
    ids = {event.id for event in events_of([source], detections.context, ARRIVAL, [])}
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        await empty_house.ingest("cloudtrail", FILE)
        await assert_exact(book, detections, ids)
        assert book.alerts == {alert.id: to_line(alert) for alert in told.alerts.values()}
    worker.end()
