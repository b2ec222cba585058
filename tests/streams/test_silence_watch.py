"""The watch over sources: what it knows outlives it, and what it tells names the rules that see nothing now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from redis.asyncio import Redis

from alerting.alert import Alert, from_line, to_line
from alerting.ledger_record import came
from alerting.store import Entry
from rules.compile import RuleSet
from streams import silence_watch as module
from streams.detections import Detections
from streams.embedded import Broker, RedisServer
from streams.kafka import RAW, client_options, ensure_topics
from streams.kafka_log import KafkaLog
from streams.load import load_detections
from streams.settings import Settings
from streams.silence import HOUR, MINUTE, UNKNOWN, WEEK, WEEK_HOURS, Pulse
from streams.silence_watch import A_LINE, BLIND_LINES, KEY, Watch, alert_of, blind_to, held, keep_watching
from streams.store import connect

NOW = 1_772_409_600_000_000
LEAST = 15 * MINUTE


@pytest.fixture(scope="module")
def detections() -> Detections:
    return load_detections(None, (), None)


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = connect(Settings(redis=redis_server.url.removesuffix("/0") + "/5"))
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
def watch(redis: Redis, detections: Detections) -> Watch:
    return Watch(redis, LEAST, lambda: detections)


def steady(now: int, end: int = 9_000, silent: int = 0) -> Pulse:
    """A source that has spoken every few seconds for weeks."""
    usual = (20_000_000,) * WEEK_HOURS
    return Pulse(
        end, now, now - silent, silent, longest=60e6, usual=usual, hour=now // HOUR, watched=5 * WEEK, found=9_000
    )


async def know(redis: Redis, source: str, pulse: Pulse) -> None:
    await redis.hset(KEY, source, msgspec.msgpack.encode(pulse))


class Told(list[Alert]):
    async def tell(self, alert: Alert) -> None:
        self.append(alert)


@pytest.fixture
def told() -> Told:
    return Told()


class TestLooking:
    async def test_silent_then_back(self, watch: Watch, redis: Redis, told: Told) -> None:
        await know(redis, "okta", steady(NOW))
        await know(redis, "github", steady(NOW))
        for minute in range(1, 31):
            ends = {"okta": 9_000, "github": 9_000 + minute}
            await watch.look(ends, NOW + minute * MINUTE, told.tell)
        assert [(alert.title, alert.status, alert.revision) for alert in told] == [("Source okta is silent", "open", 1)]
        await watch.look({"okta": 9_001, "github": 9_031}, NOW + 31 * MINUTE, told.tell)
        first, last = told
        assert (last.id, last.status, last.resolution, last.revision) == (first.id, "resolved", "returned", 2)
        assert "speaks again after 30 min without a record" in last.summary

    async def test_another_worker_goes_on_where_one_ended(
        self, redis: Redis, detections: Detections, told: Told
    ) -> None:
        await know(redis, "okta", steady(NOW))
        for minute in range(1, 40):
            await Watch(redis, LEAST, lambda: detections).look({"okta": 9_000}, NOW + minute * MINUTE, told.tell)
        assert len(told) == 1

    async def test_told_before_it_is_kept(self, watch: Watch, redis: Redis, told: Told) -> None:
        """A crash between the two says the same again."""

        async def broken(_: Alert) -> None:
            raise OSError("the broker is away")

        await know(redis, "okta", steady(NOW, silent=LEAST))
        with pytest.raises(OSError, match="away"):
            await watch.look({"okta": 9_000}, NOW + MINUTE, broken)
        await watch.look({"okta": 9_000}, NOW + 2 * MINUTE, told.tell)
        await know(redis, "okta", steady(NOW, silent=LEAST))
        await watch.look({"okta": 9_000}, NOW + 3 * MINUTE, told.tell)
        assert len({alert.id for alert in told}) == 1
        assert len(told) == 2

    async def test_one_that_never_spoke_is_not_known(self, watch: Watch, redis: Redis, told: Told) -> None:
        await watch.look({"okta": 0, "github": 5}, NOW, told.tell)
        assert list(await redis.hgetall(KEY)) == [b"github"]

    async def test_what_cannot_be_read_begins_anew(
        self, watch: Watch, redis: Redis, told: Told, caplog: pytest.LogCaptureFixture
    ) -> None:
        await redis.hset(KEY, "okta", b"\xc1")
        await watch.look({"okta": 5}, NOW, told.tell)
        assert "it begins anew" in caplog.text
        assert msgspec.msgpack.decode(await redis.hget(KEY, "okta"), type=Pulse).end == 5


class TestTheAlert:
    def alert(self, detections: Detections, source: str = "okta", news: str = "silent") -> Alert:
        pulse = steady(NOW, silent=16 * MINUTE)
        return alert_of(source, pulse, pulse, news, detections)  # type: ignore[arg-type]

    def test_it_says_what_is_unusual_and_who_is_blind(self, detections: Detections) -> None:
        alert = self.alert(detections)
        blind = blind_to("okta", detections.rules)
        most = BLIND_LINES * A_LINE
        assert len(blind) > most
        assert alert.summary == (
            f"okta: no record for 16 min, since 2026-03-01T23:44:00Z. {len(blind)} rules see nothing meanwhile."
        )
        assert alert.reasons[0] == "at this hour of the week it is usually silent for 20 s at most"
        assert alert.reasons[1] == f"sees nothing: {'; '.join(blind[:A_LINE])}"
        assert alert.reasons[-1].endswith(f"; and {len(blind) - most} more, which `auditwatch rules list` names")
        assert len(alert.reasons) == 1 + BLIND_LINES
        assert alert.version == detections.version
        assert from_line(to_line(alert)) == alert

    def test_a_source_without_rules(self, detections: Detections) -> None:
        alert = self.alert(detections, "nobody")
        assert "0 rules see nothing" in alert.summary
        assert len(alert.reasons) == 1

    def test_the_gravest_first_and_only_those_that_see_nothing_else(self, detections: Detections) -> None:
        titles = blind_to("cloudtrail", detections.rules)
        known = {one.title: one for one in (*detections.rules.rules, *detections.rules.correlations)}
        order = ["critical", "high", "medium", "low"]
        ranks = [order.index(known[title].severity) for title in titles if title in known]
        assert ranks == sorted(ranks)
        assert all(tuple(known[title].sources) == ("cloudtrail",) for title in titles if title in known)

    def test_who_reads_other_sources_as_well_sees_less(self, detections: Detections) -> None:
        first, second, third, *_ = detections.rules.rules
        rules = RuleSet(
            (
                replace(first, title="Both", sources=("github", "okta")),
                replace(second, title="Its own", sources=("okta",)),
                replace(third, title="Tried out", sources=("aws", "okta"), stage="shadow"),
                replace(third, title="Any", sources=()),
            )
        )
        alert = self.alert(replace(detections, rules=rules))
        assert alert.reasons[1:] == ("sees nothing: Its own", "sees less: Both")
        assert "1 rule sees nothing meanwhile." in alert.summary

    def test_where_the_hour_says_nothing_the_longest_silence_does(self, detections: Detections) -> None:
        pulse = msgspec.structs.replace(steady(NOW), usual=(UNKNOWN,) * WEEK_HOURS, longest=float(3 * HOUR))
        reasons = alert_of("okta", pulse, pulse, "silent", detections).reasons
        assert reasons[0] == "its longest silence before was 3 h 0 min"

    def test_its_return_is_a_decision_of_the_ledger(self, detections: Detections) -> None:
        first, last = self.alert(detections), self.alert(detections, news="back")
        assert came(last, Entry(first)) == "merged"


class Log:
    """A log that has grown."""

    async def ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: 10 * place.partition + len(place.topic) for place in places}


async def test_the_partitions_of_a_topic_are_added_up() -> None:
    partitions = {f"{RAW}okta": 3, f"{RAW}github": 1}
    okta, github = len(f"{RAW}okta"), len(f"{RAW}github")
    assert await held(Log(), partitions, ["okta", "github"]) == {"okta": 3 * okta + 30, "github": github}


async def test_records_in_a_real_broker(watch: Watch, redis: Redis, told: Told) -> None:
    """Time is compressed: a minute passes with each look."""
    with Broker.start() as broker:
        settings = Settings(broker=broker.url, raw_partitions=2)
        partitions = await ensure_topics(settings, [f"{RAW}okta", f"{RAW}github"])
        log, producer = KafkaLog(settings), AIOKafkaProducer(**client_options(settings))
        await log.start()
        await producer.start()
        try:
            await know(redis, "okta", steady(NOW, 0))
            for minute in range(1, 41):
                if not 5 < minute < 30:
                    await producer.send_and_wait(f"{RAW}okta", b"{}", partition=minute % 2)
                ends = await held(log, partitions, ["okta", "github"])
                await watch.look(ends, NOW + minute * MINUTE, told.tell)
        finally:
            await producer.stop()
            await log.stop()
    assert [(alert.status, (alert.time - NOW) // MINUTE) for alert in told] == [("open", 20), ("resolved", 30)]


async def test_the_keeper_survives_outages_and_looks_only_on_its_turn(
    watch: Watch, redis: Redis, told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    asked: list[bool] = []
    turns = iter([False, True, True, *[False] * 10_000])

    async def ends() -> dict[str, int]:
        asked.append(True)
        if len(asked) == 1:
            raise OSError("the broker is away")
        return {"okta": 5}

    keeping = asyncio.create_task(keep_watching(watch, ends, lambda: next(turns), told.tell, lambda: NOW))
    async with asyncio.timeout(5):
        while not await redis.hgetall(KEY):
            await asyncio.sleep(0.01)
    keeping.cancel()
    assert len(asked) == 2
    assert "nobody can look whether sources speak" in caplog.text
