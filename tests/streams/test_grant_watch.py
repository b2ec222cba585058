"""The watch over temporary access with a real Redis: score counts, the watch tells, another one goes on with it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from redis.asyncio import Redis

from alerting.alert import Alert
from alerting.ledger import Decision
from audit.context import Context
from audit.event import AuditEvent
from detectors.registry import default_model
from rules.compile import RuleSet
from streams.clock import Clock
from streams.detections import Detections
from streams.duties import Duties
from streams.embedded import RedisServer
from streams.grant_watch import KEY, GrantWatch
from streams.grants import SETTLED
from streams.kafka import EVENTS, partition_of
from streams.packet import Output, parcels
from streams.pipeline import Score
from streams.principal import memory_key
from streams.processor import Message, Processor
from streams.settings import Settings
from streams.store import RedisStateStore, connect, key_name
from tests.rules.accessing import DAY, NOON, call, context

HOUR = DAY // 24
PARTITIONS = 4
GRANT = {"user": "ada", "system": "aws", "role": "aws-admin", "granted_by": "bob", "ticket": "T-9",
         "start": "2026-03-04T12:00:00Z", "expires": "2026-03-04T14:00:00Z"}  # fmt: skip
END = NOON + 2 * HOUR
SOURCES = {"cloudtrail"}


class Heard:
    """What was told and written down; `away` is what telling fails with."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.decisions: dict[str, Decision] = {}
        self.away: Exception | None = None

    async def tell(self, alert: Alert) -> None:
        if self.away:
            raise self.away
        self.alerts.append(alert)

    async def write(self, decision: Decision) -> None:
        self.decisions.setdefault(decision.id, decision)

    @property
    def actions(self) -> list[str]:
        return [decision.details["action"] for decision in self.decisions.values()]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(Settings(redis=redis_server.url.removesuffix("/0") + "/6"))
    await client.flushdb()
    yield client
    await client.aclose()


def under(known: Context) -> Detections:
    return Detections(RuleSet([]), default_model(), known)


def watch(redis: Redis, heard: Heard) -> GrantWatch:
    """A watch as a worker that has just started has it."""
    return GrantWatch(redis, RedisStateStore(redis, "events"), PARTITIONS, heard.tell, heard, "worker on a")


async def scored(redis: Redis, known: Context, events: Sequence[AuditEvent]) -> None:
    """Has score fold events into Redis, as the worker does."""

    async def emit(outputs: Sequence[Any], faults: Sequence[Any]) -> None:
        assert not faults

    processor = Processor(Score(), RedisStateStore(redis, "events"), emit)
    outputs = [Output(0, mark, event.actor.id, event) for mark, event in enumerate(events)]
    for offset, (target, payload) in enumerate(parcels(outputs, {0: "audit.raw.all/0@a/1"}, PARTITIONS)):
        await processor.open(target)
        processor.begin(target, f"a/{PARTITIONS}", 0)
        assert not await processor.step([Message(target, offset, payload)], under(known))


async def test_from_opening_to_summary(redis: Redis, heard: Heard, tmp_path: Path) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    await watch(redis, heard).look(under(known), NOON - HOUR, SOURCES)
    await watch(redis, heard).look(under(known), NOON, SOURCES)
    deeds = [call(on="q", id="1", time=NOON + 60), call(on="q", id="2", time=NOON + HOUR), call(id="3")]
    await scored(redis, known, [event for event, _ in deeds])
    await watch(redis, heard).look(under(known), NOON + HOUR, SOURCES)
    assert heard.actions == ["opened", "used"]
    assert heard.alerts == []
    for _ in range(2):  # and whoever looks after it says nothing more
        await watch(redis, heard).look(under(known), END + SETTLED, SOURCES)
    (alert,) = heard.alerts
    assert "used 2026-03-04 12:00 to 13:00, 2 times: s3:GetObject on q (2); nothing in the quarter" in alert.summary
    assert heard.actions == ["opened", "used", "closed"]
    assert {decision.by for decision in heard.decisions.values()} == {"worker on a"}


async def test_what_was_never_used_is_told_too(redis: Redis, heard: Heard, tmp_path: Path) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    await watch(redis, heard).look(under(known), NOON - HOUR, SOURCES)
    await watch(redis, heard).look(under(known), END + DAY, SOURCES)  # it began and ended while nobody looked
    assert [alert.title for alert in heard.alerts] == ["Temporary access has ended, unused"]


async def test_what_could_not_be_told_is_told_at_the_next_look_as_the_same(
    redis: Redis, heard: Heard, tmp_path: Path
) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    await watch(redis, heard).look(under(known), NOON, SOURCES)
    heard.away = OSError("the broker is away")
    with pytest.raises(OSError, match="away"):
        await watch(redis, heard).look(under(known), END + SETTLED, SOURCES)
    written = list(heard.decisions)
    heard.away = None
    await watch(redis, heard).look(under(known), END + SETTLED, SOURCES)
    assert len(heard.alerts) == 1
    assert list(heard.decisions) == written


async def test_a_crash_between_telling_and_keeping_tells_the_same_again(
    redis: Redis, heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    await watch(redis, heard).look(under(known), NOON, SOURCES)

    async def crash(*_: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(GrantWatch, "_keep", crash)
        with pytest.raises(ConnectionError):
            await watch(redis, heard).look(under(known), END + SETTLED, SOURCES)
    await watch(redis, heard).look(under(known), END + SETTLED, SOURCES)
    first, again = heard.alerts
    assert first == again  # which the outbox knows by its id
    assert heard.actions == ["opened", "closed"]


async def test_prolonged_is_one_record_that_names_both_ends(redis: Redis, heard: Heard, tmp_path: Path) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    await watch(redis, heard).look(under(known), NOON, SOURCES)
    longer = context(tmp_path, temporary_grants=[{**GRANT, "expires": "2026-03-04T16:00:00Z"}])
    for _ in range(2):
        await watch(redis, heard).look(under(longer), NOON + HOUR, SOURCES)
    (moved,) = [one for one in heard.decisions.values() if one.details["action"] == "moved"]
    assert (moved.details["before"][11:16], moved.details["expires"][11:16]) == ("14:00", "16:00")


async def test_what_cannot_be_read_begins_anew_and_holds_nobody_up(
    redis: Redis, heard: Heard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    await watch(redis, heard).look(under(known), NOON, SOURCES)
    (field,) = [name for name in await redis.hkeys(KEY) if name != b"at"]
    await redis.hset(KEY, mapping={field: b"\xff", b"x": b"y"})
    await redis.set(key_name("events", partition_of("ada", PARTITIONS), memory_key("ada")), b"\xff")
    with caplog.at_level(logging.ERROR):
        await watch(redis, heard).look(under(known), NOON + HOUR, SOURCES)
    assert "cannot be read" in caplog.text
    await redis.hdel(KEY, b"x")
    await watch(redis, heard).look(under(known), END + SETTLED, SOURCES)
    assert len(heard.alerts) == 1


async def test_what_is_forgotten_leaves_redis(redis: Redis, heard: Heard, tmp_path: Path) -> None:
    known = context(tmp_path, temporary_grants=[GRANT])
    for now in (NOON, END + SETTLED, END + 40 * DAY):
        await watch(redis, heard).look(under(known), now, SOURCES)
    assert await redis.hkeys(KEY) == [b"at"]


async def test_a_context_without_grants_asks_redis_for_no_state(redis: Redis, heard: Heard, tmp_path: Path) -> None:
    await watch(redis, heard).look(under(context(tmp_path)), NOON, SOURCES)
    assert (heard.alerts, heard.actions) == ([], [])


class TestTheDuty:
    """Which worker looks, and at which time."""

    mine: set[TopicPartition]

    @pytest.fixture
    def duties(self, redis: Redis, heard: Heard, tmp_path: Path) -> Duties:
        engine: Any = SimpleNamespace(
            redis=redis,
            partitions={EVENTS: PARTITIONS},
            tell=heard.tell,
            clock=Clock(),
            detections=under(context(tmp_path, temporary_grants=[GRANT])),
            app=SimpleNamespace(consumer=SimpleNamespace(assignment=lambda: self.mine)),
        )
        self.mine = {TopicPartition(EVENTS, 0)}
        return Duties(engine, heard)

    async def test_nobody_looks_before_anything_passed_nor_without_the_first_partition(
        self, duties: Duties, redis: Redis
    ) -> None:
        await duties.look_at_grants()
        duties._passed, self.mine = NOON, set()
        await duties.look_at_grants()
        assert not await redis.exists(KEY)

    async def test_time_is_what_has_come_through_all_stages(self, duties: Duties, redis: Redis, heard: Heard) -> None:
        duties._passed = NOON
        await duties.look_at_grants()
        assert await redis.hget(KEY, "at") == b"%d" % NOON
        assert heard.actions == ["opened"]
