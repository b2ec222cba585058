"""Which rules an event can match at all: by witness, a value without which a rule cannot match."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rules.condition import And, Leaf, Node, Or, split_glob
from rules.fields import MISSING, Getter, View, getter, texts
from rules.rule import Rule

Pair = tuple[str, str]
"""A canonical field and a lower-case text."""

SHORTEST_LITERAL = 3


@dataclass(frozen=True, slots=True)
class Witness:
    """An event that has none of these cannot match: a field that is the text, or one that contains it."""

    exact: frozenset[Pair]
    literal: frozenset[Pair]


class Index:
    """The rules of one source, arranged so that an event meets only those it can match."""

    __slots__ = ("_always", "_exact", "_literal")

    def __init__(self, rules: Sequence[Rule]) -> None:
        exact: dict[str, dict[str, list[_Candidate]]] = defaultdict(lambda: defaultdict(list))
        literal: dict[str, dict[str, list[_Candidate]]] = defaultdict(lambda: defaultdict(list))
        self._always: list[_Candidate] = []
        spread = _spread(rules)
        for position, rule in enumerate(rules):
            candidate = (position, rule.matches, rule)
            found = witness(rule.condition, spread)
            if found is None:
                self._always.append(candidate)
                continue
            for field, text in found.exact:
                exact[field][text].append(candidate)
            for field, text in found.literal:
                literal[field][text].append(candidate)
        self._exact: list[tuple[Getter, dict[str, list[_Candidate]]]] = [
            (getter(field), dict(table)) for field, table in exact.items()
        ]
        self._literal: list[tuple[Getter, list[tuple[str, list[_Candidate]]]]] = [
            (getter(field), list(table.items())) for field, table in literal.items()
        ]

    def match(self, view: View) -> list[Rule]:
        """The rules that match, in the order the index was given them."""
        candidates = self._always.copy()
        for get, table in self._exact:
            value = get(view)
            if value.__class__ is str:
                found = table.get(value.lower())
                if found is not None:
                    candidates += found
            elif value is not MISSING and value is not None:
                _by_text(table, value, candidates)
        for get, literals in self._literal:
            value = get(view)
            if value is not MISSING and value is not None:
                _by_literal(literals, value, candidates)
        matched = [candidate for candidate in candidates if candidate[1](view)]
        if len(matched) < 2:
            return [rule for _, _, rule in matched]
        return [rule for _, rule in sorted({position: rule for position, _, rule in matched}.items())]


_Candidate = tuple[int, Callable[[View], bool], Rule]


def _by_text(table: dict[str, list[_Candidate]], value: Any, candidates: list[_Candidate]) -> None:
    for text in texts(value):
        candidates += table.get(text.lower(), ())


def _by_literal(literals: list[tuple[str, list[_Candidate]]], value: Any, candidates: list[_Candidate]) -> None:
    for text in [value] if value.__class__ is str else texts(value):
        lowered = text.lower()
        for literal, found in literals:
            if literal in lowered:
                candidates += found


def witness(node: Node, spread: Counter[str]) -> Witness | None:
    """The best witness of a condition, or None when it could match an event of any values.

    `spread` says how many values the rules ask of a field: of an `and`, the child on the field that tells
    rules apart best is the witness; of an `or`, every child must have one.
    """
    match node:
        case Leaf():
            return _of_leaf(node)
        case And(children):
            found = [one for child in children if (one := witness(child, spread)) is not None]
            return max(found, key=lambda one: _worth(one, spread), default=None)
        case Or(children):
            each = [witness(child, spread) for child in children]
            if any(one is None for one in each):
                return None
            return Witness(
                frozenset(pair for one in each if one for pair in one.exact),
                frozenset(pair for one in each if one for pair in one.literal),
            )
        case _:
            return None


def _of_leaf(leaf: Leaf) -> Witness | None:
    if leaf.field is None:
        return None
    text = str(leaf.value).lower()
    if leaf.op == "equals":
        return Witness(frozenset({(leaf.field, text)}), frozenset())
    if leaf.op == "glob":
        text = max((part.lower() for wild, part in split_glob(str(leaf.value)) if not wild), key=len, default="")
    elif leaf.op not in ("contains", "startswith", "endswith"):
        return None
    return Witness(frozenset(), frozenset({(leaf.field, text)})) if len(text) >= SHORTEST_LITERAL else None


def _worth(one: Witness, spread: Counter[str]) -> tuple[bool, int, int]:
    return not one.literal, min(spread[field] for field, _ in one.exact | one.literal), -len(one.exact)


def _spread(rules: Iterable[Rule]) -> Counter[str]:
    pairs = {pair for rule in rules for pair in _exact_pairs(rule.condition)}
    return Counter(field for field, _ in pairs)


def _exact_pairs(node: Node) -> list[Pair]:
    match node:
        case Leaf(field=str(field), op="equals", value=value):
            return [(field, str(value).lower())]
        case And(children) | Or(children):
            return [pair for child in children for pair in _exact_pairs(child)]
        case _:
            return []
