"""What waits for time to pass - absence, "less than", averages - obeys the laws, too: batches, order and crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from random import Random

import msgspec
import pytest

from audit.context import EMPTY
from audit.event import AuditEvent, Principal
from audit.finding import Finding
from detectors.registry import default_model
from rules import sigma
from rules.correlation_section import LATENESS
from streams.clock import Clock, Reading
from streams.detections import Detections
from streams.replay import Run
from streams.ticking import Ticking
from tests.laws.flow import CORRELATE, PARTITIONS, Crash, Flow
from tests.laws.organisation import replayed, told, with_threshold

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 1_772_442_000 * SECOND
ACTIONS = ("a", "b", "c")

BASE = """---
title: Action {name}
id: {name8}-0000-4000-8000-000000000000
name: {name}
level: low
logsource: {{product: auditwatch}}
detection: {{s: {{action: {name}}}, condition: s}}
"""
WAITING = """---
title: Few a
id: 10000000-0000-4000-8000-000000000000
level: high
correlation: {type: event_count, rules: [a], group-by: [actor.id], timespan: 20m, condition: {lt: 3}}
---
title: a without b
id: 20000000-0000-4000-8000-000000000000
level: high
correlation: {type: event_count, rules: [a], group-by: [source_ip], timespan: 5m, condition: {gte: 1}}
auditwatch: {absent: b, within: 15m}
---
title: c not followed
id: 30000000-0000-4000-8000-000000000000
level: high
correlation: {type: temporal, group-by: [actor.id], timespan: 10m, condition: c and not a}
---
title: Large on average
id: 40000000-0000-4000-8000-000000000000
level: high
correlation: {type: value_avg, rules: [a, c], group-by: [actor.id], timespan: 10m, condition: {field: raw.n, gte: 6}}
---
title: Much in a day
id: 50000000-0000-4000-8000-000000000000
level: high
correlation:
  {type: value_sum, rules: [a, b, c], group-by: [source_ip], timespan: 1d, condition: {field: raw.n, gt: 400}}
---
title: Some b
id: 60000000-0000-4000-8000-000000000000
name: some_b
correlation: {type: event_count, rules: [b], group-by: [actor.id, source_ip], timespan: 10m, condition: {lte: 2}}
---
title: Some b, then c
id: 70000000-0000-4000-8000-000000000000
level: high
correlation: {type: temporal_ordered, rules: [some_b, c], group-by: [source_ip], timespan: 1h}
"""


@pytest.fixture(scope="module")
def detections(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    path: Path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text("".join(BASE.format(name=name, name8=name * 8) for name in ACTIONS) + WAITING)
    return with_threshold(Detections(sigma.load([path]), default_model(), EMPTY), inf)


def events_of(seed: int, count: int = 300) -> list[AuditEvent]:
    """Ten hours of five people at three addresses, in spells, from two sources."""
    random = Random(seed)
    times = sorted(
        START + random.randrange(10) * HOUR + int(random.expovariate(1 / 600) * SECOND) for _ in range(count)
    )
    return [
        AuditEvent(
            id=f"e{at}",
            time=time,
            source=random.choice(("okta", "github")),
            action=random.choice(ACTIONS),
            outcome="success",
            actor=Principal(who := f"p{random.randrange(5)}", who),
            source_ip=f"198.51.100.{random.randrange(3)}",
            raw=msgspec.json.encode({"n": random.randrange(10)}),
        )
        for at, time in enumerate(times)
    ]


def waited(run: Run) -> dict[str, Finding]:
    return {name: one for name, one in run.result.findings.items() if one.kind == "correlation"}


def test_every_rule_has_something_to_say(detections: Detections) -> None:
    run = replayed(events_of(1), detections, 1000)
    titles = {finding.title for finding in waited(run).values()}
    assert titles == {one.title for one in detections.rules.correlations if not one.silent}
    assert not run.result.faults


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_size_of_batches_never_shows(detections: Detections, seed: int, batch: int) -> None:
    events = events_of(seed)
    whole, run = replayed(events, detections, 1000), replayed(events, detections, batch)
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]


@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_the_size_of_batches_never_shows_even_beyond_the_lateness(detections: Detections, batch: int) -> None:
    random = Random(7)
    events = sorted(events_of(7), key=lambda event: event.time + random.randrange(2 * HOUR))
    assert told(replayed(events, detections, batch).result) == told(replayed(events, detections, 33).result)


@pytest.mark.parametrize("seed", range(8))
def test_order_within_the_lateness_never_shows(detections: Detections, seed: int) -> None:
    events, random = events_of(seed), Random(seed)
    late = sorted(events, key=lambda event: event.time + random.randrange(LATENESS))
    ordered, run = replayed(events, detections), replayed(late, detections)
    assert late != events
    assert waited(run) == waited(ordered)
    assert run.result.alerts == ordered.result.alerts


def test_a_source_that_is_behind_does_not_show(detections: Detections) -> None:
    known = [
        msgspec.structs.replace(events_of(3)[0], source=source, id=source, action="x", time=START - 2 * HOUR)
        for source in ("okta", "github")
    ]
    events = [*known, *events_of(3)]
    late = sorted(events, key=lambda event: event.time + (40 * MINUTE if event.source == "github" else 0))
    assert waited(replayed(late, detections)) == waited(replayed(events, detections))


@pytest.mark.parametrize("seed", range(12))
def test_a_worker_that_crashes_and_is_told_the_time_says_what_replay_says(detections: Detections, seed: int) -> None:
    events = events_of(seed)
    flow = Flow(detections)
    asyncio.run(live(flow, events, Random(seed)))
    expected = replayed(events, detections).result
    _, alerts = flow.said()
    assert alerts == expected.alerts
    assert not flow.faults


async def live(flow: Flow, events: Sequence[AuditEvent], random: Random) -> None:
    """Events come in pieces; when both stages have come to the end of what there is, a worker is told the time."""
    clock = Clock()
    for piece in pieces(events, random):
        flow.send(piece)
        clock.see(piece)
        for stage in range(2):
            for partition in range(PARTITIONS):
                while await flow.step(random.randrange(2), stage, partition, 50):
                    pass
        for _ in range(random.randrange(3)):
            flow.trouble.random = random
            flow.trouble.moment = random.choice(
                ("", "before emit", "part of emit", "after emit", "before write", "answer lost")
            )
            await tick(flow, random.randrange(2), clock.read())
            flow.trouble.moment = ""
            for worker in range(2):
                await flow.look(worker)
    await flow.finish()
    await tick(flow, 0, clock.read().closed())


def pieces(events: Sequence[AuditEvent], random: Random) -> Iterator[Sequence[AuditEvent]]:
    at = 0
    while at < len(events):
        size = random.randint(1, 40)
        yield events[at : at + size]
        at += size


async def tick(flow: Flow, worker: int, now: Reading) -> None:
    processor = flow.workers[worker][CORRELATE]
    assert isinstance(processor, Ticking)
    for partition in range(PARTITIONS):
        if partition not in processor.owned and await processor.open(partition) is None:
            processor.begin(partition, "a", 0)
    try:
        await processor.tick(now, flow.detections)
    except Crash:
        assert len(processor.owned) < PARTITIONS
