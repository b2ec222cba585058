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
from detectors.anomaly import anomaly_finding
from detectors.baseline import Baseline
from detectors.known import Known
from detectors.model import HIGH_ABOVE, Model
from detectors.repeat import beyond
from streams.deed import Deed, weighed
from streams.detections import Detections
from streams.principal import Principal, Usual

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
        bars.append(_bar(deed, principal.baseline, model))
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
        return 0
    fit = deed.ask_paper(detections.context)
    if fit.explained:
        deed.findings.append(weighed(_finding(deed, usual, row, detections), fit))
        return 0
    grade = SEVERITIES.index(model.severity(strangeness, baseline))
    pending = [held for held in usual.held if held.told >= grade > 0]
    if pending:
        rest = beyond(baseline, deed.observation, [held.observation for held in pending], deed.groups)
        deed.repeats = bool(model.score([rest])[0] < _bar(deed, baseline, model) - HIGH_ABOVE)
        if deed.repeats:
            return max(held.told for held in pending)
    deed.findings.append(weighed(_finding(deed, usual, row, detections), fit))
    return grade


def _finding(deed: Deed, usual: Usual, row: list[float], detections: Detections) -> Finding:
    known = Known(usual.baseline, usual.names, detections.context, detections.snapshot)
    told = anomaly_finding(detections.model, known, deed.event, row, deed.strangeness)
    return msgspec.structs.replace(told, version=detections.version)


def _bar(deed: Deed, baseline: Baseline, model: Model) -> float:
    """From where its strangeness is worth a finding: that of a young baseline adds nothing to what a rule suspects."""
    return inf if deed.grave and baseline.young else model.bar(baseline)
