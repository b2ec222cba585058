from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.child import Child
from streams.demo import DemoError, House, environment, first_day, told_to_stop, until
from streams.settings import Settings, load_settings

OURS = Settings("kafka://127.0.0.1:9", "redis://127.0.0.1:8/0", listen="127.0.0.1:7", partitions=4, context=Path("/c"))
REAL = {
    "PATH": "/bin",
    "AUDITWATCH_BROKER": "kafka://production:9092",
    "AUDITWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "AUDITWATCH_KAFKA_SASL_PASSWORD": "hunter2",
    "AUDITWATCH_SLACK_CHANNEL": "#security",
    "AUDITWATCH_RULES": "/etc/rules",
    "SLACK_BOT_TOKEN": "xoxb-real",
    "SLACK_SIGNING_SECRET": "shh",
}


class TestEnvironment:
    def test_nothing_of_a_real_installation_reaches_the_demo(self) -> None:
        given = environment(REAL, OURS, None)
        settings = load_settings(None, given)
        assert (settings.broker, settings.redis, settings.listen, settings.partitions) == (
            OURS.broker, OURS.redis, OURS.listen, 4,
        )  # fmt: skip
        assert (settings.context, settings.rules) == (Path("/c"), ())
        assert given["PATH"] == "/bin"
        assert not {"hunter2", "xoxb-real", "shh", "#security", "SASL_SSL"} & set(given.values())

    def test_slack_is_passed_on_where_it_was_asked_for(self) -> None:
        settings = load_settings(None, environment(REAL, OURS, load_settings(None, {
            "SLACK_BOT_TOKEN": "xoxb-real",
            "AUDITWATCH_SLACK_CHANNEL": "#security",
            "AUDITWATCH_SLACK_BASE_URL": "http://127.0.0.1:6/api/",
        })))  # fmt: skip
        assert (settings.slack_bot_token, settings.slack_channel) == ("xoxb-real", "#security")
        assert settings.slack_base_url == "http://127.0.0.1:6/api/"
        assert settings.broker == OURS.broker


@given(st.integers(0, 8 * 365 * 24))
def test_the_days_of_the_demo_are_working_days_all_over_and_recent(hours: int) -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    start = first_day(now)
    days = [start + timedelta(days=number) for number in range(4)]
    assert all(day.weekday() < 5 for day in days)
    assert (start.hour, start.minute, start.tzinfo) == (0, 0, UTC)
    assert timedelta(hours=12) <= now - (start + timedelta(days=4)) <= timedelta(days=7)


class TestUntil:
    async def test_ends_when_told_and_cancels_what_goes_on(self) -> None:
        stop, ended = asyncio.Event(), []

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("work")

        async def tell() -> None:
            await asyncio.sleep(0)
            stop.set()

        await asyncio.wait_for(until(stop, work(), tell()), 5)
        assert ended == ["work"]

    async def test_an_error_is_raised_and_the_rest_cancelled(self) -> None:
        cancelled = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async def fail() -> None:
            await asyncio.sleep(0)
            raise DemoError("the worker ended")

        with pytest.raises(DemoError, match="the worker ended"):
            await asyncio.wait_for(until(asyncio.Event(), work(), fail()), 5)
        assert cancelled.is_set()

    async def test_a_piece_of_work_that_is_done_ends_nothing(self) -> None:
        stop = asyncio.Event()

        async def nothing() -> None:
            pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(until(stop, nothing()), 0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signals_tell_to_stop_and_raise_nothing(number: signal.Signals) -> None:
    stop = told_to_stop(None)
    try:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 5)
    finally:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(each)


async def test_work_that_swallows_a_cancellation_is_cancelled_again() -> None:
    stop, swallowed = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(60)

    work = asyncio.create_task(until(stop, stubborn()))
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(work, 5)
    assert swallowed == 2


async def test_the_guard_names_the_service_that_ended_and_shows_its_log(tmp_path: Path) -> None:
    child = Child("auditwatch worker", tmp_path / "worker.log", environ={"WHY": "no rules"}, folder=tmp_path)
    child.start(["/bin/sh", "-c", "sleep 0.3; pwd >&2; echo $WHY >&2; exit 2"], ready=lambda: True)
    house = House(tmp_path, OURS, (child,))
    with pytest.raises(
        DemoError, match=rf"auditwatch worker ended; its log {tmp_path}/worker.log .*:\n{tmp_path}\nno rules"
    ):
        await asyncio.wait_for(house.guard(), 5)


async def test_a_worker_that_does_not_answer_yet_has_counted_nothing(tmp_path: Path) -> None:
    assert await House(tmp_path, OURS, ()).counts() == {}


async def test_a_worker_that_gets_stuck_is_an_error_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "worker.log"
    log.write_text("first\n" + "x" * 5000 + "\n")
    monkeypatch.setattr("streams.demo.PATIENCE_SECONDS", 0.1)
    house = House(tmp_path, OURS, (Child("auditwatch worker", log),))
    with pytest.raises(DemoError, match=r"did not get through 5 records in 0\.1 s") as error:
        await asyncio.wait_for(house.settled(5), 10)
    assert str(error.value).endswith("first\n" + "x" * 400 + "...")
