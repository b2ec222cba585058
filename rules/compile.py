"""A condition as one closure, and a set of rules that finds its matches fast: the hot path."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from audit.event import AuditEvent
from rules.condition import And, Leaf, Node, Not, Or, positive, words
from rules.correlation import Correlation
from rules.fields import View
from rules.index import Index
from rules.leaf import GROUPABLE, Check, check
from rules.logsource import routed
from rules.rule import Rule

_COST = {"equals": 0, "exists": 0, "null": 0, "startswith": 1, "endswith": 1, "contains": 2, "glob": 4, "regex": 4}
_KEYWORD_COST = 20


class RuleSet:
    """The rules and correlations that run together. Never changed: a reload builds another.

    `hash` names their content: the same for the same rules, wherever their files lie.
    """

    __slots__ = ("_by_id", "_correlations_of", "_indexes", "correlations", "hash", "rules")

    def __init__(
        self, rules: Sequence[Rule] = (), correlations: Sequence[Correlation] = (), content: Sequence[object] = ()
    ) -> None:
        self.rules = tuple(rules)
        self.correlations = tuple(correlations)
        self.hash = content_hash(content)
        self._indexes: dict[str, Index] = {}
        self._by_id = {correlation.id: correlation for correlation in self.correlations}
        by_rule: dict[str, list[Correlation]] = defaultdict(list)
        for correlation in self.correlations:
            for rule_id in correlation.rule_ids:
                by_rule[rule_id].append(correlation)
        self._correlations_of = {rule_id: tuple(found) for rule_id, found in by_rule.items()}

    def match(self, event: AuditEvent, record: Mapping[str, Any]) -> list[Rule]:
        """The rules that match the event, silent ones too, in the set's order. `record` is its decoded raw record."""
        index = self._indexes.get(event.source)
        if index is None:
            index = self._index(event.source)
        return index.match(View(event, record))

    def correlations_of(self, rule_id: str) -> tuple[Correlation, ...]:
        """The correlations that count the matches of a rule."""
        return self._correlations_of.get(rule_id, ())

    def correlation(self, correlation_id: str) -> Correlation | None:
        """The correlation of this id, None where the set has none (a reload took it away)."""
        return self._by_id.get(correlation_id)

    def _index(self, source: str) -> Index:
        index = Index([rule for rule in self.rules if routed(rule.product, rule.service, source)], compiled)
        self._indexes[source] = index
        return index


def match_lines(rules: RuleSet, events: Iterable[tuple[AuditEvent, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    """(event id, rule id) for every match of a stateless rule, silent ones too."""
    for event, record in events:
        for rule in rules.match(event, record):
            yield event.id, rule.id


def content_hash(content: Sequence[object]) -> str:
    """16 hex digits of the parsed rules, independent of the order and place of their files."""
    written = sorted(json.dumps(part, sort_keys=True, default=str) for part in content)
    return blake2b("\n".join(written).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def compiled(node: Node) -> Check:
    """The condition as one closure; what is cheap is asked first.

    Raises:
        ValueError: when a value cannot be compiled.
    """
    match node:
        case Leaf():
            return check([node])
        case Not(child):
            inner = compiled(child)
            return lambda view: not inner(view)
        case And(children):
            return _all([compiled(child) for child in sorted(children, key=_cost)])
        case Or(children):
            return _any(_grouped(sorted(children, key=_cost)))


def evidence(node: Node) -> tuple[tuple[str, Check], ...]:
    """What speaks for a match, in plain words, each with the test that says whether it does."""
    return tuple((words(leaf), check([leaf])) for leaf in dict.fromkeys(positive(node)))


def _cost(node: Node) -> int:
    match node:
        case Leaf(field=None):
            return _KEYWORD_COST
        case Leaf(op=op):
            return _COST.get(op, 3)
        case Not(child):
            return _cost(child)
        case And(children) | Or(children):
            return sum(map(_cost, children))


def _grouped(children: Sequence[Node]) -> list[Check]:
    """The children's closures; values asked of the same field are asked at once."""
    groups: dict[object, list[Leaf]] = defaultdict(list)
    others: list[Check] = []
    for child in children:
        if isinstance(child, Leaf) and child.op in GROUPABLE:
            groups[child.field, child.op, child.cased].append(child)
        else:
            others.append(compiled(child))
    return [check(leaves) for leaves in groups.values()] + others


def _all(checks: Sequence[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda view: first(view) and second(view)

    def all_of(view: View) -> bool:
        for holds in checks:  # noqa: SIM110 (a generator costs twice as much here)
            if not holds(view):
                return False
        return True

    return all_of


def _any(checks: Sequence[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda view: first(view) or second(view)

    def any_of(view: View) -> bool:
        for holds in checks:  # noqa: SIM110
            if holds(view):
                return True
        return False

    return any_of
