"""All that an explanation may draw on."""

from __future__ import annotations

import msgspec

from audit.context import EMPTY, Context
from detectors.baseline import Baseline
from detectors.names import Names
from detectors.peers import NONE, Snapshot


class Known(msgspec.Struct, frozen=True):
    """What was known of a principal when its event was judged, and of the company."""

    baseline: Baseline
    names: Names = {}
    context: Context = EMPTY
    snapshot: Snapshot = NONE
