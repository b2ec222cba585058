from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from audit.event import MICROSECONDS, AuditEvent, rfc3339
from streams.detections import Detections
from streams.embedded import Broker
from streams.files import records
from streams.kafka import admin
from streams.load import load_detections
from streams.replay import Source, events_of
from streams.settings import Settings
from streams.simulate.model import SOURCES
from streams.simulate.organisation import simulate
from streams.simulate.output import write

pytest.register_assert_rewrite("tests.e2e.exact", "tests.e2e.house", "tests.e2e.logbook")

from tests.e2e.house import House, Server, house  # noqa: E402

ARRIVAL = 1_900_000_000_000_000
HALF_A_DAY = 12 * 3600 * MICROSECONDS
WAITING = Path(__file__).with_name("waiting.yml")


@dataclass(frozen=True, slots=True)
class Logs:
    """Raw logs of an invented organisation, a file a source; the ids of their events; what to judge them by."""

    files: dict[str, Path]
    context: Path
    detections: Detections
    ids: set[str]

    def events(self, source: str) -> list[AuditEvent]:
        return list(events_of([Source(source, str(self.files[source]))], self.detections.context, ARRIVAL, []))

    def half_a_day_later(self) -> dict[str, bytes]:
        """One more line of each source, with the id "later": whoever reads it knows that time has passed."""
        time = max(event.time for source in self.files for event in self.events(source)) + HALF_A_DAY
        return {source: _changed(path, _times(source, time)) for source, path in self.files.items()}


def _times(source: str, time: int) -> dict[str, Any]:
    if source == "github":
        return {"@timestamp": time // 1000, "created_at": time // 1000, "_document_id": "later"}
    named = {
        "cloudtrail": ("eventTime", "eventID"),
        "okta": ("published", "uuid"),
        "kubernetes": ("requestReceivedTimestamp", "stageTimestamp", "auditID"),
    }
    *times, identity = named[source]
    return {identity: f"{source} later"} | dict.fromkeys(times, rfc3339(time))


def _changed(path: Path, fields: Mapping[str, Any]) -> bytes:
    return orjson.dumps(orjson.loads(next(line for _, line in records(str(path)))) | fields)


def _logs(folder: Path, users: int, days: int) -> Logs:
    write(simulate(users, days, seed=7, attack_after=1), folder)
    files: dict[str, Path] = {source: folder / f"{source}.jsonl.gz" for source in SOURCES}
    detections = load_detections(folder / "context.yml", (), None)
    sources = [Source(source, str(path)) for source, path in files.items()]
    ids = {event.id for event in events_of(sources, detections.context, ARRIVAL, [])}
    return Logs(files, folder / "context.yml", detections, ids)


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """About 11,000 events."""
    return _logs(tmp_path_factory.mktemp("organisation"), users=40, days=3)


@pytest.fixture(scope="session")
def few_logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """About 6,000 events."""
    return _logs(tmp_path_factory.mktemp("few"), users=30, days=2)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def empty_broker(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each broker in turn, with none of our topics."""
    if request.param == "kafka":
        kafka = request.getfixturevalue("kafka_server")
        asyncio.run(_emptied(Settings(broker=kafka.url)))
        yield kafka
        return
    with Broker.start() as broker:
        yield broker


async def _emptied(settings: Settings) -> None:
    async with admin(settings) as client:
        while ours := [topic for topic in await client.list_topics() if topic.startswith("audit.")]:
            await client.delete_topics(ours)
            await asyncio.sleep(0.2)


@pytest.fixture
def empty_house(empty_broker: Server, tmp_path: Path) -> Iterator[House]:
    """A house with an empty broker and an empty Redis, the one or the other broker in turn."""
    with house(empty_broker, tmp_path) as built:
        yield built


@pytest.fixture
def small_house(own_broker: Broker, tmp_path: Path) -> Iterator[House]:
    """A house on the embedded broker alone: for what is the same on any."""
    with house(own_broker, tmp_path) as built:
        yield built


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """An embedded broker that the test may end."""
    with Broker.start() as broker:
        yield broker
