"""What goes on for days: each event, once its strangeness is settled, counts in its principal's slow detectors."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from detectors.slow import slow_finding
from streams.deed import Deed
from streams.detections import Detections


def watch(deeds: Sequence[Deed], detections: Detections) -> None:
    """Adds the findings that the deeds, in their order, complete; nothing is kept of whoever nobody authenticated."""
    for deed in deeds:
        event = deed.event
        if event.actor.identity == "anonymous":
            continue
        suspected = deed.grave or deed.repeats or any(finding.kind == "anomaly" for finding in deed.findings)
        strangeness = 0.0 if suspected else deed.strangeness
        for alarm in deed.principal.slow.see(event, deed.new, deed.observation.privileged, strangeness):
            deed.findings.append(msgspec.structs.replace(slow_finding(alarm, event), version=detections.version))
