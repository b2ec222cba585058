"""What the laws are tried on: a simulated week of ten people under attack, as events and as files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from audit.context import load_context
from audit.event import AuditEvent
from detectors.model import Model
from detectors.registry import default_model
from rules import sigma
from streams.detections import Detections
from streams.replay import BUDGET, Replay, Run, Source, events_of
from streams.simulate.model import SOURCES
from streams.simulate.organisation import simulate
from streams.simulate.output import write

ARRIVAL = 2_000_000_000_000_000
DAYS, PEACEFUL = 6, 4
"""Attacks come when the baselines are older than three days: a younger one accuses nobody."""


def write_organisation(folder: Path) -> list[Source]:
    """The raw logs of the organisation in a folder (with its context.yml), as sources of a replay."""
    write(simulate(users=10, days=DAYS, seed=16, attack_after=PEACEFUL), folder)
    return [Source(name, str(folder / f"{name}.jsonl.gz")) for name in SOURCES]


def detections_of(folder: Path) -> Detections:
    """The library's rules, the default model and the organisation's context."""
    return Detections(sigma.load([sigma.library()]), default_model(), load_context(folder / "context.yml"))


def humans(sources: Sequence[Source], detections: Detections) -> list[AuditEvent]:
    """What people (and whoever tried to be one) did, without the thousands of events of service accounts."""
    events = events_of(sources, detections.context, ARRIVAL, [])
    return [event for event in events if event.actor.kind != "service"]


def with_threshold(detections: Detections, threshold: float) -> Detections:
    """The same detections with a model that alerts from another strangeness on (inf: never)."""
    model = Model(detections.model.forest, replace(detections.model.card, threshold=threshold))
    return Detections(detections.rules, model, detections.context)


def replayed(
    events: Sequence[AuditEvent],
    detections: Detections,
    batch: int = 200,
    snapshots: bool = True,
    budget: float = BUDGET,
) -> Run:
    """A finished run over events."""
    run = Run(detections, keep_scores=True, snapshots=snapshots, budget=budget)

    async def drive() -> None:
        await run.open()
        for start in range(0, len(events), batch):
            await run.feed(events[start : start + batch])
        await run.close()

    asyncio.run(drive())
    return run


def told(replay: Replay) -> tuple[object, ...]:
    """Everything a replay says to the outside."""
    return replay.alerts, replay.findings, replay.scores, replay.repeats, len(replay.faults)
