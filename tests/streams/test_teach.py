"""Verdicts on their way to a broker that is away, and an outbox that outlives whoever keeps them there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from alerting import store_memory
from alerting.case import Case, transition
from alerting.store import StoreUnavailable
from alerting.store_memory import MemoryAlertStore
from streams import teach as module
from streams.control import verdict_on
from streams.kafka import KafkaProblem
from streams.metrics import counted
from streams.packet import Control
from streams.settings import Settings
from streams.teach import Teach
from tests.alerting.conftest import NOON, an_alert

ALERT = an_alert(1)


class Broker:
    """Takes controls unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.taken: list[Control] = []

    async def send(self, settings: Settings, controls: Sequence[Control]) -> None:
        if self.away:
            raise KafkaProblem("no broker")
        self.taken += controls


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(module, "send", broker.send)
    monkeypatch.setattr(module, "TRY_SECONDS", 0.01)
    return broker


def benign(number: int = 1) -> Case:
    case = transition(Case(an_alert(number).id), "benign", "bob", NOON)
    assert isinstance(case, Case)
    return case


async def test_a_verdict_is_told_at_once_and_nothing_is_kept(broker: Broker) -> None:
    store = MemoryAlertStore()
    await Teach(Settings(), store)(ALERT, benign())
    assert broker.taken == verdict_on(ALERT, benign())
    assert await store.owed(10) == {}


async def test_what_is_no_verdict_tells_nothing(broker: Broker) -> None:
    case = transition(Case(ALERT.id), "ack", "bob", NOON)
    assert isinstance(case, Case)
    await Teach(Settings(), MemoryAlertStore())(ALERT, case)
    assert broker.taken == []


async def test_while_the_broker_is_away_a_verdict_waits_and_outlives_the_dispatcher(broker: Broker) -> None:
    store, broker.away = MemoryAlertStore(), True
    await Teach(Settings(), store)(ALERT, benign())
    await Teach(Settings(), store)(ALERT, benign())
    await Teach(Settings(), store)(an_alert(2), benign(2))
    assert broker.taken == []
    stop, another = asyncio.Event(), Teach(Settings(), store)
    running = asyncio.create_task(another.run(stop))
    await asyncio.sleep(0.03)
    broker.away = False
    while await store.owed(10):
        await asyncio.sleep(0.005)
    stop.set()
    await asyncio.wait_for(running, 5)
    wanted = [*verdict_on(ALERT, benign()), *verdict_on(an_alert(2), benign(2))]
    assert sorted(one.id for one in broker.taken) == sorted(one.id for one in wanted), "each once"


async def test_an_outbox_that_goes_away_is_waited_for(broker: Broker) -> None:
    class Away(MemoryAlertStore):
        tries = 0

        async def owed(self, limit: int) -> dict[str, bytes]:
            self.tries += 1
            if self.tries < 3:
                raise StoreUnavailable("away")
            return await super().owed(limit)

    store, stop = Away(), asyncio.Event()
    (control,) = verdict_on(ALERT, benign())
    await store.owe(control.id, module._ENCODE(control))
    running = asyncio.create_task(Teach(Settings(), store).run(stop))
    while not broker.taken:
        await asyncio.sleep(0.005)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert broker.taken == [control]


async def test_where_too_many_wait_the_log_says_who_decides(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_memory, "MOST_OWED", 0)
    broker.away, before = True, counted("errors", "clicks")
    await Teach(Settings(), MemoryAlertStore())(ALERT, benign())
    assert "age decides" in caplog.text
    assert counted("errors", "clicks") == before + 1
