"""What the engine decides by itself; how it works with Faust, Kafka and Redis is tested in tests/e2e."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from faust.types import TP

from alerting.alert import Alert
from audit.context import EMPTY
from detectors.peers import Snapshot
from detectors.registry import default_model
from rules.compile import RuleSet
from streams import engine as module
from streams.detections import Detections
from streams.engine import Engine
from streams.kafka import EVENTS, FINDINGS
from streams.metrics import counted
from streams.packet import Output
from streams.settings import Settings
from tests.alerting.conftest import an_alert
from tests.streams.counting import NO_DETECTIONS, adding

NOBODY = Detections(RuleSet(), default_model(), EMPTY)


class Halted(BaseException):
    """The process ended."""


class Consumer:
    def __init__(self) -> None:
        self.held: list[TopicPartition] = []
        self.done_with: list[Any] = []

    def hold(self, partitions: Any) -> None:
        self.held += partitions

    def done(self, message: Any) -> None:
        self.done_with.append(message)


class App:
    def __init__(self) -> None:
        self.consumer = Consumer()
        self.rebalancing = False


class Shell:
    last_error = ""

    def __init__(self) -> None:
        self.processor, _, _ = adding()
        self.forgotten: set[int] = set()

    def forget(self, partitions: set[int]) -> None:
        self.forgotten |= partitions


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    def halt(reason: str) -> NoReturn:
        raise Halted(reason)

    monkeypatch.setattr(module, "halt", halt)
    return Engine(App(), Settings(), NO_DETECTIONS, ["okta"])


async def test_an_assignment_forgets_and_asks_to_rewind_what_has_a_store(engine: Engine) -> None:
    shell = Shell()
    await shell.processor.open(4)
    engine.shells = {EVENTS: shell}  # type: ignore[dict-item]
    engine.assigned({TP("audit.raw.okta", 0), TP(EVENTS, 1), TP(FINDINGS, 2)})
    assert set(engine.app.consumer.held) == {TopicPartition(EVENTS, 1), TopicPartition(FINDINGS, 2)}
    assert shell.forgotten == {4}


async def test_an_alert_of_its_own_waits_for_a_broker_that_is_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Alert] = []

    class Outlet:
        async def alerts(self, outputs: Sequence[Output[Alert]]) -> None:
            tries.extend(output.item for output in outputs)
            if len(tries) < 3:
                raise KafkaTimeoutError

    monkeypatch.setattr(module, "TELL_SECONDS", 0.0)
    engine._outlet = Outlet()  # type: ignore[assignment]
    engine.connected.set()
    before = counted("errors", "tell")
    await engine.tell(an_alert())
    assert tries == [an_alert()] * 3
    assert counted("errors", "tell") - before == 2


async def test_it_is_ready_when_connected_assigned_and_redis_answers(engine: Engine) -> None:
    class Redis:
        async def ping(self) -> None:
            raise ConnectionError("no Redis")

    assert await engine.missing() == "not connected yet"
    engine.shells = {EVENTS: Shell()}  # type: ignore[dict-item]
    engine.app.rebalancing = True
    assert await engine.missing() == "partitions are being assigned"
    engine.app.rebalancing = False
    engine.redis = Redis()  # type: ignore[assignment]
    assert "no Redis" in str(await engine.missing())


async def test_a_failure_nobody_foresaw_ends_the_process_rather_than_losing_a_batch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(engine, "_fold", broken)
    with pytest.raises(Halted, match=r"audit\.events: .*a bug"):
        await engine.handle(EVENTS, [object()])
    assert engine.app.consumer.done_with == []


async def test_an_error_is_counted_and_the_watchdog_hears_of_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", (0.0,))
    before = counted("errors", EVENTS)
    await engine.survive(EVENTS, ConnectionError("gone"), 7)
    assert counted("errors", EVENTS) == before + 1
    assert "gone" in engine.watchdog._last_error


async def test_stopping_waits_for_the_batch_under_way(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    release, order = asyncio.Event(), list[str]()

    async def slow(*_: Any) -> list[Any]:
        await release.wait()
        order.append("batch")
        return []

    monkeypatch.setattr(engine, "_fold", slow)
    batch = asyncio.create_task(engine.handle(EVENTS, []))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(engine.stop())
    await asyncio.sleep(0.01)
    release.set()
    await batch
    await stopping
    order.append("stopped")
    assert order == ["batch", "stopped"]


async def test_a_reload_keeps_the_snapshot_and_a_snapshot_keeps_the_rules(engine: Engine) -> None:
    engine.detections = NOBODY
    rules = engine.detections.rules
    engine.take(Snapshot(5, {}, 9.0))
    assert (engine.detections.rules, engine.detections.model.threshold) == (rules, 9.0)
    other = replace(NOBODY, rules=RuleSet((), (), ["a"]))
    engine.swap(other)
    assert (engine.detections.rules, engine.detections.snapshot.made) == (other.rules, 5)
    assert engine.detections.model.threshold == 9.0


async def test_the_stored_snapshot_is_used_from_the_first_batch_on(engine: Engine) -> None:
    class Redis:
        async def getrange(self, key: str, start: int, end: int) -> bytes:
            return Snapshot(5).pack()[start : end + 1]

        async def get(self, key: str) -> bytes:
            return Snapshot(5).pack()

    engine.detections = NOBODY
    engine.redis = Redis()  # type: ignore[assignment]
    await engine._share(Settings())
    assert engine.detections.snapshot.made == 5
