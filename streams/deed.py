"""One event on its way through score, with what is said of it so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from audit.context import Context
from audit.event import AuditEvent
from audit.finding import RISK, SEVERITIES, Finding
from detectors.features import Groups, Observation
from rules.correlation import Match
from rules.paper import Fit, papers_of
from rules.separation_finding import BEYOND_PAPER
from streams.principal import Held, Principal, event_code
from streams.stage import Arrival, Unheard


class Deed:
    """One event on its way through score.

    `new` says what of it its principal was never seen with (`Terms.meet`); `grave` that a rule suspects it, whatever
    its strangeness; `goes_on` that it belongs to a slow campaign that was told; `unheard` names the rules that matched
    and said nothing, with why: "shadow", "excused" or "explained". `groups` are the peers it is compared with;
    `repeats` says that what is strange about it was told already; `held` is what of it waits for a verdict; `fit` is
    what declared paper says of it, None until somebody asks.
    """

    __slots__ = (
        "arrival",
        "event",
        "features",
        "findings",
        "fit",
        "goes_on",
        "grave",
        "groups",
        "held",
        "matches",
        "new",
        "observation",
        "principal",
        "repeats",
        "strangeness",
        "unheard",
        "young",
    )

    def __init__(
        self, arrival: Arrival[AuditEvent], principal: Principal, observation: Observation, groups: Groups = ()
    ) -> None:
        self.arrival = arrival
        self.event = arrival.item
        self.principal = principal
        self.observation = observation
        self.groups = groups
        self.findings: list[Finding] = []
        self.matches: list[Match] = []
        self.unheard: list[tuple[str, Unheard]] = []
        self.new = 0
        self.grave = False
        self.goes_on = False
        self.strangeness = 0.0
        self.features: list[float] = []
        self.young = False
        self.repeats = False
        self.held: Held | None = None
        self.fit: Fit | None = None

    @property
    def signals(self) -> int:
        """How many signals it sends, if all fit."""
        return len(self.findings) + len(self.matches)

    @property
    def explained(self) -> bool:
        """Whether declared paper explains it, as far as anybody asked, and nothing is said of it that none explains."""
        if self.fit is None or not self.fit.explained:
            return False
        return not any(finding.detection in BEYOND_PAPER for finding in self.findings)

    def ask_paper(self, context: Context, record: Mapping[str, Any] | None = None) -> Fit:
        """What declared paper says of it: looked up once, and only for what is under suspicion."""
        if self.fit is None:
            self.fit = papers_of(context).explain(self.event, record)
        return self.fit

    @property
    def waits(self) -> bool:
        """Whether it is held however strange it is."""
        return self.grave or self.goes_on

    def row(self) -> list[float]:
        """Its features against its principal's usual at this moment; the last ones asked for are kept."""
        self.features = self.principal.row(self.observation, self.event.time, self.groups)
        self.young = self.principal.baseline.young
        return self.features

    def take(self, suspected: bool) -> None:
        """Into its principal's usual, or held if a rule, a slow campaign or its strangeness makes it suspect."""
        if suspected or self.waits:
            code = event_code(self.event.id)
            self.held = self.principal.hold(self.observation, self.event.time, teaches=not self.grave, event=code)
        else:
            self.held = None
            self.principal.learn(self.observation)
            self.principal.name(self.observation, self.event)


def weighed(finding: Finding, fit: Fit) -> Finding:
    """The finding with what paper says of it; one severity lower where all fits but the thing it was done to, and of
    what is only strange where it is new because a role is. Duties kept apart it neither explains nor lowers."""
    if finding.detection in BEYOND_PAPER:
        told = (f"{fit.explained}: only an exception of the separation's own lets one person hold both",)
        return msgspec.structs.replace(finding, doubts=told) if fit.explained else finding
    if fit.explained:
        return msgspec.structs.replace(finding, explained=fit.explained)
    if not fit.doubts:
        return finding
    severity = finding.severity
    lowers = fit.lowers and (finding.kind == "anomaly" or "new" not in fit.kinds)
    if lowers:
        severity = SEVERITIES[max(0, SEVERITIES.index(severity) - 1)]
    risk = min(finding.risk, RISK[severity]) if lowers else finding.risk
    return msgspec.structs.replace(finding, severity=severity, risk=risk, doubts=fit.doubts)
