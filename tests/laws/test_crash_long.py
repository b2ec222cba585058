"""Law 3: a crash changes nothing. Any schedule of faults ends with the states and alerts of an undisturbed run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from audit.event import AuditEvent
from streams import packet, principal, processor
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
    st.integers(1, 20),  # messages
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

    def fresh(self, again: Random | None = None) -> Flow:
        flow = Flow(self.detections)
        for mine, store in zip(flow.stores, self.before.stores, strict=True):
            mine.restore(store.copy())
        flow.history = [[store.copy() for store in flow.stores]]
        flow.logs = [[log.copy() for log in logs] for logs in self.before.logs]
        flow.alerts = self.before.alerts.copy()
        flow.raw = self.before.raw
        flow.send(self.tail, again)
        return flow


@pytest.fixture(scope="module")
def seasoned(events: list[AuditEvent], detections: Detections) -> Iterator[Seasoned]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packet, "MAX_ITEMS", 3)  # so that one sending is many packets, any of which may fail
        patch.setattr(processor, "CACHED", 2)  # and states are read again and again
        patch.setattr(principal, "RECENT", 8)  # and ids alone do not tell what was sent twice
        yield Seasoned(events, with_threshold(detections, detections.model.threshold - 0.5))


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
    max_examples=400,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_schedule_of_faults_shows(seasoned: Seasoned, schedule: list[Op], seed: int) -> None:
    flow = seasoned.fresh(Random(seed))
    asyncio.run(_drive(flow, schedule, seed))
    _same(flow, seasoned.undisturbed)


def _same(flow: Flow, undisturbed: Flow) -> None:
    assert flow.said() == undisturbed.said()
    assert [store.values for store in flow.stores] == [store.values for store in undisturbed.stores]


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
    flow = seasoned.fresh(Random(5))
    asyncio.run(_drive(flow, schedule, 5))
    _same(flow, seasoned.undisturbed)


@pytest.mark.parametrize("steps", range(1, 6))
async def test_a_store_that_comes_back_older_under_a_worker_with_half_a_cache(seasoned: Seasoned, steps: int) -> None:
    """The half that is not cached is read from the older store: nothing made of such a mixture may be sent."""
    flow = seasoned.fresh()
    for _ in range(steps):
        await flow.step(0, SCORE, 0, 12)
    await flow.lose_memory(len(flow.history))
    await flow.step(0, SCORE, 0, 40)
    await flow.finish()
    _same(flow, seasoned.undisturbed)


def test_trouble_strikes_once() -> None:
    trouble = Trouble("after emit")
    assert not trouble.meets("before emit")
    assert trouble.meets("after emit")
    assert not trouble.meets("after emit")
