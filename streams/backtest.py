"""Rules over a stretch of logs through the worker's own processor: every match, every alert it would have cost.

Several sets of rules are run side by side over the same events, read once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from alerting.alert import Alert
from audit.event import AuditEvent
from rules.backtest import Span, Tally
from rules.compile import RuleSet
from rules.rule import Rule
from rules.view import View
from streams.detections import Detections
from streams.loop import complete
from streams.processor import Fault
from streams.replay import BATCH, Run

Match = Callable[[Rule, View], None]


@dataclass(slots=True)
class Backtest:
    """What one set of rules did: a tally for each rule and correlation by id, and the alerts in their last revision.

    Matches of rules in shadow, and of silent ones that correlations count, are in the tallies; they alert nobody.
    `excuses` counts the matches each exception took away, by its id. `parts` counts, by rule, the alerts with a finding
    of it in them, `alone` those with no other.
    """

    detections: Detections
    span: Span
    tallies: dict[str, Tally] = field(default_factory=dict)
    excuses: Counter[str] = field(default_factory=Counter)
    alerts: list[Alert] = field(default_factory=list)
    parts: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    @property
    def rules(self) -> RuleSet:
        """The rules that were run."""
        return self.detections.rules

    @property
    def updates(self) -> int:
        """How often these alerts grew after they were told: at most so many edits of messages."""
        return sum(alert.revision - 1 for alert in self.alerts)


class _Watched(RuleSet):
    """A set that tells of each match: whatever becomes of it afterwards, it is asked once for each event."""

    __slots__ = ("_heard",)

    def __init__(self, rules: RuleSet, heard: Match) -> None:
        super().__init__(rules.rules, rules.correlations, (), rules.exceptions)
        self.hash = rules.hash
        self._heard = heard

    def matching(self, view: View) -> list[Rule]:
        """See RuleSet."""
        found = super().matching(view)
        for rule in found:
            self._heard(rule, view)
        return found


def backtest(
    events: Iterable[AuditEvent],
    versions: Sequence[Detections],
    *,
    batch: int = BATCH,
    on_events: Callable[[Sequence[AuditEvent]], None] | None = None,
) -> list[Backtest]:
    """Runs each of the versions over the events; `on_events` hears of each batch first.

    Raises whatever reading the events raises.
    """
    span = Span()
    tests = [Backtest(version, span) for version in versions]
    runs = [Run(_watched(test)) for test in tests]

    async def drive() -> None:
        for run in runs:
            await run.open()
        stream = iter(events)
        while chunk := list(islice(stream, batch)):
            span.see(chunk)
            if on_events:
                on_events(chunk)
            for run in runs:
                await run.feed(chunk)
        for run in runs:
            await run.close()

    complete(drive())
    for test, run in zip(tests, runs, strict=True):
        _finish(test, run)
    return tests


def _watched(test: Backtest) -> Detections:
    rules = test.detections.rules

    def heard(rule: Rule, view: View) -> None:
        tally = test.tallies.setdefault(rule.id, Tally())
        excuse = rules.excused(rule.id, view.event, view.record)
        if excuse is None or rule.silent:
            tally.add(view.event)
        else:
            tally.excused += 1
            test.excuses[excuse.id] += 1
        for feed in rules.feeds_of(rule.id):
            for name in feed.concerns:
                if by := rules.excused(name, view.event, view.record):
                    test.tallies.setdefault(name, Tally()).excused += 1
                    test.excuses[by.id] += 1

    return replace(test.detections, rules=_Watched(rules, heard))


def matches_of(
    events: Iterable[AuditEvent],
    detections: Detections,
    rule_ids: set[str],
    on_events: Callable[[Sequence[AuditEvent]], None] | None = None,
) -> list[View]:
    """The events that match any of these rules, each once, as the pipeline sees them; excused or not."""
    found: dict[tuple[str, str], View] = {}

    def heard(rule: Rule, view: View) -> None:
        if rule.id in rule_ids:
            found.setdefault((view.event.source, view.event.id), view)

    run = Run(replace(detections, rules=_Watched(detections.rules, heard)))

    async def drive() -> None:
        await run.open()
        stream = iter(events)
        while chunk := list(islice(stream, BATCH)):
            if on_events:
                on_events(chunk)
            await run.feed(chunk)

    complete(drive())
    return list(found.values())


def _finish(test: Backtest, run: Run) -> None:
    for finding in run.result.findings.values():
        if finding.kind == "correlation":
            test.tallies.setdefault(finding.detection, Tally()).add_finding(finding)
    test.alerts = sorted(run.result.alerts.values(), key=lambda alert: (alert.time, alert.id))
    test.faults = run.result.faults
    for alert in test.alerts:
        said = {finding.detection for finding in alert.findings}
        test.parts.update(said)
        test.alone.update(said if len(said) == 1 else ())


def chosen(detections: Detections, ids: set[str]) -> Detections:
    """The same with no other rules and correlations than these."""
    rules = detections.rules
    return replace(
        detections,
        rules=RuleSet(
            [rule for rule in rules.rules if rule.id in ids],
            [one for one in rules.correlations if one.id in ids],
            [rules.hash, sorted(ids)],
            rules.exceptions,
        ),
    )


def as_live(detections: Detections) -> Detections:
    """The same with rules and correlations in shadow as if they were live: what promoting them would cost."""
    rules = detections.rules
    return replace(
        detections,
        rules=RuleSet(
            [replace(rule, stage="live") if rule.stage == "shadow" else rule for rule in rules.rules],
            [replace(one, stage="live") if one.stage == "shadow" else one for one in rules.correlations],
            [rules.hash, "live"],
            rules.exceptions,
        ),
    )
