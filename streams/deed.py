"""One event on its way through score, with what is said of it so far."""

from __future__ import annotations

from audit.event import AuditEvent
from audit.finding import Finding
from detectors.features import Observation
from rules.correlation import Match
from streams.principal import Principal, event_code
from streams.stage import Arrival


class Deed:
    """One event on its way through score.

    `new` says what of it its principal was never seen with (`Terms.meet`); `grave` that a rule suspects it, whatever
    its strangeness; `unheard` names the rules that matched and said nothing, with why: "shadow" or "excused".
    """

    __slots__ = (
        "arrival",
        "event",
        "features",
        "findings",
        "grave",
        "matches",
        "new",
        "observation",
        "principal",
        "strangeness",
        "unheard",
        "young",
    )

    def __init__(self, arrival: Arrival[AuditEvent], principal: Principal, observation: Observation) -> None:
        self.arrival = arrival
        self.event = arrival.item
        self.principal = principal
        self.observation = observation
        self.findings: list[Finding] = []
        self.matches: list[Match] = []
        self.unheard: list[tuple[str, str]] = []
        self.new = 0
        self.grave = False
        self.strangeness = 0.0
        self.features: list[float] = []
        self.young = False

    @property
    def signals(self) -> int:
        """How many signals it sends, if all fit."""
        return len(self.findings) + len(self.matches)

    def row(self) -> list[float]:
        """Its features against its principal's usual at this moment; the last ones asked for are kept."""
        self.features = self.principal.row(self.observation, self.event.time)
        self.young = self.principal.baseline.young
        return self.features

    def take(self, suspected: bool) -> None:
        """Into its principal's usual, or held if a rule or its strangeness suspects it."""
        if suspected or self.grave:
            code = event_code(self.event.id)
            self.principal.hold(self.observation, self.event.time, teaches=not self.grave, event=code)
        else:
            self.principal.learn(self.observation)
