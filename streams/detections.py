"""Everything people change while the program runs, as one value that is swapped whole between two batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

from audit.context import Context
from audit.finding import Version
from detectors.model import Model
from detectors.peers import NONE, Snapshot
from rules.compile import RuleSet


@dataclass(frozen=True, slots=True)
class Detections:
    """Rules, model and context of one batch; `version` names their hashes in every finding.

    `shadow` is a model that scores beside `model` and alerts nobody.
    `snapshot` is what many principals share: the peers' and the organisation's usual, and the bar of the alert budget.
    """

    rules: RuleSet
    model: Model
    context: Context
    snapshot: Snapshot = NONE
    shadow: Model | None = None

    @property
    def version(self) -> Version:
        """The hashes a finding made under these detections carries."""
        return Version(self.rules.hash, self.model.hash, self.context.hash)

    def with_snapshot(self, snapshot: Snapshot) -> Detections:
        """The same under another snapshot, whose bar both models heed."""
        return replace(
            self,
            snapshot=snapshot,
            model=self.model.raised(snapshot.bar),
            shadow=self.shadow and self.shadow.raised(snapshot.bar),
        )
