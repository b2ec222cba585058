"""Law 2 with snapshots: they are built where event time passes midnight, whatever the batch, and they matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.context import Context
from audit.context_schema import Declared, Person
from audit.event import AuditEvent
from detectors.budget import DAY
from detectors.registry import default_model
from rules import sigma
from streams.detections import Detections
from streams.replay import Run
from tests.detectors.company import MONDAY, company
from tests.laws.organisation import replayed, told, with_threshold

RULES = """title: An action that peers do not know
id: 11111111-1111-4111-8111-111111111111
level: high
logsource: {product: auditwatch}
detection:
  new: {first_seen.action: true}
  known: {team_share.action|gte: 0.5}
  condition: new and not known
---
title: An action that peers know
id: 22222222-2222-4222-8222-222222222222
level: low
logsource: {product: auditwatch}
detection:
  new: {first_seen.action: true, team_share.action|gte: 0.5}
  condition: new
"""
KNOWN, UNKNOWN = "22222222-2222-4222-8222-222222222222", "11111111-1111-4111-8111-111111111111"
USERS, DAYS = 9, 11


@pytest.fixture(scope="module")
def events() -> list[AuditEvent]:
    return company(users=USERS, days=DAYS, seed=5)


@pytest.fixture(scope="module")
def detections(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    file: Path = tmp_path_factory.mktemp("rules") / "rules.yml"
    file.write_text(RULES)
    people = tuple(Person(id=f"user{number}", team="blue" if number < 7 else "red") for number in range(USERS))
    detections = Detections(sigma.load([file]), default_model(), Context(Declared(users=people)))
    return with_threshold(detections, 2.0)


@pytest.fixture(scope="module")
def whole(events: list[AuditEvent], detections: Detections) -> Run:
    return replayed(events, detections, 1000, budget=1)


def days_of(run: Run, rule: str) -> list[int]:
    found = [finding.time for finding in run.result.findings.values() if finding.detection == rule]
    return sorted({time // DAY - MONDAY // 86_400 for time in found})


def test_peers_speak_once_enough_of_them_have_a_history(whole: Run) -> None:
    assert days_of(whole, KNOWN)
    assert min(days_of(whole, KNOWN)) >= 4
    assert 0 in days_of(whole, UNKNOWN)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_size_of_batches_never_shows(
    whole: Run, events: list[AuditEvent], detections: Detections, batch: int
) -> None:
    run = replayed(events, detections, batch, budget=1)
    assert told(run.result) == told(whole.result)
    assert [store.values for store in run.stores] == [store.values for store in whole.stores]
    assert run.detections.snapshot.pack() == whole.detections.snapshot.pack()


def test_the_last_snapshot_is_of_the_last_midnight(whole: Run, events: list[AuditEvent]) -> None:
    snapshot = whole.detections.snapshot
    assert snapshot.made == events[-1].time // DAY * DAY
    assert snapshot.groups.keys() == {"team:blue", "kind:human", "org"}


def test_the_budget_raises_the_bar_and_off_leaves_everything_as_it_was(
    whole: Run, events: list[AuditEvent], detections: Detections
) -> None:
    assert replayed(events, detections, 300, snapshots=False).detections is detections
    loose = replayed(events, detections, 300, budget=1_000)
    assert loose.detections.snapshot.bar is None

    def anomalies(run: Run) -> set[str]:
        return {name for name, finding in run.result.findings.items() if finding.kind == "anomaly"}

    assert whole.detections.snapshot.bar is not None
    assert whole.detections.model.threshold == max(detections.model.threshold, whole.detections.snapshot.bar)
    assert len(anomalies(whole)) < len(anomalies(loose))
