"""How long starting, ending and taking over last, and what a worker says meanwhile."""

from __future__ import annotations

import logging

import orjson

from tests.e2e.conftest import Logs
from tests.e2e.house import House

log = logging.getLogger(__name__)


async def test_a_worker_is_ready_soon_and_ends_soon_in_the_middle_of_work(empty_house: House, few_logs: Logs) -> None:
    empty_house.context = few_logs.context
    worker = empty_house.worker()
    ready = await worker.ready()
    empty_house.start("ingest", f"cloudtrail={few_logs.files['cloudtrail']}")
    await worker.folds()
    ended = worker.end()
    log.info("ready after %.1f s, ended within %.1f s", ready, ended)
    assert ready < 8 * 2, "twice the goal: this machine may be busy"
    assert ended < 3 * 2
    lines = [orjson.loads(line) for line in worker.said.splitlines()]
    assert not [
        line for line in lines if line["level"] != "info" and "GroupCoordinatorNotAvailable" not in line["message"]
    ]
    assert len(lines) <= 6
