"""A worker killed at random times: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import random

from tests.e2e.conftest import Logs
from tests.e2e.house import House
from tests.e2e.logbook import Logbook

KILLS = 5


async def test_five_kills_while_four_sources_flow_change_nothing(empty_house: House, logs: Logs) -> None:
    empty_house.context = logs.context
    worker = empty_house.worker()
    print("ready after", await worker.ready())
    async with Logbook(empty_house.settings) as book:
        await asyncio.gather(*(empty_house.ingest(source, file) for source, file in logs.files.items()))
        await book.assert_exact(logs.detections, logs.ids)
    print("ended after", worker.end())
    print(worker.said)
