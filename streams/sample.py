"""A simulated organisation on disk and what is needed to replay it: what notebooks and evaluations start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from audit.event import AuditEvent
from streams.deed import Deed
from streams.detections import Detections
from streams.load import load_detections
from streams.replay import Replay, Source, replay
from streams.simulate.model import DAY, SOURCES, Attack
from streams.simulate.organisation import Organisation, simulate
from streams.simulate.output import write


class Sample(NamedTuple):
    """Where an organisation's logs are, what it declares, and what really happened in it."""

    folder: Path
    organisation: Organisation

    @property
    def sources(self) -> list[Source]:
        """Its logs."""
        return [Source(source, str(self.folder / f"{source}.jsonl.gz")) for source in SOURCES]

    @property
    def attacks(self) -> Sequence[Attack]:
        """The campaigns in it."""
        return self.organisation.attacks

    def detections(self, rules: Sequence[Path] = (), models: Path | None = None) -> Detections:
        """Rules (the library where none are named), model (the shipped one without a registry), its own context."""
        return load_detections(self.folder / "context.yml", rules, models)

    def replay(
        self,
        detections: Detections,
        on_events: Callable[[Sequence[AuditEvent]], None] | None = None,
        witness: Callable[[Sequence[Deed]], None] | None = None,
    ) -> Replay:
        """Its logs through the worker's own processor; see `streams.replay.replay`."""
        plan = self.organisation.plan
        arrival = plan.start + (plan.days + 1) * DAY
        return replay(self.sources, detections, arrival=arrival, on_events=on_events, witness=witness)


def sample(folder: Path, users: int, days: int, seed: int) -> Sample:
    """Simulates an organisation and writes its logs, context and labels into a folder.

    Raises:
        OccupiedError: the folder holds something else.
    """
    organisation = simulate(users, days, seed)
    write(organisation, folder)
    return Sample(folder, organisation)
