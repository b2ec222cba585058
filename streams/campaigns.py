"""What goes on for days: each event, once met, counts in its principal's slow detectors.

Before its strangeness is known, which changes nothing here: what an alarm tells of, and what goes on with it on this
day and the next, is held like anything else that is suspected, and for that the fold must know it beforehand.
"""

from __future__ import annotations

import msgspec

from detectors.slow import slow_finding, sorts_of
from rules.paper import NONE
from streams.deed import Deed, weighed
from streams.detections import Detections


def watch(deed: Deed, detections: Detections) -> None:
    """Adds the findings that the deed completes; nothing is kept of whoever nobody authenticated.

    Nor of deeds that paper explains: what was approved is no part of a campaign. Paper is asked of nothing else but
    what would count. That somebody's role is new makes an alarm less strange; any other partial fit is about one deed.
    """
    event = deed.event
    if event.actor.identity == "anonymous":
        return
    sorts = sorts_of(event, deed.new, deed.observation.privileged)
    if sorts and deed.ask_paper(detections.context).explained:
        return
    seen = deed.principal.slow.see(event, sorts)
    deed.goes_on = seen.goes_on
    fit = deed.fit if deed.fit and "new" in deed.fit.kinds else NONE
    for alarm in seen.alarms:
        finding = slow_finding(alarm, event, detections.context)
        deed.findings.append(weighed(msgspec.structs.replace(finding, version=detections.version), fit))
