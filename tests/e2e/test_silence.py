"""A source falls silent under a real worker: one alert that names the blind rules, resolved when the source returns."""

from __future__ import annotations

import time

import msgspec

from streams.silence import HOUR, MINUTE, WEEK, WEEK_HOURS, Pulse
from streams.silence_watch import KEY
from streams.store import connect
from tests.e2e.conftest import Logs
from tests.e2e.house import House
from tests.e2e.logbook import Logbook


async def test_silent_and_back(small_house: House, few_logs: Logs) -> None:
    """The weeks of a steady source, and all but the last seconds of its silence, are put into Redis."""
    now = time.time_ns() // 1000
    silent = 15 * MINUTE - 8_000_000
    usual = (20_000_000,) * WEEK_HOURS
    okta = Pulse(0, now, now - silent, silent, longest=60e6, usual=usual, hour=now // HOUR, watched=5 * WEEK, found=999)
    async with connect(small_house.settings) as redis:
        await redis.hset(KEY, mapping={"okta": msgspec.msgpack.encode(okta)})
    worker = small_house.worker()
    await worker.ready()
    async with Logbook(small_house.settings) as book:
        await book.until("the alert", lambda: bool(book.alerts))
        (line,) = book.alerts.values()
        told = msgspec.json.decode(line)
        assert (told["title"], told["status"]) == ("Source okta is silent", "open")
        assert "rules see nothing meanwhile" in told["summary"]
        await small_house.ingest("okta", few_logs.files["okta"])
        await book.until("its return", lambda: book.alerts[told["id"]] != line)
        back = msgspec.json.decode(book.alerts[told["id"]])
        assert (back["status"], back["resolution"], back["revision"]) == ("resolved", "returned", 2)
    assert worker.metric("auditwatch_silence_seconds", source="okta") < 60
    worker.end()
