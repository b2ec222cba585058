"""Law 4: order within the lateness never shows in rules, correlations and risk; how much it moves scores is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import inf
from random import Random
from statistics import quantiles

import pytest

from audit.event import AuditEvent
from rules.correlation_section import LATENESS
from streams.detections import Detections
from streams.replay import Run
from tests.laws.organisation import replayed, with_threshold

log = logging.getLogger(__name__)


def late(events: Sequence[AuditEvent], seed: int) -> list[AuditEvent]:
    """The events as they come in when each is up to LATENESS late."""
    random = Random(seed)
    return sorted(events, key=lambda event: event.time + random.randrange(LATENESS))


@pytest.fixture(scope="module")
def quiet(detections: Detections) -> Detections:
    return with_threshold(detections, inf)


@pytest.fixture(scope="module")
def ordered(events: list[AuditEvent], quiet: Detections) -> Run:
    return replayed(events, quiet)


@pytest.mark.parametrize(("seed", "batch"), [(0, 200), (1, 7), (2, 1000), (3, 40)])
def test_order_within_the_lateness_never_shows(
    ordered: Run, events: list[AuditEvent], quiet: Detections, seed: int, batch: int
) -> None:
    shuffled = late(events, seed)
    assert shuffled != events
    run = replayed(shuffled, quiet, batch)
    assert {finding.kind for finding in ordered.result.findings.values()} == {"rule", "correlation", "access"}
    assert run.result.findings == ordered.result.findings
    assert run.result.alerts == ordered.result.alerts


def test_how_much_order_moves_scores(events: list[AuditEvent], detections: Detections) -> None:
    """The baseline is an ordered fold: this is measured, and far from promised."""
    first, second = [dict(replayed(each, detections).result.scores) for each in (events, late(events, 1))]
    moved = [abs(score - second[name]) for name, score in first.items()]
    median, high = quantiles(moved, n=100)[49], quantiles(moved, n=100)[94]
    flipped = sum((first[name] >= 2.5) != (second[name] >= 2.5) for name in first)
    log.info("scores moved: median %.3f, p95 %.3f, max %.3f; %d crossed 2.5", median, high, max(moved), flipped)
    assert first.keys() == second.keys()
    assert median < 0.2
