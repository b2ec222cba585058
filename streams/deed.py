"""One event on its way through score, with what is said of it so far."""

from __future__ import annotations

from audit.event import AuditEvent
from audit.finding import Finding
from detectors.features import Groups, Observation
from rules.correlation import Match
from streams.principal import Held, Principal, event_code
from streams.stage import Arrival


class Deed:
    """One event on its way through score.

    `new` says what of it its principal was never seen with (`Terms.meet`); `grave` that a rule suspects it, whatever
    its strangeness; `unheard` names the rules that matched and said nothing, with why: "shadow" or "excused". `groups`
    are the peers it is compared with; `repeats` says that what is strange about it was told already; `held` is what of
    it waits for a verdict.
    """

    __slots__ = (
        "arrival",
        "event",
        "features",
        "findings",
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
        self.unheard: list[tuple[str, str]] = []
        self.new = 0
        self.grave = False
        self.strangeness = 0.0
        self.features: list[float] = []
        self.young = False
        self.repeats = False
        self.held: Held | None = None

    @property
    def signals(self) -> int:
        """How many signals it sends, if all fit."""
        return len(self.findings) + len(self.matches)

    def row(self) -> list[float]:
        """Its features against its principal's usual at this moment; the last ones asked for are kept."""
        self.features = self.principal.row(self.observation, self.event.time, self.groups)
        self.young = self.principal.baseline.young
        return self.features

    def take(self, suspected: bool) -> None:
        """Into its principal's usual, or held if a rule or its strangeness suspects it."""
        if suspected or self.grave:
            code = event_code(self.event.id)
            self.held = self.principal.hold(self.observation, self.event.time, teaches=not self.grave, event=code)
        else:
            self.held = None
            self.principal.learn(self.observation)
            self.principal.name(self.observation, self.event)
