"""The extended condition of a temporal correlation: `a and (b or c) and not d`, as the ways it can be met."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

MOST_CLAUSES = 64
_DEEPEST = 50
_TOKEN = re.compile(r"\s*(?:([()])|([\w.-]+)|(\S))")


@dataclass(frozen=True, slots=True)
class Clause:
    """One way to meet a condition: all of the positive match, none of the negative. Names, then places of rules."""

    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    present: tuple[int, ...] = field(default=())
    missing: tuple[int, ...] = field(default=())

    @property
    def names(self) -> tuple[str, ...]:
        """Every rule it speaks of."""
        return (*self.positive, *self.negative)

    def placed(self, rules: Sequence[str]) -> Clause:
        """The clause with the places its names have in `rules`; names that are not there are left out."""
        places = {name: place for place, name in enumerate(rules)}
        return Clause(
            self.positive,
            self.negative,
            tuple(sorted(places[name] for name in self.positive if name in places)),
            tuple(sorted(places[name] for name in self.negative if name in places)),
        )


Ways = list[tuple[frozenset[str], frozenset[str]]]


def clauses(condition: str) -> tuple[Clause, ...]:
    """The ways a condition can be met, in no more than MOST_CLAUSES clauses.

    Raises:
        ValueError: when it cannot be read, can never be met, or could be met by nothing happening.
    """
    tokens = _tokens(condition)
    ways, at = _either(tokens, 0, 0, wanted=True)
    if at < len(tokens):
        raise ValueError(f"the condition cannot be read from {tokens[at]!r} on")
    met = [(positive, negative) for positive, negative in ways if not positive & negative]
    if not met:
        raise ValueError("the condition can never be met")
    if not all(positive for positive, _ in met):
        raise ValueError("the condition could be met by nothing happening: name something that must match")
    order = {name: place for place, name in reversed(list(enumerate(tokens)))}
    return tuple(
        Clause(tuple(sorted(positive, key=order.__getitem__)), tuple(sorted(negative, key=order.__getitem__)))
        for positive, negative in dict.fromkeys(met)
    )


def _tokens(condition: str) -> list[str]:
    tokens: list[str] = []
    for bracket, word, other in _TOKEN.findall(condition):
        if other:
            raise ValueError(f"{other!r} in a condition cannot be read")
        tokens.append(bracket or word)
    return tokens


def _either(tokens: list[str], at: int, depth: int, wanted: bool) -> tuple[Ways, int]:
    ways, at = _both(tokens, at, depth, wanted)
    while at < len(tokens) and tokens[at] == "or":
        more, at = _both(tokens, at + 1, depth, wanted)
        ways = ways + more if wanted else _joined(ways, more)
    return _few(ways), at


def _both(tokens: list[str], at: int, depth: int, wanted: bool) -> tuple[Ways, int]:
    ways, at = _one(tokens, at, depth, wanted)
    while at < len(tokens) and tokens[at] == "and":
        more, at = _one(tokens, at + 1, depth, wanted)
        ways = _joined(ways, more) if wanted else ways + more
    return _few(ways), at


def _one(tokens: list[str], at: int, depth: int, wanted: bool) -> tuple[Ways, int]:
    if at >= len(tokens) or tokens[at] in ("and", "or", ")"):
        raise ValueError(f"the condition cannot be read: a name is missing {_before(tokens, at)}")
    if depth > _DEEPEST:
        raise ValueError("the condition is nested too deep")
    if tokens[at] == "not":
        return _one(tokens, at + 1, depth + 1, not wanted)
    if tokens[at] == "(":
        ways, at = _either(tokens, at + 1, depth + 1, wanted)
        if at >= len(tokens) or tokens[at] != ")":
            raise ValueError(f"the condition cannot be read: ) is missing {_before(tokens, at)}")
        return ways, at + 1
    name = frozenset((tokens[at],))
    return [(name, frozenset()) if wanted else (frozenset(), name)], at + 1


def _joined(ways: Ways, more: Ways) -> Ways:
    return [(one[0] | other[0], one[1] | other[1]) for one, other in product(_few(ways), _few(more))]


def _few(ways: Ways) -> Ways:
    if len(ways) > MOST_CLAUSES:
        raise ValueError(f"the condition can be met in more than {MOST_CLAUSES} ways: make it simpler")
    return ways


def _before(tokens: list[str], at: int) -> str:
    return f"before {tokens[at]!r}" if at < len(tokens) else "at its end"
