"""The authorization model beside the rules: what it says of a deed becomes a finding, at its first uses in a day.

In observe-only mode, and where so many principals use a permission that rather the model lacks it, nothing is said:
it is counted, and `auditwatch access report` shows it.
"""

from __future__ import annotations

from audit.finding import at_least
from rules.access import BESIDE_THE_POINT, access_of
from rules.access_finding import detection, finding_of, permission_code, severity_of
from rules.fields import View
from streams.deed import Deed
from streams.detections import Detections


def judge_access(deed: Deed, view: View, detections: Detections) -> None:
    """Adds to the deed what the declared model has against it."""
    context = detections.context
    if not context.declared.roles:
        return
    access = access_of(context)
    decision = access.decide(view.event, view.record)
    if decision.kind in BESIDE_THE_POINT:
        return
    code = permission_code(access, view.event, decision)
    fresh = deed.principal.uses(code, view.event.time)
    name = detection(decision)
    if context.declared.observe_only:
        deed.unheard += [(name, "observed")] if fresh else []
    elif code in detections.snapshot.gaps and decision.kind == "undeclared":
        deed.unheard += [(name, "gap")] if fresh else []
    else:
        severity = severity_of(access, view.event, decision)
        deed.grave = deed.grave or at_least(severity, "medium" if fresh else "high")
        deed.findings += [finding_of(access, view, decision, detections.version)] if fresh else []
