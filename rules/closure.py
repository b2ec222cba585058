"""A condition as one closure: the hot path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rules.condition import And, Leaf, Node, Not, Or, positive, words
from rules.leaf import GROUPABLE, Check, check
from rules.view import View

_COST = {"equals": 0, "exists": 0, "null": 0, "startswith": 1, "endswith": 1, "contains": 2, "glob": 4, "regex": 4}
_KEYWORD_COST = 20


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
