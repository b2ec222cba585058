from __future__ import annotations

import logging
import re

import aiohttp
import pytest

from streams.health import Health
from streams.metrics import count


class Ready:
    missing: str | None = None

    async def __call__(self) -> str | None:
        return self.missing


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


def address(caplog: pytest.LogCaptureFixture) -> str:
    return re.findall(r"http://\S+/", caplog.text)[-1]


async def test_it_tells_metrics_life_and_readiness(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "auditwatch.health")
    ready = Ready()
    health = Health("127.0.0.1:0", ready)
    await health.start()
    url = address(caplog)
    count("records", by=3)
    assert await get(f"{url}healthz") == (200, "alive\n")
    assert await get(f"{url}readyz") == (200, "ready\n")
    ready.missing = "Redis does not answer"
    assert await get(f"{url}readyz") == (503, "Redis does not answer\n")
    status, text = await get(f"{url}metrics")
    assert status == 200
    assert re.search(r'^auditwatch_records_total\{label=""\} [3-9]', text, re.MULTILINE)
    await health.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(f"{url}healthz")


async def test_a_second_worker_takes_another_port(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "auditwatch.health")
    first, ready = Health("127.0.0.1:0", Ready()), Ready()
    await first.start()
    taken = address(caplog)
    second = Health(taken.removeprefix("http://").rstrip("/"), ready)
    await second.start()
    assert address(caplog) != taken
    assert "is taken" in caplog.text
    assert (await get(f"{address(caplog)}healthz"))[0] == 200
    await second.stop()
    await first.stop()


async def test_nowhere_to_listen_is_no_server() -> None:
    health = Health("", Ready())
    await health.start()
    await health.stop()
