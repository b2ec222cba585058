"""Duties kept apart: what is told of them shows neither batches nor, within the lateness, order."""

from __future__ import annotations

from math import inf
from random import Random

import pytest

from audit.event import AuditEvent
from detectors.registry import default_model
from rules.compile import RuleSet
from rules.correlation_section import LATENESS
from streams.detections import Detections
from tests.laws.organisation import replayed, told, with_threshold
from tests.rules.accessing import call, sso
from tests.rules.dutiful import HOUR, NOON, change, company, grant, joined

KNOWN = company(
    role_changes=(change(system="aws"),), temporary_grants=(grant("bot"), grant("bob"), grant("bob", "enter"))
)
UNDER = with_threshold(Detections(RuleSet([]), default_model(), KNOWN), inf)


def deeds() -> list[AuditEvent]:
    """Eight hours, a deed a minute, of two people and a program who hold both, and of one who is given the second."""
    made = []
    for step in range(-240, 240):
        time, name = NOON + step * HOUR // 60, f"d{step}"
        seen = (
            sso("ada", "Paydesk", id=name, time=time),
            call("ada", "s3:PutObject", "acorn-payout-gold" if step % 7 else "acorn-payout", id=name, time=time),
            sso("bot", "Release", id=name, time=time, kind="service"),
            sso("bob", "Release" if step % 2 else "Paydesk", id=name, time=time),
            joined("bot" if step % 2 else "ada", id=name, time=time),
        )
        made.append(seen[step % len(seen)][0])
    return made


def test_there_is_something_to_tell() -> None:
    found = replayed(deeds(), UNDER).result.findings.values()
    mine = [one for one in found if one.detection.endswith(".separation")]
    assert {(one.detection, one.severity) for one in mine} == {
        ("access.separation", "medium"), ("access.separation", "high"), ("change.separation", "high"),
    }  # fmt: skip
    assert {one.principal for one in mine} == {"ada", "bob", "bot", "helper"}


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batch_never_shows(batch: int) -> None:
    whole, run = replayed(deeds(), UNDER, 33), replayed(deeds(), UNDER, batch)
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]


@pytest.mark.parametrize("seed", range(4))
def test_order_within_the_lateness_never_shows(seed: int) -> None:
    random = Random(seed)
    shuffled = sorted(deeds(), key=lambda event: event.time + random.randrange(LATENESS))
    assert shuffled != deeds()
    ordered, run = replayed(deeds(), UNDER), replayed(shuffled, UNDER)
    assert run.result.findings == ordered.result.findings
    assert run.result.alerts == ordered.result.alerts
