from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from audit.event import to_line
from detectors.model import Model
from detectors.registry import Registry, default_model
from streams.embedded import RedisServer
from streams.settings import Settings
from streams.shadow import Disagreement, Report, publish
from streams.store import connect
from tests.detectors.company import usual
from tests.streams.commands.conftest import Run, lines


@pytest.fixture
def registry(place: Path) -> Registry:
    """The shipped model is current; one that tells of everything is in the shadow."""
    registry, shipped = Registry(place / "models"), default_model()
    registry.promote(registry.publish(shipped))
    registry.shadow(registry.publish(Model(shipped.forest, msgspec.structs.replace(shipped.card, threshold=-9.0))))
    return registry


def test_over_files_it_tells_what_only_one_of_them_tells(run: Run, place: Path, registry: Registry) -> None:
    events = list(usual(10))
    (place / "events.jsonl").write_bytes(b"".join(to_line(event) + b"\n" for event in events))
    done = run("models", "compare", "events=events.jsonl", "--registry", registry.path, "--json")
    [report] = lines(done.stdout)
    assert (report["current"], report["shadow"]) == (registry.current(), registry.shadowed())
    assert report["events"] == len(events)
    assert report["shadow_only"] > 200
    told = run("models", "compare", "events=events.jsonl", "--registry", registry.path).stdout
    assert "told by shadow" in told
    assert "alice" in told


def test_live_it_tells_what_the_workers_counted(
    run: Run, registry: Registry, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITWATCH_REDIS", redis_server.url)
    done = run("models", "compare", "--registry", registry.path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no worker has scored" in done.stderr
    current, shadow = registry.current(), registry.shadowed()
    assert current
    assert shadow
    differ = (Disagreement("e1", "alice", "2026-01-01T00:00:00Z", 2.0, 3.0, "shadow"),)
    asyncio.run(_publish(redis_server.url, Report(shadow, current, 10, 1, 0, 1, differ)))
    told = run("models", "compare", "--registry", registry.path).stdout
    assert "10 events; both tell of 1, only the current one of 0, only the shadow of 1" in told
    assert "e1" in told


def test_without_a_pair_there_is_nothing_to_compare(run: Run, place: Path) -> None:
    registry = Registry(place / "models")
    name = registry.publish(default_model())
    assert "promote" in run("models", "compare", "--registry", registry.path).stderr
    registry.promote(name)
    done = run("models", "compare", "--registry", registry.path)
    assert done.exit_code == 2
    assert "shadow" in done.stderr


async def _publish(url: str, report: Report) -> None:
    client = connect(Settings(redis=url))
    await publish(client, report)
    await client.aclose()
