"""What an event must have to match a condition at all: the key under which an index finds its rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rules.condition import And, Leaf, Node, Or, split_glob

SHORTEST_LITERAL = 3

Kind = Literal["exact", "literal", "pattern"]

_RANK: dict[Kind, int] = {"exact": 2, "literal": 1, "pattern": 0}
"""An exact text is found by one look-up, a literal by looking for it, a pattern by running it."""


class Clue(NamedTuple):
    """A field (None: anywhere in the event) that is a lower-case text, contains one, or has a pattern in it."""

    kind: Kind
    field: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Witness:
    """An event that has none of the clues cannot match. `proof`: to have one of them is all that is asked."""

    clues: frozenset[Clue]
    proof: bool = False


Spread = Counter[str | None]
"""How many values the rules ask of a field."""


def best(asks: Sequence[Node], spread: Spread) -> tuple[Witness | None, tuple[Node, ...]]:
    """The best witness among what a rule asks, and what remains to be asked of an event that has it."""
    found: Witness | None = None
    proved: Node | None = None
    for node in asks:
        one = witness(node, spread)
        if one is not None and (found is None or _worth(one, spread) > _worth(found, spread)):
            found, proved = one, node if one.proof else None
    return found, tuple(node for node in asks if node is not proved)


def witness(node: Node, spread: Spread) -> Witness | None:
    """The best witness of a condition, or None when it could match an event of any values.

    Of an `and`, the child on the field that tells rules apart best is the witness; of an `or`, every child must
    have one.
    """
    match node:
        case Leaf():
            return _of_leaf(node)
        case And(children):
            found = [one for child in children if (one := witness(child, spread)) is not None]
            chosen = max(found, key=lambda one: _worth(one, spread), default=None)
            return chosen and Witness(chosen.clues, chosen.proof and len(children) == 1)
        case Or(children):
            each = [one for child in children if (one := witness(child, spread)) is not None]
            if len(each) < len(children):
                return None
            return Witness(frozenset(clue for one in each for clue in one.clues), all(one.proof for one in each))
        case _:
            return None


def spread_of(conditions: Iterable[Node]) -> Spread:
    """How many values conditions ask of each field."""
    return Counter(name for name, _ in {pair for node in conditions for pair in _exact_pairs(node)})


def _of_leaf(leaf: Leaf) -> Witness | None:
    text = str(leaf.value).lower()
    match leaf.op:
        case "equals" if leaf.field is not None:
            return Witness(frozenset({Clue("exact", leaf.field, text)}), not leaf.cased)
        case "regex" if leaf.field is not None:
            return Witness(frozenset({Clue("pattern", leaf.field, str(leaf.value))}), True)
        case "glob":
            text = max((part.lower() for wild, part in split_glob(str(leaf.value)) if not wild), key=len, default="")
        case "contains" | "startswith" | "endswith":
            pass
        case _:
            return None
    if len(text) < SHORTEST_LITERAL:
        return None
    return Witness(frozenset({Clue("literal", leaf.field, text)}), leaf.op == "contains" and not leaf.cased)


def _worth(one: Witness, spread: Spread) -> tuple[int, int, int]:
    rank = min((_RANK[clue.kind] for clue in one.clues), default=len(_RANK))
    apart = min((spread[clue.field] for clue in one.clues), default=0)
    return rank, apart, -len(one.clues)


def _exact_pairs(node: Node) -> Iterator[tuple[str, str]]:
    match node:
        case Leaf(field=str(name), op="equals", value=value):
            yield name, str(value).lower()
        case And(children) | Or(children):
            for child in children:
                yield from _exact_pairs(child)
