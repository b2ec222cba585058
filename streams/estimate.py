"""How strange the events of a batch are, each against what its principal had learnt before it.

An event that is suspected must not teach the events after it, and whether it is suspected shows only in its score. One
by one that would be a forest call an event. So the fold guesses: it runs ahead as if all were innocent, scores all rows
at once, and where the guess was wrong goes back to that event and on from there. The result is that of the one-by-one
order, whatever the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from audit.finding import at_least
from detectors.anomaly import anomaly_finding
from detectors.baseline import Baseline
from streams.deed import Deed
from streams.detections import Detections
from streams.principal import Held, Principal

LONGEST_RUN = 256
"""Events of one principal guessed at once after a wrong guess; the run doubles from one while the guess holds."""


def estimate(batch: Sequence[Deed], detections: Detections) -> None:
    """Sets the strangeness of each deed whose actor is known, adds anomaly findings, and teaches the principals."""
    model = detections.model
    before: dict[Principal, tuple[Baseline, list[Held]]] = {}
    own: dict[Principal, list[Deed]] = {}
    rows: list[list[float]] = []
    bars: list[float] = []
    known = [deed for deed in batch if deed.event.actor.identity != "anonymous"]
    for deed in known:
        principal = deed.principal
        if principal not in before:
            before[principal] = principal.copy_of_usual()
            own[principal] = []
        own[principal].append(deed)
        rows.append(deed.row())
        bars.append(model.bar(principal.baseline))
        deed.take(suspected=False)
    strangeness = model.score(rows) if rows else np.empty(0)
    strange: dict[Principal, Deed] = {}
    for deed, value, bar in zip(known, strangeness.tolist(), bars, strict=True):
        deed.strangeness = value
        if value >= bar:
            strange.setdefault(deed.principal, deed)
    for principal, first in strange.items():
        principal.restore(before[principal])
        deeds = own[principal]
        start = deeds.index(first)
        for deed in deeds[:start]:  # guessed right: their strangeness stands
            principal.release(deed.event.time)
            deed.take(suspected=False)
        _go_again(deeds[start:], principal, detections)


def _go_again(deeds: Sequence[Deed], principal: Principal, detections: Detections) -> None:
    """Folds one principal's deeds by runs, each guessed to end like the deed before it."""
    model = detections.model
    place, length, guess = 0, 1, True
    while place < len(deeds):
        run = deeds[place : place + length]
        usuals, rows = [], []
        for deed in run:
            row = deed.row()
            usuals.append(principal.copy_of_usual())
            rows.append(row)
            deed.take(guess)
        for deed, value, usual, row in zip(run, model.score(rows).tolist(), usuals, rows, strict=True):
            place += 1
            suspected = _judge(deed, value, usual[0], row, detections)
            if suspected != guess and not deed.grave:
                principal.restore(usual)
                deed.take(suspected)
                length, guess = 0, suspected
                break
        length = min(max(1, 2 * length), LONGEST_RUN)


def _judge(deed: Deed, strangeness: float, baseline: Baseline, row: list[float], detections: Detections) -> bool:
    """Whether the deed is suspected for its strangeness; adds its finding where it deserves one."""
    deed.strangeness = strangeness
    if strangeness < detections.model.bar(baseline):
        return False
    told = anomaly_finding(detections.model, baseline, deed.event, row, strangeness)
    deed.findings.append(msgspec.structs.replace(told, version=detections.version))
    return at_least(told.severity, "medium")
