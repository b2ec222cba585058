"""Which rules an event can match at all: by witness, a value without which a rule cannot match.

An event is looked up by its values of the witness fields. The rules it finds there are arranged as a tree of what
they still ask, so that what many rules ask is asked once, however many rules there are.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from rules.condition import And, Leaf, Node, Or, conjuncts, split_glob
from rules.fields import MISSING, Getter, View, getter, lowered, texts
from rules.leaf import Check, search
from rules.rule import Rule

Pair = tuple[str | None, str]
"""A canonical field (None: anywhere in the event) and a lower-case text."""

SHORTEST_LITERAL = 3
FEW_LITERALS = 16
"""Up to so many literals of a field are looked for one by one; more, only where one pattern of all is found."""

Compile = Callable[[Node], Check]


@dataclass(frozen=True, slots=True)
class Witness:
    """An event that has none of these cannot match: a field that is the text, or one that contains it.

    `proof`: to have one of them is all that the condition asks.
    """

    exact: frozenset[Pair]
    literal: frozenset[Pair]
    proof: bool = False


@dataclass(slots=True)
class _Entry:
    """A rule on its way into the tree, with what it still asks."""

    position: int
    rule: Rule
    asks: tuple[Node, ...]


@dataclass(slots=True)
class _Tree:
    """Rules that match whoever comes here, and the ways on for those of whom a check holds."""

    rules: list[tuple[int, Rule]] = field(default_factory=list)
    ways: list[tuple[Check, _Tree]] = field(default_factory=list)


_Found = list[tuple[int, Rule]]
_Literals = tuple[Callable[[str], bool] | None, list[tuple[str, _Tree]]]
_Lookup = tuple[Getter, dict[str, _Tree] | None, _Literals | None]


class Index:
    """The rules of one source. `compiled` makes the closure of a node."""

    __slots__ = ("_always", "_lookups")

    def __init__(self, rules: Sequence[Rule], compiled: Compile) -> None:
        always: list[_Entry] = []
        exact: dict[str | None, dict[str, list[_Entry]]] = defaultdict(lambda: defaultdict(list))
        literal: dict[str | None, dict[str, list[_Entry]]] = defaultdict(lambda: defaultdict(list))
        spread = _spread(rules)
        for position, rule in enumerate(rules):
            found, asks = _best(conjuncts(rule.condition), spread)
            entry = _Entry(position, rule, asks)
            if found is None:
                always.append(entry)
                continue
            for name, text in found.exact:
                exact[name][text].append(entry)
            for name, text in found.literal:
                literal[name][text].append(entry)
        known: dict[Node, Check] = {}

        def check(node: Node) -> Check:
            if node not in known:
                known[node] = compiled(node)
            return known[node]

        self._always = _tree(always, check)
        self._lookups: list[_Lookup] = [
            (
                lowered if name is None else getter(name),
                {text: _tree(entries, check) for text, entries in exact[name].items()} if name in exact else None,
                _literals(literal[name], check) if name in literal else None,
            )
            for name in dict.fromkeys(chain(exact, literal))
        ]

    def match(self, view: View) -> list[Rule]:
        """The rules that match, in the order the index was given them."""
        found: _Found = []
        _walk(self._always, view, found)
        for get, exact, literals in self._lookups:
            value = get(view)
            if value.__class__ is str:
                _look(value.lower(), exact, literals, view, found)
            elif value is not MISSING and value is not None:
                for text in texts(value):
                    _look(text.lower(), exact, literals, view, found)
        if len(found) < 2:
            return [rule for _, rule in found]
        return [rule for _, rule in sorted(dict(found).items())]


def _look(text: str, exact: dict[str, _Tree] | None, literals: _Literals | None, view: View, found: _Found) -> None:
    if exact is not None:
        tree = exact.get(text)
        if tree is not None:
            _walk(tree, view, found)
    if literals is not None:
        some, each = literals
        if some is None or some(text):
            for literal, tree in each:
                if literal in text:
                    _walk(tree, view, found)


def _walk(tree: _Tree, view: View, found: _Found) -> None:
    found += tree.rules
    for holds, below in tree.ways:
        if holds(view):
            _walk(below, view, found)


def _literals(entries: dict[str, list[_Entry]], check: Compile) -> _Literals:
    some = None
    if len(entries) > FEW_LITERALS:
        some = search("|".join(map(re.escape, sorted(entries))))
    return some, [(text, _tree(found, check)) for text, found in entries.items()]


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


def _best(asks: Sequence[Node], spread: Counter[str | None]) -> tuple[Witness | None, tuple[Node, ...]]:
    """The best witness among what a rule asks, and what it asks of those who have it."""
    best: Witness | None = None
    proved: Node | None = None
    for node in asks:
        one = witness(node, spread)
        if one is not None and (best is None or _worth(one, spread) > _worth(best, spread)):
            best, proved = one, node if one.proof else None
    return best, tuple(node for node in asks if node is not proved)


def witness(node: Node, spread: Counter[str | None]) -> Witness | None:
    """The best witness of a condition, or None when it could match an event of any values.

    `spread` says how many values the rules ask of a field: of an `and`, the child on the field that tells
    rules apart best is the witness; of an `or`, every child must have one.
    """
    match node:
        case Leaf():
            return _of_leaf(node)
        case And(children):
            found = [one for child in children if (one := witness(child, spread)) is not None]
            best = max(found, key=lambda one: _worth(one, spread), default=None)
            return best and Witness(best.exact, best.literal, best.proof and len(children) == 1)
        case Or(children):
            each = [one for child in children if (one := witness(child, spread)) is not None]
            if len(each) < len(children):
                return None
            return Witness(
                frozenset(pair for one in each for pair in one.exact),
                frozenset(pair for one in each for pair in one.literal),
                all(one.proof for one in each),
            )
        case _:
            return None


def _of_leaf(leaf: Leaf) -> Witness | None:
    text = str(leaf.value).lower()
    if leaf.op == "equals":
        return Witness(frozenset({(leaf.field, text)}), frozenset(), not leaf.cased)
    if leaf.op == "glob":
        text = max((part.lower() for wild, part in split_glob(str(leaf.value)) if not wild), key=len, default="")
    elif leaf.op not in ("contains", "startswith", "endswith"):
        return None
    if len(text) < SHORTEST_LITERAL:
        return None
    return Witness(frozenset(), frozenset({(leaf.field, text)}), leaf.op == "contains" and not leaf.cased)


def _worth(one: Witness, spread: Counter[str | None]) -> tuple[bool, int, int]:
    apart = min((spread[name] for name, _ in chain(one.exact, one.literal)), default=0)
    return not one.literal, apart, -len(one.exact)


def _spread(rules: Iterable[Rule]) -> Counter[str | None]:
    pairs = {pair for rule in rules for pair in _exact_pairs(rule.condition)}
    return Counter(name for name, _ in pairs)


def _exact_pairs(node: Node) -> Iterator[Pair]:
    match node:
        case Leaf(field=str(name), op="equals", value=value):
            yield name, str(value).lower()
        case And(children) | Or(children):
            for child in children:
                yield from _exact_pairs(child)
