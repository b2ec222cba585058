"""Workers that are killed at random times: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

from alerting.alert import to_line
from audit.sources.reader import read
from streams.detections import Detections
from streams.load import load_detections
from streams.replay import Source, replay
from tests.e2e.conftest import ARRIVAL, WAITING, Logs
from tests.e2e.exact import assert_exact
from tests.e2e.flow import Flow
from tests.e2e.house import House
from tests.e2e.logbook import Logbook

KILLS = 3
log = logging.getLogger(__name__)


async def test_kills_while_four_sources_flow_change_nothing(empty_house: House, logs: Logs) -> None:
    seed = random.randrange(2**32)
    log.info("seed %s", seed)
    chance = random.Random(seed)
    empty_house.context = logs.context
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        flow = Flow(empty_house, logs.files)
        sending = asyncio.create_task(flow.send(1.0, seconds=4.0 * KILLS))
        for _ in range(KILLS):
            await worker.folds()
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            worker.kill()
            worker = empty_house.worker()
            await worker.ready()
        await sending
        await flow.close()
        await assert_exact(book, logs.detections, logs.ids)
        worker.end()


async def test_one_file_gives_what_its_replay_gives_whatever_was_killed(empty_house: House, few_logs: Logs) -> None:
    file = few_logs.files["cloudtrail"]
    empty_house.context = few_logs.context
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        await empty_house.ingest("cloudtrail", file)
        await worker.folds()
        worker.kill()
        empty_house.worker()
        await assert_exact(book, few_logs.detections, {event.id for event in few_logs.events("cloudtrail")})
        sources = [Source("cloudtrail", str(file))]
        told = await asyncio.to_thread(replay, sources, few_logs.detections, arrival=ARRIVAL, snapshots=False)
        assert book.alerts == {alert.id: to_line(alert) for alert in told.alerts.values()}


async def test_kills_change_nothing_in_what_waits_for_time_to_pass(empty_house: House, few_logs: Logs) -> None:
    """Absence and "less than": at the end an event half a day later tells the worker that time has passed.

    All of the past is there before the worker is: two days sent in seconds would reach the broker out of order by
    more than any lateness, and silence judged by that is not what replay says.
    """
    empty_house.context, empty_house.rules = few_logs.context, (Path("library"), WAITING)
    detections = load_detections(few_logs.context, empty_house.rules, None)
    waiting = {each.id for each in detections.rules.correlations if each.path == WAITING}
    await Flow(empty_house, few_logs.files).close()
    worker = empty_house.worker()
    await worker.ready()
    async with Logbook(empty_house.settings) as book:
        for _ in range(3):
            await worker.folds()
            worker.kill()
            worker = empty_house.worker()
            await worker.ready()
        await book.until("all events", lambda: book.event_ids >= few_logs.ids)
        later = few_logs.half_a_day_later()
        files = {source: empty_house.folder / f"{source}.jsonl" for source in later}
        for source, file in files.items():
            file.write_bytes(later[source] + b"\n")
        await asyncio.gather(*(empty_house.ingest(source, file) for source, file in files.items()))
        await assert_exact(book, detections, few_logs.ids | _ids(later, detections))
        said = [orjson.loads(line) for line in book.alerts.values()]
        told = [finding["detection"] for alert in said for finding in alert["findings"]]
        assert waiting <= set(told)
        worker.end()


def _ids(lines: Mapping[str, bytes], detections: Detections) -> set[str]:
    answers = [answer for source, line in lines.items() for answer in read(source, line, ARRIVAL, detections.context)]
    return {event.id for answer in answers if isinstance(answer, list) for event in answer}


@pytest.mark.slow
async def test_two_workers_killed_and_frozen_at_random_for_minutes(empty_house: House, logs: Logs) -> None:
    seed = random.randrange(2**32)
    log.info("seed %s", seed)
    chance = random.Random(seed)
    empty_house.context = logs.context
    workers = [empty_house.worker(), empty_house.worker()]
    for worker in workers:
        await worker.ready()
    async with Logbook(empty_house.settings) as book:
        flow = Flow(empty_house, logs.files)
        sending = asyncio.create_task(flow.send(1.0, seconds=100.0))
        while not sending.done():
            victim = chance.choice(workers)
            if chance.random() < 0.3:
                victim.freeze()
                await asyncio.sleep(chance.uniform(0.5, 6.0))
                victim.thaw()
            else:
                victim.kill()
                workers[workers.index(victim)] = empty_house.worker()
            await asyncio.sleep(chance.uniform(0.0, 8.0))
        await flow.close()
        await assert_exact(book, logs.detections, logs.ids)
