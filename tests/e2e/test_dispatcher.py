"""The worker's alerts on a terminal: each is shown, none again after a kill, by one dispatcher at a time."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

from tests.e2e.conftest import Logs
from tests.e2e.house import House, Program, until
from tests.e2e.logbook import Logbook


def shown(*dispatchers: Program) -> Counter[str]:
    """How often each alert was shown, whatever its revision."""
    return Counter(re.findall(r"^ +alert +(\w+) revision", "".join(each.shown for each in dispatchers), re.MULTILINE))


def repeated(*dispatchers: Program) -> int:
    """How many blocks said what one before them had said: the same revision of the same alert."""
    text = "".join(each.shown for each in dispatchers)
    blocks = re.findall(r"^ +alert +(\w+ revision \d+)\b", text, re.MULTILINE)
    assert len(blocks) == sum(shown(*dispatchers).values())
    return len(blocks) - len(set(blocks))


async def test_each_alert_is_shown_and_none_twice(empty_house: House, few_logs: Logs) -> None:
    empty_house.context = few_logs.context
    worker = empty_house.worker()
    await worker.ready()
    first, second = empty_house.start("dispatcher"), empty_house.start("dispatcher")
    async with Logbook(empty_house.settings) as book:
        await empty_house.ingest("cloudtrail", few_logs.files["cloudtrail"])
        await until("an alert", lambda: shown(first, second))
        active, idle = (first, second) if shown(first) else (second, first)
        active.kill()
        rest = [source for source in few_logs.files if source != "cloudtrail"]
        await asyncio.gather(*(empty_house.ingest(source, few_logs.files[source]) for source in rest))
        await book.until("all events", lambda: book.event_ids == few_logs.ids)
        await book.caught_up()
        assert len(book.alerts) > 1
        loud = {name for name, line in book.alerts.items() if not json.loads(line).get("quiet")}
        await until("all alerts", lambda: shown(first, second).keys() >= loud)
        assert shown(idle)
        assert repeated(first, second) <= 1  # the one delivery that nobody could be sure of

        restarted = empty_house.start("dispatcher")
        idle.end()
        await restarted.until("its turn", lambda: "delivering alerts" in restarted.said)
        await asyncio.sleep(1.0)
        assert repeated(first, second, restarted) <= 1
        restarted.end()
    worker.end()
