"""A set of rules that finds its matches fast: the hot path."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from audit.event import AuditEvent
from rules.closure import compiled
from rules.correlation import Correlation, Feed, family, feeds_of
from rules.exceptions import Excuse
from rules.index import Index
from rules.rule import Rule
from rules.view import History, View


class RuleSet:
    """The rules and correlations that run together. Never changed: a reload builds another.

    `hash` names their content: the same for the same rules, wherever their files lie. `patience` is the shortest time
    (microseconds) after a match at which a correlation has something to judge, None where none ever has.
    """

    __slots__ = (
        "_by_id",
        "_elsewhere",
        "_excuses_of",
        "_feeds_of",
        "_indexes",
        "correlations",
        "exceptions",
        "hash",
        "patience",
        "rules",
    )

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        correlations: Sequence[Correlation] = (),
        content: Sequence[object] = (),
        exceptions: Sequence[Excuse] = (),
    ) -> None:
        self.rules = tuple(rules)
        self.correlations = tuple(correlations)
        self.exceptions = tuple(exceptions)
        self.hash = content_hash(content)
        asked = dict.fromkeys(source for rule in self.rules for source in rule.sources)
        self._indexes = {source: Index(self.of(source), compiled) for source in asked}
        self._elsewhere = Index([rule for rule in self.rules if rule.stage != "off" and not rule.sources], compiled)
        running = [one for one in self.correlations if one.stage != "off" and not one.silent]
        self._by_id = {name: one for top in running for name, one in family(top).items()}
        by_rule: dict[str, list[Feed]] = defaultdict(list)
        shadow = {rule.id for rule in self.rules if rule.stage == "shadow"}
        for one in running:
            for feed in feeds_of(one):
                if one.stage == "shadow" or feed.rule_id not in shadow:
                    by_rule[feed.rule_id].append(feed)
        self._feeds_of = {rule_id: tuple(found) for rule_id, found in by_rule.items()}
        waits = [one.patience for one in self._by_id.values() if one.patience is not None]
        self.patience = min(waits, default=None)
        self._excuses_of = _by_rule(self.exceptions)

    def match(self, event: AuditEvent, record: Mapping[str, Any], history: History | None = None) -> list[Rule]:
        """The rules that match the event, silent and shadow ones too, in the set's order.

        `record` is the event's decoded raw record, `history` what its actor's past says of it where that is known.
        """
        return self.matching(View(event, record, history))

    def matching(self, view: View) -> list[Rule]:
        """The rules that match an event in view, silent and shadow ones too, in the set's order."""
        return self._indexes.get(view.event.source, self._elsewhere).match(view)

    def of(self, source: str) -> list[Rule]:
        """The rules asked about events of a source: those that are not off."""
        return [rule for rule in self.rules if rule.stage != "off" and rule.meets(source)]

    def excused(self, detection_id: str, event: AuditEvent, record: Mapping[str, Any]) -> Excuse | None:
        """The exception that excuses this match of a rule, or this event from a correlation; None where none does.

        Whoever is excused from a rule raises no finding; correlations still see the match. Whoever is excused from a
        correlation is not counted by it.
        """
        for excuse in self._excuses_of.get(detection_id, ()):
            if excuse.covers(detection_id, event, record):
                return excuse
        return None

    def feeds_of(self, rule_id: str) -> tuple[Feed, ...]:
        """How matches of a rule reach the correlations that count them; of one in shadow, only those in shadow too."""
        return self._feeds_of.get(rule_id, ())

    def correlation(self, correlation_id: str) -> Correlation | None:
        """The correlation of this id, None where the set has none (a reload took it away)."""
        return self._by_id.get(correlation_id)


def _by_rule(excuses: Iterable[Excuse]) -> dict[str, list[Excuse]]:
    found: dict[str, list[Excuse]] = defaultdict(list)
    for excuse in excuses:
        for rule_id in excuse.checks:
            found[rule_id].append(excuse)
    return dict(found)


def match_lines(rules: RuleSet, events: Iterable[tuple[AuditEvent, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    """(event id, rule id) for every match of a stateless rule, silent ones too."""
    for event, record in events:
        for rule in rules.match(event, record):
            yield event.id, rule.id


def content_hash(content: Sequence[object]) -> str:
    """16 hex digits of the parsed rules, independent of the order and place of their files."""
    written = sorted(json.dumps(part, sort_keys=True, default=str) for part in content)
    return blake2b("\n".join(written).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
