"""The floor: what most people try first, an isolation forest on the fields of the events as they are.

Each field is a number (texts in the order in which they first came), one forest is fitted on the days before the first
campaign, and an event that is strange enough for the budget is an alert about its principal.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerting.risk import EPISODE
from audit.event import MICROSECONDS, AuditEvent
from detectors.forest import Forest
from streams.evaluate_budget import Candidate, Step
from streams.evaluate_labels import Labelled

KEPT = 0.98
"""Only events stranger than this share of those it was fitted on can be alerts."""
BATCH = 4_096
Fit = Callable[[NDArray[np.float64]], Forest]
_HOUR = 3_600 * MICROSECONDS


class _Seen(NamedTuple):
    time: int
    principal: str
    attack: str
    lookalikes: frozenset[str]


class Naive:
    """Collects events as rows of raw fields; `candidates` fits, scores and says what could be alerts."""

    def __init__(self, labelled: Labelled, fit: Fit) -> None:
        """`fit` makes a forest of rows."""
        self._labelled = labelled
        self._fit = fit
        self._codes: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._rows = array("d")
        self._seen: list[_Seen] = []

    def see(self, events: Sequence[AuditEvent]) -> None:
        """Takes the next events."""
        attack_of, lookalikes_of = self._labelled.attack_of, self._labelled.lookalikes_of
        for event in events:
            self._rows.extend(self._row(event))
            attack = attack_of.get(event.id)
            odd = frozenset(each.id for each in lookalikes_of.get(event.id, ()))
            self._seen.append(_Seen(event.time, event.actor.id, attack.id if attack else "", odd))

    def candidates(self, peaceful: int) -> list[Candidate]:
        """Alerts by principal and episode, from a forest fitted on the events before a time (µs)."""
        rows = np.frombuffer(self._rows, dtype=np.float64).reshape(len(self._seen), -1)
        before = np.array([event.time < peaceful for event in self._seen])
        if before.sum() < 2:
            before[:] = True
        forest = self._fit(rows[before])
        scores = np.concatenate([-forest.score_samples(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)])
        return self._grouped(scores, float(np.quantile(scores[before], KEPT)))

    def _grouped(self, scores: NDArray[np.float64], floor: float) -> list[Candidate]:
        found: dict[tuple[str, int], Candidate] = {}
        for place in np.flatnonzero(scores >= floor).tolist():
            time, principal, attack, odd = self._seen[place]
            key = principal, time // EPISODE
            each = found.setdefault(key, Candidate(f"user:{principal}", principal, causes=("naive forest",)))
            before = each.steps[-1] if each.steps else Step(time, 0.0)
            attacks = before.attacks | {attack} if attack else before.attacks
            each.steps.append(Step(time, max(before.rank, float(scores[place])), attacks, before.lookalikes | odd))
        return list(found.values())

    def _row(self, event: AuditEvent) -> Sequence[float]:
        resource = event.resource
        texts = {
            "source": event.source,
            "action": event.action,
            "outcome": event.outcome,
            "actor": event.actor.id,
            "type": resource.type if resource else "",
            "resource": resource.name if resource else "",
            "address": event.source_ip or "",
            "country": event.country or "",
            "agent": event.user_agent or "",
            "account": event.account or "",
        }
        codes = [float(self._code(field, text)) for field, text in texts.items()]
        hours = event.time // _HOUR
        return [*codes, float(event.asn or 0), float(hours % 24), float(hours // 24 % 7)]

    def _code(self, field: str, text: str) -> int:
        known = self._codes[field]
        return known.setdefault(text, len(known))
