"""A detection rule, and the finding its match makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from audit.context import EMPTY, Context
from audit.finding import Finding, Severity, Version, stable_id
from rules.condition import Node
from rules.view import History, View

MOST_REASONS = 8
MOST_STEPS = 5
"""Steps of a runbook that travel with a finding."""

KNOWN_WELL = History(0, 90)
"""The past of an actor to whom nothing is new."""

Stage = Literal["live", "shadow", "off"]


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A case written inside a rule: raw records as the vendor sends them, and whether the rule must match one.

    `sources` says of each whose record it is, `history` what the actor's past says of all, `context` what is declared.
    """

    name: str
    match: bool
    events: tuple[Mapping[str, Any], ...]
    sources: tuple[str, ...]
    near_miss: bool = False
    line: int = 1
    history: History = KNOWN_WELL
    context: Context = EMPTY


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A stateless rule, ready to run. `evidence` pairs each thing it looks for, in plain words, with its test.

    `attack` holds technique ids ("T1078.004"). `sources` are those whose events it is asked about, () for all.
    `stage`: live; shadow (its matches are counted, nobody hears of them); off (not asked). `silent`: a correlation
    counts its matches and they make no findings of their own.
    """

    id: str
    name: str
    title: str
    severity: Severity
    risk: int
    attack: tuple[str, ...]
    author: str
    path: Path
    product: str
    service: str
    status: str
    description: str
    falsepositives: tuple[str, ...]
    runbook: tuple[str, ...]
    tests: tuple[RuleTest, ...]
    sources: tuple[str, ...]
    stage: Stage
    silent: bool
    condition: Node
    matches: Callable[[View], bool]
    evidence: tuple[tuple[str, Callable[[View], bool]], ...]

    def meets(self, source: str) -> bool:
        """Whether it is asked about events of a source."""
        return not self.sources or source in self.sources


def finding_of(rule: Rule, view: View, version: Version) -> Finding:
    """What a match of `rule` says: against the actor, with what the rule looked for and found."""
    event = view.event
    return Finding(
        id=stable_id("rule", rule.id, event.source, event.id),
        time=event.time,
        kind="rule",
        detection=rule.id,
        title=rule.title,
        severity=rule.severity,
        risk=rule.risk,
        principal=event.actor.id,
        entity=f"user:{event.actor.id}",
        event_ids=(event.id,),
        reasons=_reasons(rule, view),
        attack=rule.attack,
        version=version,
        author=rule.author,
        runbook=rule.runbook[:MOST_STEPS],
    )


def _reasons(rule: Rule, view: View) -> tuple[str, ...]:
    found = dict.fromkeys(said for said, holds in rule.evidence if holds(view))
    about = (first_sentence(rule.description),) if rule.description else ()
    return (*about, *list(found)[:MOST_REASONS])


def first_sentence(text: str) -> str:
    """The first sentence of a description, on one line and at most 240 characters."""
    line = " ".join(text.split())
    head, stop, _ = line.partition(". ")
    sentence = head + stop.rstrip() if stop else line
    return sentence if len(sentence) <= 240 else sentence[:237] + "..."
