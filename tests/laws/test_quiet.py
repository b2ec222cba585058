"""A change that nothing explains and no more: nobody is told, whatever the batch, until the rest deserves an alert."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from audit.event import AuditEvent, Principal, Resource
from streams.detections import Detections
from streams.replay import Run
from tests.laws.organisation import replayed, told
from tests.laws.test_explained import ALICE, BEGIN, CHANGE, MINUTE, USUAL, rebuild, under
from tests.laws.test_explained import quiet as only_forest


def grant(minutes: int) -> AuditEvent:
    """Alice lets bob into a group; there is a ticket, about something else."""
    return replace(
        USUAL, id=f"g{minutes}", time=BEGIN + minutes * MINUTE, source="okta", action="group.user_membership.add",
        actor=ALICE, target=Principal("bob", "Bob"), resource=Resource("UserGroup", "admins"), raw=b"{}",
    )  # fmt: skip


def life(detections: Detections, *more: AuditEvent, batch: int = 333) -> Run:
    """Of somebody new: nothing is strange yet."""
    return replayed([grant(1), grant(2), *more], detections, batch)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_batch_never_shows(batch: int) -> None:
    whole, run = life(only_forest(CHANGE)), life(only_forest(CHANGE), batch=batch)
    assert run.result.quiet == whole.result.quiet
    assert len(whole.result.quiet) == 1
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]
    assert {one.detection for one in whole.result.findings.values() if one.time >= BEGIN} >= {"change.unexplained"}


def test_it_is_an_alert_once_the_rest_deserves_one() -> None:
    run = life(under(CHANGE), rebuild(30, "strange"))
    (alert,) = [one for one in run.result.alerts.values() if one.time >= BEGIN and one.principal == "alice"]
    assert not alert.quiet
    assert "change.unexplained" in {finding.detection for finding in alert.findings}
    assert run.result.quiet == set()
