"""Law 5: an event delivered again counts once: in the baseline, in findings and in alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from msgspec.structs import replace

from audit.event import AuditEvent, Principal, Resource
from streams.detections import Detections
from streams.packet import Output, mark, parcels
from streams.principal import RECENT
from tests.laws.flow import PARTITIONS, SCORE, Flow
from tests.laws.organisation import replayed


def adjacent(events: Sequence[AuditEvent]) -> list[AuditEvent]:
    return [event for event in events for _ in range(3)]


def later(events: Sequence[AuditEvent]) -> list[AuditEvent]:
    """Each event three times: now, and up to 60 places later, so that a person's last RECENT ids still hold it."""
    random = Random(3)
    places = [
        (at + delay, event) for at, event in enumerate(events) for delay in (0, *random.choices(range(1, 60), k=2))
    ]
    return [event for _, event in sorted(places, key=lambda place: place[0])]


@pytest.mark.parametrize("again", [adjacent, later])
def test_an_event_delivered_three_times_counts_once(
    events: list[AuditEvent], detections: Detections, again: type
) -> None:
    events = events[-1200:]
    once, thrice = [replayed(each, detections, 50) for each in (events, again(events))]
    assert thrice.result.repeats == 2 * len(events)
    assert once.result.repeats == 0
    assert thrice.result.findings == once.result.findings
    assert thrice.result.alerts == once.result.alerts
    assert [store.values for store in thrice.stores] == [store.values for store in once.stores]


def test_an_event_that_reaches_two_partitions_of_the_raw_topic_counts_once(
    events: list[AuditEvent], detections: Detections
) -> None:
    once, twice = Flow(detections), Flow(detections)
    events = events[-800:]
    once.send(events)
    for start in range(0, len(events), 50):
        part = events[start : start + 50]
        outputs = [
            Output(lane, mark(start // 50, at), event.actor.id, event)
            for lane in (0, 1)
            for at, event in enumerate(part)
        ]
        for target, payload in parcels(outputs, {0: "audit.raw.a/0@a", 1: "audit.raw.a/1@a"}, PARTITIONS):
            twice.logs[SCORE][target].append(payload)
    for flow in (once, twice):
        asyncio.run(flow.finish())
    assert twice.said() == once.said()
    assert twice.stores[SCORE].values == once.stores[SCORE].values


def test_one_id_does_not_hide_other_deeds(detections: Detections) -> None:
    """Clients of Kubernetes may choose the audit id of their requests."""
    first = AuditEvent(
        "chosen", 1_768_000_000_000_000, "kubernetes", "get", "success", Principal("eve", "eve"), None,
        Resource("secrets", "default/a"),
    )  # fmt: skip
    others = [
        replace(first, action="list"),
        replace(first, resource=Resource("secrets", "default/b")),
        replace(first, time=first.time + 1_000_000),
    ]
    result = replayed([first, *others, first], detections).result
    assert (len(result.scores), result.repeats) == (4, 1)


def test_a_time_of_ours_does_not_make_two_of_one(detections: Detections) -> None:
    event = AuditEvent("e1", 5_000_000, "okta", "x", "success", Principal("a", "a"), marks=("time_replaced",))
    result = replayed([event, replace(event, time=9_000_000)], detections).result
    assert result.repeats == 1


def test_what_is_remembered_is_bounded(detections: Detections) -> None:
    events = [AuditEvent(f"e{n}", n, "okta", "x", "success", Principal("a", "a")) for n in range(RECENT + 1)]
    result = replayed([*events, events[0], events[-1]], detections).result
    assert result.repeats == 1
