"""The authorization model beside the rules: what it says of a deed becomes a finding, at its first uses in a day.

In observe-only mode, and where so many principals use a permission that rather the model lacks it, nothing is said:
it is counted, as are later uses in a day, and `auditwatch access report` shows it. What is new beyond the many things
a principal may be told of in a day is counted too, unless it is grave: much that is harmless hides nothing.
"""

from __future__ import annotations

from audit.finding import at_least
from rules.access import BESIDE_THE_POINT, access_of
from rules.access_finding import detection, finding_of, may_be_gap, permission_code, severity_of
from rules.access_use import note_use
from rules.separation import duties_of
from rules.separation_finding import USED, used_code, used_finding, used_pair
from rules.view import View
from streams.deed import Deed
from streams.detections import Detections
from streams.stage import Unheard


def judge_access(deed: Deed, view: View, detections: Detections) -> None:
    """Adds to the deed what the declared model has against it."""
    context = detections.context
    if not context.declared.roles:
        return
    access = access_of(context)
    decision = access.decide(view.event, view.record)
    if view.event.actor.id in access.grants or decision.kind == "break_glass":
        principal = deed.principal
        principal.granted = note_use(principal.granted, access, view.event, view.record, decision)
    if context.declared.separation_of_duties and decision.kind in ("permitted", "break_glass"):
        _judge_duties(deed, view, detections)
    if decision.kind in BESIDE_THE_POINT:
        return
    code = permission_code(access, view.event, decision)
    use = deed.principal.uses(code, view.event.time)
    severity = severity_of(access, view.event, decision)
    why: Unheard | None = None if use == "first" or (use == "surplus" and severity == "high") else use
    if context.declared.observe_only:
        why = why or "observed"
    elif code in detections.snapshot.gaps and may_be_gap(decision, severity):
        why = why or "gap"
    else:
        deed.grave = deed.grave or at_least(severity, "high" if why else "medium")
    if why:
        deed.unheard.append((detection(decision), why))
    else:
        deed.findings.append(finding_of(access, view, decision, detections.version))


def _judge_duties(deed: Deed, view: View, detections: Detections) -> None:
    """Adds to the deed that somebody who holds two duties that are kept apart used one: once a separation and day, and
    once more where that is graver."""
    context = detections.context
    pair = used_pair(view.event, view.record, context)
    if pair is None:
        return
    if duties_of(context).exemption(pair.separation, pair.human, view.event.time):
        deed.unheard.append((USED, "excused"))
        return
    found = used_finding(view.event, view.record, pair, context, detections.version)
    use = deed.principal.uses(used_code(pair, found.severity), view.event.time)
    why: Unheard | None = None if use == "first" or (use == "surplus" and found.severity == "high") else use
    if context.declared.observe_only:
        why = why or "observed"
    if why:
        deed.unheard.append((USED, why))
    else:
        deed.grave = True
        deed.findings.append(found)
