"""Which rules an event can match at all, found by its witnesses.

The rules found under one clue are arranged as a tree of what they still ask, so that what many rules ask is asked
once, however many rules there are.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rules.condition import And, Node, conjuncts
from rules.fields import getter
from rules.leaf import Check, Holds, search
from rules.rule import Rule
from rules.view import MISSING, View, lowered, texts
from rules.witness import Clue, best, spread_of

FEW = 8
"""Up to so many literals or patterns of a field are looked for one by one; more, only where any of them is found."""

Compile = Callable[[Node], Check]
Found = list[tuple[int, Rule]]


@dataclass(slots=True)
class _Entry:
    """A rule on its way into the tree, with what it still asks."""

    position: int
    rule: Rule
    asks: tuple[Node, ...]


@dataclass(slots=True)
class _Tree:
    """Rules that match whoever comes here, and the ways on for those of whom a check holds."""

    rules: Found = field(default_factory=list)
    ways: list[tuple[Check, _Tree]] = field(default_factory=list)


def _walk(tree: _Tree, view: View, found: Found) -> None:
    found += tree.rules
    for holds, below in tree.ways:
        if holds(view):
            _walk(below, view, found)


class Index:
    """The rules of one source. `compiled` makes the closure of a node."""

    __slots__ = ("_always", "_lookups")

    def __init__(self, rules: Sequence[Rule], compiled: Compile) -> None:
        always: list[_Entry] = []
        by_clue: dict[str | None, dict[Clue, list[_Entry]]] = defaultdict(lambda: defaultdict(list))
        spread = spread_of(rule.condition for rule in rules)
        for position, rule in enumerate(rules):
            found, asks = best(conjuncts(rule.condition), spread)
            entry = _Entry(position, rule, asks)
            if found is None:
                always.append(entry)
                continue
            for clue in found.clues:
                by_clue[clue.field][clue].append(entry)
        known: dict[Node, Check] = {}

        def check(node: Node) -> Check:
            if node not in known:
                known[node] = compiled(node)
            return known[node]

        self._always = _tree(always, check)
        self._lookups = [
            _Lookup(name, {clue: _tree(entries, check) for clue, entries in clues.items()})
            for name, clues in by_clue.items()
        ]

    def match(self, view: View) -> list[Rule]:
        """The rules that match, in the order the index was given them."""
        found: Found = []
        _walk(self._always, view, found)
        for lookup in self._lookups:
            value = lookup.get(view)
            if value.__class__ is str:
                lookup.look(value, view, found)
            elif value is not MISSING and value is not None:
                for text in texts(value):
                    lookup.look(text, view, found)
        if len(found) < 2:
            return [rule for _, rule in found]
        return [rule for _, rule in sorted(dict(found).items())]


class _Lookup:
    """The trees of one field by the clues they stand under."""

    __slots__ = ("_any_literal", "_any_pattern", "_exact", "_literals", "_patterns", "get")

    def __init__(self, name: str | None, trees: dict[Clue, _Tree]) -> None:
        self.get = lowered if name is None else getter(name)
        self._exact = {clue.text: tree for clue, tree in trees.items() if clue.kind == "exact"}
        self._literals = [(clue.text, tree) for clue, tree in trees.items() if clue.kind == "literal"]
        patterns = [(clue.text, tree) for clue, tree in trees.items() if clue.kind == "pattern"]
        self._patterns = [(search(pattern), tree) for pattern, tree in patterns]
        self._any_literal = _any_of([re.escape(text) for text, _ in self._literals])
        self._any_pattern = _any_of([pattern for pattern, _ in patterns])

    def look(self, text: str, view: View, found: Found) -> None:
        """Adds the rules that match because the field is this text, or has it as a member."""
        lower = text.lower()
        tree = self._exact.get(lower)
        if tree is not None:
            _walk(tree, view, found)
        if self._literals and (self._any_literal is None or self._any_literal(lower)):
            for literal, tree in self._literals:
                if literal in lower:
                    _walk(tree, view, found)
        if self._patterns and (self._any_pattern is None or self._any_pattern(text)):
            for holds, tree in self._patterns:
                if holds(text):
                    _walk(tree, view, found)


def _any_of(patterns: Sequence[str]) -> Holds | None:
    """Whether any of many patterns is found; None where each may as well be asked."""
    if len(patterns) <= FEW:
        return None
    try:
        return search("|".join(f"(?:{pattern})" for pattern in patterns))
    except ValueError:  # together too large for RE2
        return None


def _tree(entries: Sequence[_Entry], check: Compile) -> _Tree:
    """What most rules ask comes first; what only one asks is one check of all it asks."""
    tree = _Tree([(entry.position, entry.rule) for entry in entries if not entry.asks])
    rest = [entry for entry in entries if entry.asks]
    asked = Counter(node for entry in rest for node in entry.asks)
    for node, times in asked.most_common():
        if times == 1 or not rest:
            break
        below = [entry for entry in rest if node in entry.asks]
        if len(below) > 1:
            rest = [entry for entry in rest if node not in entry.asks]
            tree.ways.append((check(node), _tree([_without(node, entry) for entry in below], check)))
    tree.ways += [
        (check(entry.asks[0] if len(entry.asks) == 1 else And(entry.asks)), _Tree([(entry.position, entry.rule)]))
        for entry in rest
    ]
    return tree


def _without(node: Node, entry: _Entry) -> _Entry:
    return _Entry(entry.position, entry.rule, tuple(one for one in entry.asks if one != node))
