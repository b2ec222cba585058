"""Verdicts on their way back to the baselines: as controls on audit.events, on the partition of whom they are about.

A case resolved as benign or a false positive lets what its alert rests on be learnt, a true positive lets it be
dropped; what nobody decides is decided by its age (streams/principal.py). A control may be sent again without harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from aiokafka import AIOKafkaProducer

from alerting.alert import Alert
from alerting.case import Case, denied
from alerting.risk import EPISODE
from audit.finding import stable_id
from streams.kafka import EVENTS, MAX_MESSAGE_BYTES, client_options, ensure_topics, partition_of
from streams.packet import Control, EventPacket, encode
from streams.principal import event_code
from streams.settings import Settings

TEACHES: dict[str, Literal["learn", "drop"]] = {"true_positive": "drop", "benign": "learn", "false_positive": "learn"}
"""What a resolution does with the events an alert rests on."""


def verdict_on(alert: Alert, case: Case) -> list[Control]:
    """The controls a case's resolution amounts to, one for each principal its alert names; none while it is open.

    That the person asked about it said no is as good as a true positive: until the team knows better, it is not learnt.

    What is to be learnt is exactly what the alert rests on. What is to be dropped is also whatever else is held of the
    same episode: an alert of a long attack names only some of its events.
    """
    kind = TEACHES.get(case.resolution or ("true_positive" if denied(case) else ""))
    if kind is None:
        return []
    events = tuple(event_code(name) for name in alert.event_ids)
    start = alert.time // EPISODE * EPISODE
    since, until = (start, start + EPISODE) if kind == "drop" else (0, 0)
    return [
        Control(
            stable_id("verdict", alert.id, case.version, person),
            kind, person, case.at, case.actor, case.note, events, since, until,
        )
        for person in _people(alert)
    ]  # fmt: skip


def _people(alert: Alert) -> list[str]:
    return sorted({alert.principal, *(finding.principal for finding in alert.findings)} - {""})


def forgetting(principal: str, time: int, by: str, why: str) -> Control:
    """The control that lets a principal's usual begin anew; `time` in microseconds since the epoch."""
    return Control(stable_id("forget", principal, time), "forget", principal, time, by, why)


def packets(controls: Iterable[Control], partitions: int) -> Iterator[tuple[int, bytes]]:
    """(partition of audit.events, payload) of each control, in order."""
    for control in controls:
        yield partition_of(control.principal, partitions), encode(EventPacket("", [], [], controls=(control,)))


async def send(settings: Settings, controls: Sequence[Control]) -> None:
    """Puts controls on audit.events and waits until the broker has them.

    Raises:
        KafkaProblem, KafkaError: it cannot be reached.
    """
    if not controls:
        return
    partitions = (await ensure_topics(settings, [EVENTS]))[EVENTS]
    producer = AIOKafkaProducer(**client_options(settings), max_request_size=MAX_MESSAGE_BYTES)
    await producer.start()
    try:
        sent = [
            await producer.send(EVENTS, payload, partition=target) for target, payload in packets(controls, partitions)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
