"""Temporary access: what is counted and told of it shows neither batches, order within the lateness, crashes nor
repetitions."""

from __future__ import annotations

import asyncio
from math import inf
from random import Random

import pytest

from audit.event import AuditEvent
from detectors.registry import default_model
from rules.access_use import AFTERWARDS
from rules.compile import RuleSet
from rules.correlation_section import LATENESS
from streams.detections import Detections
from streams.principal import granted_in, memory_key
from tests.laws.flow import SCORE, Flow
from tests.laws.organisation import replayed, told, with_threshold
from tests.rules.accessing import DAY, NOON, call, context

HOUR = DAY // 24
MINUTE = HOUR // 60
ROOT = {"name": "root", "system": "aws", "actions": ["*"], "resources": ["*"], "break_glass": True}


def grant(user: str, start: str, expires: str) -> dict[str, str]:
    return {"user": user, "system": "aws", "role": "aws-admin", "granted_by": "bob", "start": start, "expires": expires}


@pytest.fixture(scope="module")
def under(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    known = context(
        tmp_path_factory.mktemp("granted"),
        plus_users=[{"id": "hal", "roles": ["root"]}],
        plus_roles=[ROOT],
        temporary_grants=[
            grant("ada", "2026-03-04T09:00:00Z", "2026-03-04T13:00:00Z"),
            grant("eve", "2026-03-04T10:00:00Z", "2026-03-04T12:00:00Z"),
            grant("eve", "2026-03-04T16:00:00Z", "2026-03-04T17:00:00Z"),
        ],
    )
    return with_threshold(Detections(RuleSet([]), default_model(), known), inf)


def deeds() -> list[AuditEvent]:
    """Two days, a deed each three minutes, of two who are granted something and of one with break-glass."""
    made = []
    for step in range(-80, 900):
        time, name = NOON + step * 3 * MINUTE, f"d{step}"
        who = ("ada", "eve", "hal")[step % 3]
        action = "iam:CreateUser" if step % 17 == 0 else "sqs:GetQueue"
        outcome = "failure" if step % 11 == 0 else "success"
        made.append(call(who, action, f"q{step % 41}", id=name, time=time, outcome=outcome)[0])
    return made


def test_there_is_something_to_tell(under: Detections) -> None:
    said = [alert.summary for alert in replayed(deeds(), under).result.summaries.values()]
    assert len(said) == 5
    assert sum("break-glass" in one for one in said) == 2
    assert sum("did not work" in one and "within a quarter of an hour after its end" in one for one in said) == 3


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batch_never_shows(under: Detections, batch: int) -> None:
    whole, run = replayed(deeds(), under, 33), replayed(deeds(), under, batch)
    assert run.result.summaries == whole.result.summaries
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]


@pytest.mark.parametrize("seed", range(4))
def test_order_within_the_lateness_never_shows(under: Detections, seed: int) -> None:
    random = Random(seed)
    shuffled = sorted(deeds(), key=lambda event: event.time + random.randrange(LATENESS))
    assert shuffled != deeds()
    assert replayed(shuffled, under).result.summaries == replayed(deeds(), under).result.summaries


def test_repetitions_never_show(under: Detections) -> None:
    twice = [event for event in deeds() for _ in range(2)]
    assert replayed(twice, under).result.summaries == replayed(deeds(), under).result.summaries


@pytest.mark.parametrize("moment", ["before emit", "after emit", "before write", "answer lost"])
def test_crashes_never_show(under: Detections, moment: str) -> None:
    async def counted(troubled: bool) -> dict[str, object]:
        flow = Flow(under)
        flow.send(deeds())
        for step in range(40):
            flow.trouble.moment = moment if troubled and step % 3 == 0 else ""
            await flow.step(0, SCORE, step % 2, 5, back=step % 4)
        await flow.finish()
        values = flow.stores[SCORE].values
        return {key: granted_in(value) for (_, key), value in values.items() if key.startswith(memory_key(""))}

    assert asyncio.run(counted(troubled=True)) == asyncio.run(counted(troubled=False))


def test_the_summary_waits_until_nothing_of_it_can_be_late(under: Detections) -> None:
    """A grant that ended at 13:00 is summed up by the first event from 13:20 on, and holds what came in by then."""
    end = NOON + HOUR
    events = [call("ada", "iam:CreateUser", "x", id="1", time=end - MINUTE)[0]]
    events += [call("bob", id="2", time=end + AFTERWARDS + LATENESS - 1)[0]]
    events += [call("ada", "iam:CreateUser", "y", id="3", time=end)[0]]
    events += [call("bob", id="4", time=end + AFTERWARDS + LATENESS)[0]]
    events += [call("ada", "iam:CreateUser", "z", id="5", time=end)[0]]  # later than lateness: it is not corrected
    (summary,) = [
        alert.summary for alert in replayed(events, under).result.summaries.values() if alert.principal == "ada"
    ]
    assert "2 times" in summary
