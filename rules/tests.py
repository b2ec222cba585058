"""The tests written inside rules, run: each record goes through the real normaliser and meets its rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from audit.event import AuditEvent
from audit.sources import SOURCES
from audit.sources.reader import Reject, read
from rules.compile import RuleSet
from rules.condition import conjuncts, positive
from rules.correlation import Correlation
from rules.correlation_windows import fires
from rules.rule import Rule, RuleTest
from rules.sigma import load
from rules.view import View

ARRIVAL = 4_102_444_800_000_000
"""When the records of tests arrive: the year 2100, later than any of them."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test of a rule ended; `error` says why it could not be run, "" when it could."""

    __test__: ClassVar[bool] = False

    rule_id: str
    title: str
    test: str
    path: Path
    line: int
    wanted: bool
    got: bool
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether the test ran and the rule did what it wants."""
        return not self.error and self.wanted == self.got

    def __str__(self) -> str:
        wants = "match" if self.wanted else "not match"
        ended = self.error or ("passed" if self.passed else f"failed: the rule must {wants}")
        return f"{self.path}:{self.line}: {self.title}: {self.test}: {ended}"


def run_tests(rules: RuleSet | Sequence[Path]) -> list[TestResult]:
    """Every test of every rule and correlation, in their order.

    Raises:
        RuleErrors: when paths are given and cannot be loaded.
    """
    loaded = rules if isinstance(rules, RuleSet) else load(rules)
    return list(_results(loaded))


def lacking(tested: Rule | Correlation) -> list[str]:
    """The kinds of tests a rule should have and has not."""
    tests = tested.tests
    kinds = {
        "that must match": any(test.match for test in tests),
        "that must not match": any(not test.match and not test.near_miss for test in tests),
        "that only just does not match (near_miss: true)": any(test.near_miss for test in tests),
    }
    return [kind for kind, there in kinds.items() if not there]


def far_misses(rule: Rule) -> list[RuleTest]:
    """Near misses in whose events nothing holds that speaks for the rule: they prove nothing about its border.

    A rule that asks a single thing has none: whatever is not that one thing has nothing of it.
    """
    asks = [part for part in conjuncts(rule.condition) if any(positive(part))]
    return [test for test in rule.tests if test.near_miss and len(asks) > 1 and not _is_near(rule, test)]


def _is_near(rule: Rule, test: RuleTest) -> bool:
    events, error = _events(test)
    views = [_view(test, *pair) for pair in events]
    return bool(error) or any(holds(view) for _, holds in rule.evidence for view in views)


def _view(test: RuleTest, event: AuditEvent, record: Mapping[str, Any]) -> View:
    return View(event, record, test.history, test.context.person(event.actor.id), test.context)


def _results(rules: RuleSet) -> Iterator[TestResult]:
    everything: list[Rule | Correlation] = [*rules.rules, *rules.correlations]
    for tested in everything:
        for test in tested.tests:
            events, error = _events(test)
            got = False if error else _fires(rules, tested, test, events)
            yield TestResult(tested.id, tested.title, test.name, tested.path, test.line, test.match, got, error)


_Pair = tuple[AuditEvent, Mapping[str, Any]]


def _events(test: RuleTest) -> tuple[list[_Pair], str]:
    """The test's records as events with their records, or why one cannot be read."""
    for source in test.sources:
        if source not in SOURCES:
            return [], f"no source called {source!r}: known are {', '.join(sorted(SOURCES))}"
    events: list[_Pair] = []
    for source, record in zip(test.sources, test.events, strict=True):
        payload = msgspec.json.encode(record)
        for entry in read(source, payload, ARRIVAL, test.context):
            if isinstance(entry, Reject):
                return [], f"the record cannot be read: {entry.error}"
            events += [(event, msgspec.json.decode(event.raw)) for event in entry]
    return events, ""


def _fires(rules: RuleSet, tested: Rule | Correlation, test: RuleTest, events: Sequence[_Pair]) -> bool:
    if isinstance(tested, Correlation):
        return _correlates(rules, tested, test, events)
    return any(tested.meets(event.source) and tested.matches(_view(test, event, record)) for event, record in events)


def _correlates(rules: RuleSet, correlation: Correlation, test: RuleTest, events: Sequence[_Pair]) -> bool:
    matched = [(rule.id, *pair) for pair in events for rule in rules.matching(_view(test, *pair))]
    return fires(correlation, matched)
