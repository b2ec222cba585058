"""Law 3: a crash changes nothing. Any schedule of faults ends with the states and alerts of an undisturbed run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from audit.event import AuditEvent
from streams.detections import Detections
from tests.laws.flow import CORRELATE, PARTITIONS, SCORE, Flow, Trouble
from tests.laws.organisation import with_threshold

MOMENTS = ("", "before emit", "part of emit", "after emit", "before write", "answer lost", "restart", "memory", "look")
TAIL = 700
"""Events the faults fall on; those before season the baselines once."""

Op = tuple[int, int, int, int, int, str]
ops = st.tuples(
    st.integers(0, 1),  # worker
    st.sampled_from((SCORE, CORRELATE)),
    st.integers(0, PARTITIONS - 1),
    st.integers(1, 8),  # messages
    st.sampled_from((0, 0, 0, 1, 5)),  # offsets delivered again
    st.sampled_from(MOMENTS),
)


class Seasoned:
    """A flow whose baselines know the people, to be copied; `undisturbed` is what should come of the rest."""

    def __init__(self, events: Sequence[AuditEvent], detections: Detections) -> None:
        self.detections = detections
        self.tail = events[-TAIL:]
        self.before = Flow(detections)
        self.before.send(events[:-TAIL])
        asyncio.run(self.before.finish())
        self.undisturbed = self.fresh()
        asyncio.run(self.undisturbed.finish())

    def fresh(self) -> Flow:
        flow = Flow(self.detections)
        for mine, store in zip(flow.stores, self.before.stores, strict=True):
            mine.restore(store.copy())
        flow.history = [[store.copy() for store in flow.stores]]
        flow.logs = [[log.copy() for log in logs] for logs in self.before.logs]
        flow.alerts = self.before.alerts.copy()
        flow.raw = self.before.raw
        flow.send(self.tail)
        return flow


@pytest.fixture(scope="module")
def seasoned(events: list[AuditEvent], detections: Detections) -> Seasoned:
    return Seasoned(events, with_threshold(detections, detections.model.threshold - 0.5))


def test_the_undisturbed_run_has_something_to_lose(seasoned: Seasoned) -> None:
    flow = seasoned.undisturbed
    fresh = [finding for finding in flow.findings() if finding.time >= seasoned.tail[0].time]
    assert {"rule", "anomaly", "correlation"} <= {finding.kind for finding in fresh}
    assert any(finding.kind == "anomaly" and finding.severity != "low" for finding in fresh)
    assert len(flow.said()[1]) >= 5
    assert flow.stores[SCORE].values != seasoned.before.stores[SCORE].values
    assert not flow.faults


@given(schedule=st.lists(ops, min_size=10, max_size=60), seed=st.integers(0, 2**32))
@settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_schedule_of_faults_shows(seasoned: Seasoned, schedule: list[Op], seed: int) -> None:
    flow = seasoned.fresh()
    asyncio.run(_drive(flow, schedule, seed))
    expected = seasoned.undisturbed
    assert flow.said() == expected.said()
    assert [store.values for store in flow.stores] == [store.values for store in expected.stores]
    assert flow.stores[SCORE].marks == expected.stores[SCORE].marks


async def _drive(flow: Flow, schedule: list[Op], seed: int) -> None:
    random = Random(seed)
    for worker, stage, partition, count, back, moment in schedule:
        flow.trouble.moment, flow.trouble.random = moment, random
        if moment == "restart":
            flow.workers[worker] = flow.worker()
        elif moment == "memory":
            await flow.lose_memory(random.randint(1, 12))
        elif moment == "look":
            await flow.look(worker)
        await flow.step(worker, stage, partition, count, back)
    await flow.finish()


@pytest.mark.parametrize("moment", MOMENTS[1:6])
def test_a_fault_at_every_step_of_a_stage(seasoned: Seasoned, moment: str) -> None:
    schedule = [
        (0, stage, partition, 4, 0, trouble)
        for _ in range(12)
        for stage in (SCORE, CORRELATE)
        for partition in range(PARTITIONS)
        for trouble in (moment, "")
    ]
    flow = seasoned.fresh()
    asyncio.run(_drive(flow, schedule, 5))
    assert flow.said() == seasoned.undisturbed.said()
    assert [store.values for store in flow.stores] == [store.values for store in seasoned.undisturbed.stores]


def test_trouble_strikes_once() -> None:
    trouble = Trouble("after emit")
    assert not trouble.meets("before emit")
    assert trouble.meets("after emit")
    assert not trouble.meets("after emit")
