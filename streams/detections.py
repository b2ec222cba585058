"""Everything people change while the program runs, as one value that is swapped whole between two batches."""

from __future__ import annotations

from dataclasses import dataclass

from audit.context import Context
from audit.finding import Version
from detectors.model import Model
from rules.compile import RuleSet


@dataclass(frozen=True, slots=True)
class Detections:
    """Rules, model and context of one batch; `version` names their hashes in every finding.

    `shadow` is a model that scores beside `model` and alerts nobody.
    `snapshot` will hold what many principals share (the peers' and the organisation's usual): nothing yet.
    """

    rules: RuleSet
    model: Model
    context: Context
    snapshot: None = None
    shadow: Model | None = None

    @property
    def version(self) -> Version:
        """The hashes a finding made under these detections carries."""
        return Version(self.rules.hash, self.model.hash, self.context.hash)
