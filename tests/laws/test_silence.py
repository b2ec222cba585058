"""Law 8: nothing is dropped in silence, and what fails takes nothing else with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.event import AuditEvent
from rules import sigma
from rules.compile import RuleSet
from rules.rule import Rule
from rules.view import View
from streams import estimate
from streams.detections import Detections
from streams.packet import decode_events
from tests.laws.flow import CORRELATE, SCORE, Flow

BAD = (
    b"",
    b"\xc1",
    b"not msgpack",
    b"\x93\xa1a\x90\x90" + b"\x91" * 50,
    b"\x94\xa1\xff\x90\x90\xff",
    b"\x91" * 100_000,
)


class Broken(RuleSet):
    """A rule set one of whose rules raises, whatever it is asked."""

    def matching(self, view: View) -> list[Rule]:
        self.rules[0].matches(view)
        return super().matching(view)


def with_a_broken_rule(detections: Detections) -> Detections:
    """The detections with one more rule, which raises for every event."""

    def broken(_: Any) -> bool:
        raise RuntimeError("broken rule")

    every = sigma.load([Path(__file__).with_name("rules.yml")]).rules[0]
    rules = Broken(
        [replace(every, id="broken", matches=broken), *detections.rules.rules], detections.rules.correlations
    )
    rules.hash = detections.rules.hash
    return Detections(rules, detections.model, detections.context)


def finished(flow: Flow) -> Flow:
    asyncio.run(flow.finish())
    return flow


@pytest.fixture
def sent(events: list[AuditEvent], detections: Detections) -> Flow:
    flow = Flow(detections)
    flow.send(events[-600:])
    return flow


@pytest.mark.parametrize("stage", [SCORE, CORRELATE])
@pytest.mark.parametrize("junk", BAD, ids=range(len(BAD)))
def test_a_message_nobody_can_read_is_put_aside_whole(
    sent: Flow, events: list[AuditEvent], detections: Detections, stage: int, junk: bytes
) -> None:
    undisturbed = Flow(detections)
    undisturbed.send(events[-600:])
    sent.logs[stage][1].insert(0, junk)
    assert finished(sent).said() == finished(undisturbed).said()
    ((partition, offset, error, raw),) = sent.faults
    assert (partition, offset, raw) == (1, 0, junk)
    assert error.startswith("unreadable packet: ")


def test_marks_that_do_not_fit_the_items_are_unreadable(sent: Flow) -> None:
    payload = sent.logs[SCORE][0][0]
    short = msgspec.structs.replace(decode_events(payload), marks=[1])
    sent.logs[SCORE][0][0] = msgspec.msgpack.encode(short)
    assert [fault.offset for fault in finished(sent).faults] == [0]


def test_a_rule_that_fails_costs_neither_the_event_nor_other_rules(
    sent: Flow, events: list[AuditEvent], detections: Detections
) -> None:
    undisturbed = Flow(detections)
    undisturbed.send(events[-600:])
    finished(undisturbed)
    sent.detections = with_a_broken_rule(detections)
    finished(sent)
    assert sent.said()[0] == undisturbed.said()[0]
    assert sent.stores[SCORE].values == undisturbed.stores[SCORE].values
    assert len(sent.faults) == 600
    raws = {event.raw for event in events}
    for fault in sent.faults:
        assert fault.error == "rule broken failed: RuntimeError('broken rule')"
        assert fault.raw in raws
        place = decode_events(sent.logs[SCORE][fault.partition][fault.offset])
        assert fault.raw in {event.raw for event in place.items}


def test_an_event_that_cannot_be_folded_is_put_aside_and_nothing_else(
    sent: Flow, events: list[AuditEvent], detections: Detections, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = events[-300]
    undisturbed = Flow(detections)
    undisturbed.send([event for event in events[-600:] if event is not poison])
    finished(undisturbed)
    told = estimate.Deed.take

    def take(deed: estimate.Deed, suspected: bool) -> None:
        told(deed, suspected)
        if deed.event.id == poison.id:
            raise RuntimeError("a bug")

    monkeypatch.setattr(estimate.Deed, "take", take)
    finished(sent)
    (fault,) = sent.faults
    assert (fault.error, fault.raw) == ("folding failed: RuntimeError('a bug')", poison.raw)
    assert sent.said() == undisturbed.said()
    assert sent.stores[SCORE].values == undisturbed.stores[SCORE].values
