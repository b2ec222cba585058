from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from alerting.alert import from_line
from streams import packet
from streams.deadletter import from_line as letter_of
from streams.kafka import ALERTS, DEADLETTER, EVENTS, FINDINGS
from streams.metrics import counted
from streams.outlet import Outlet
from streams.packet import Output, Signal, decode_events, decode_signals, mark
from streams.processor import Fault
from tests.alerting.conftest import a_finding, an_alert
from tests.streams.test_packet import event

NOW = 1_768_000_000_000_000


class Producer:
    """Keeps what was sent; a send is stored when `store` lets it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int | None, bytes | None, bytes]] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.at_once = True
        self.refuse = ""

    async def send(
        self, topic: str, value: bytes, key: bytes | None = None, partition: int | None = None
    ) -> asyncio.Future[None]:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((topic, partition, key, value))
        self.waiting.append(stored)
        if self.refuse == topic:
            stored.set_exception(ConnectionError("refused"))
        elif self.at_once:
            stored.set_result(None)
        return stored


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def outlet(producer: Producer) -> Outlet:
    return Outlet(producer, lambda: NOW)  # type: ignore[arg-type]


async def test_events_go_out_packed_to_the_partition_of_their_principal(outlet: Outlet, producer: Producer) -> None:
    outputs = [Output(0, mark(at), key, event(f"e{at}", key)) for at, key in enumerate("abcabc")]
    await outlet.packets(EVENTS, outputs, {0: "raw/0@x"}, 4)
    assert {(topic, partition) for topic, partition, _, _ in producer.sent} == {
        (EVENTS, packet.partition_of(key, 4)) for key in "abc"
    }
    packets = [decode_events(value) for *_, value in producer.sent]
    assert sorted(item.id for each in packets for item in each.items) == [f"e{at}" for at in range(6)]


async def test_a_sending_is_done_when_all_of_it_is_stored(outlet: Outlet, producer: Producer) -> None:
    producer.at_once = False
    outputs = [Output(0, mark(at), key, event(f"e{at}", key)) for at, key in enumerate("abcdefgh")]
    sending = asyncio.create_task(outlet.packets(EVENTS, outputs, {0: "raw/0@x"}, 8))
    await asyncio.sleep(0.01)
    for stored in producer.waiting:
        assert not sending.done()
        stored.set_result(None)
        await asyncio.sleep(0)
    await sending


@pytest.mark.parametrize("topic", [FINDINGS, DEADLETTER])
async def test_a_refusal_is_raised(outlet: Outlet, producer: Producer, topic: str) -> None:
    producer.refuse = topic
    emit = outlet.score_emit(lambda lane: f"events/{lane}@x", 2)
    with pytest.raises(ConnectionError):
        await emit([Output(0, 1, "user:a", Signal("user:a"))], [Fault(0, 1, "bad", b"raw")])


async def test_score_sends_signals_under_the_name_of_their_partition_and_counts_findings(
    outlet: Outlet, producer: Producer
) -> None:
    before = counted("findings")
    signals = [Signal("user:alice", finding=a_finding()), Signal("ip:1.2.3.4")]
    emit = outlet.score_emit(lambda lane: f"audit.events/{lane}@x", 2)
    await emit([Output(at, mark(at), signal.entity, signal) for at, signal in enumerate(signals)], [])
    packets = [decode_signals(value) for topic, *_, value in producer.sent if topic == FINDINGS]
    assert {each.origin for each in packets} == {"audit.events/0@x", "audit.events/1@x"}
    assert [item for each in packets for item in each.items] == signals
    assert counted("findings") == before + 1


async def test_alerts_go_out_as_json_under_their_key(outlet: Outlet, producer: Producer) -> None:
    before = counted("alerts")
    alert = an_alert(key="user:ä")
    await outlet.correlate_emit()([Output(0, 1, alert.key, alert)], [])
    ((topic, partition, key, value),) = producer.sent
    assert (topic, partition, key) == (ALERTS, None, "user:ä".encode())
    assert from_line(value) == alert
    assert counted("alerts") == before + 1


async def test_what_cannot_be_digested_goes_out_with_its_place(outlet: Outlet, producer: Producer) -> None:
    before = counted("deadletters", "normalise")
    faults = [Fault(1, 41, "no JSON", b"\xff\x00"), Fault(0, 7, "no time", b"{}")]
    await outlet.letters("normalise", {0: ("audit.raw.okta", 0), 1: ("audit.raw.github", 5)}, faults)
    letters = [letter_of(value) for topic, _, _, value in producer.sent if topic == DEADLETTER]
    assert [(letter.topic, letter.partition, letter.offset, letter.payload()) for letter in letters] == [
        ("audit.raw.github", 5, 41, b"\xff\x00"),
        ("audit.raw.okta", 0, 7, b"{}"),
    ]
    assert [key for _, _, key, _ in producer.sent] == [letter.id.encode() for letter in letters]
    assert counted("deadletters", "normalise") == before + 2


@pytest.mark.parametrize(("stage", "topic"), [("score", EVENTS), ("correlate", FINDINGS)])
async def test_faults_of_a_stage_name_the_topic_it_reads(
    outlet: Outlet, producer: Producer, stage: str, topic: str
) -> None:
    emit: Any = outlet.score_emit(lambda lane: "x", 2) if stage == "score" else outlet.correlate_emit()
    await emit([], [Fault(3, 9, "bad", b"raw")])
    line = orjson.loads(producer.sent[0][3])
    assert (line["stage"], line["topic"], line["partition"], line["offset"]) == (stage, topic, 3, 9)


async def test_nothing_sends_nothing(outlet: Outlet, producer: Producer) -> None:
    await outlet.score_emit(lambda lane: "x", 2)([], [])
    await outlet.correlate_emit()([], [])
    assert producer.sent == []
