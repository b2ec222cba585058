"""How strange the events of a batch are, each against what its principal had learnt before it.

An event that is suspected must not teach the events after it, and whether it is suspected shows only in its score. One
by one that would be a forest call an event. So the fold guesses: it runs ahead as if all were innocent, scores all rows
at once, and where the guess was wrong goes back to that event and on from there. The result is that of the one-by-one
order, whatever the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import msgspec
import numpy as np

from audit.finding import SEVERITIES, Finding
from detectors.anomaly import anomaly_finding, as_journey, two_places_finding
from detectors.baseline import Baseline
from detectors.journey import at_home, contradicted, may_travel
from detectors.known import Known
from detectors.model import Model
from detectors.repeat import beyond
from detectors.travel import Way
from streams.deed import Deed, weighed
from streams.detections import Detections
from streams.principal import Held, Principal, Usual

CLEARLY = 0.5
"""Strangeness (powers of ten) below the bar at which what is left, apart from what waits, is no news."""
_MEDIUM, _HIGH = SEVERITIES.index("medium"), SEVERITIES.index("high")

LONGEST_RUN = 256
"""Events of one principal guessed at once after a wrong guess; the run doubles from one while the guess holds."""


def estimate(batch: Sequence[Deed], detections: Detections) -> None:
    """Sets the strangeness of each deed whose actor is known, adds anomaly findings, and teaches the principals."""
    model = detections.model
    before: dict[Principal, Usual] = {}
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
        torn = principal.held and _contradicted(deed, principal.baseline, principal.held)
        bars.append(-inf if torn else _bar(deed, principal.baseline, model))
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
    """Folds one principal's deeds by runs, each guessed to end like the deed before it.

    A run is as long as runs of its guess lately turned out: it doubles while the guess holds to its end.
    """
    place, guess, lengths = 0, True, {True: 1, False: 1}
    while place < len(deeds):
        run = deeds[place : place + lengths[guess]]
        held = _guessed_right(run, guess, principal, detections)
        place += min(held + 1, len(run))
        if held == len(run):
            lengths[guess] = min(2 * held, LONGEST_RUN)
        else:
            lengths[guess] = max(1, held)
            guess = not guess


def _guessed_right(run: Sequence[Deed], guess: bool, principal: Principal, detections: Detections) -> int:
    """Folds a run as guessed; returns how many deeds ended so. The first that did not is taken as it did end."""
    usuals, rows = [], []
    for deed in run:
        rows.append(deed.row())
        usuals.append(principal.copy_of_usual())
        deed.take(guess)
    strangeness = detections.model.score(rows).tolist()
    for number, (deed, value, usual, row) in enumerate(zip(run, strangeness, usuals, rows, strict=True)):
        told = _judge(deed, value, usual, row, detections)
        suspected = told > 0
        wrong = suspected != guess and not deed.waits
        if wrong:
            principal.restore(usual)
            deed.take(suspected)
        if deed.held:
            deed.held.told = told
        if wrong:
            return number
    return len(run)


def _judge(deed: Deed, strangeness: float, usual: Usual, row: list[float], detections: Detections) -> int:
    """The severity (an index) the deed is suspected with for its strangeness, 0 if it is not; adds its finding.

    What paper explains is told of and not suspected. Nothing is told where that would say again, no graver, what was
    told of others that wait: the deed waits with them.
    """
    deed.strangeness, deed.repeats = strangeness, False
    model, baseline = detections.model, usual.baseline
    if strangeness < _bar(deed, baseline, model):
        _doubt_journeys(deed, usual, detections)
        return 0
    fit = deed.ask_paper(detections.context)
    if fit.explained:
        deed.findings.append(weighed(_finding(deed, usual, row, detections), fit))
        return 0
    severity = model.severity(strangeness, baseline)
    home = _from_home(deed, baseline, model)
    grade = SEVERITIES.index(severity if home is None else "medium")
    pending = [held for held in usual.held if held.told >= grade > 0]
    if pending:
        rest = beyond(baseline, deed.observation, [held.observation for held in pending], deed.groups)
        deed.repeats = bool(model.score([rest])[0] < _bar(deed, baseline, model) - CLEARLY)
        if deed.repeats:
            return max(held.told for held in pending)
    found = _finding(deed, usual, row, detections)
    deed.findings.append(weighed(found if home is None else as_journey(found, model, home), fit))
    return grade


def _from_home(deed: Deed, baseline: Baseline, model: Model) -> float | None:
    """How strange it would be from home, where its principal may have travelled and that would not be grave."""
    if baseline.young or not may_travel(baseline, deed.observation):
        return None
    strangeness = float(model.score([at_home(baseline, deed.observation, deed.groups)])[0])
    return None if model.severity(strangeness, baseline) == "high" else strangeness


def _doubt_journeys(deed: Deed, usual: Usual, detections: Detections) -> None:
    """Tells, once, of what was taken for a journey when its principal is active where they were before it."""
    torn = _contradicted(deed, usual.baseline, usual.held)
    if torn:
        found = two_places_finding(_known(usual, detections), deed.event, torn[0][1])
        deed.findings.append(msgspec.structs.replace(found, version=detections.version))
    for held, _ in torn:
        held.told = _HIGH


def _contradicted(deed: Deed, baseline: Baseline, waiting: Sequence[Held]) -> list[tuple[Held, Way]]:
    """What waits, told as less than grave, from where nobody can be back by the time of a deed."""
    obs = deed.observation
    ways = [(held, contradicted(baseline, obs, held.observation)) for held in waiting if held.told == _MEDIUM]
    return [(held, back) for held, back in ways if back]


def _known(usual: Usual, detections: Detections) -> Known:
    return Known(usual.baseline, usual.names, detections.context, detections.snapshot)


def _finding(deed: Deed, usual: Usual, row: list[float], detections: Detections) -> Finding:
    told = anomaly_finding(detections.model, _known(usual, detections), deed.event, row, deed.strangeness)
    return msgspec.structs.replace(told, version=detections.version)


def _bar(deed: Deed, baseline: Baseline, model: Model) -> float:
    """From where its strangeness is worth a finding: that of a young baseline adds nothing to what a rule suspects."""
    return inf if deed.grave and baseline.young else model.bar(baseline)
