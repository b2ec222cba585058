"""Rules that say what another one says already: the same condition twice, or a narrower one that adds nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from audit.finding import at_least
from rules.compile import RuleSet
from rules.condition import And, Leaf, Node, Not, Or, conjuncts, fields, positive
from rules.correlation import Correlation
from rules.rule import Rule

MOST_STEPS = 20_000
"""Steps one comparison may take; conditions so large are taken for different."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """`extra` adds nothing to `other`: it asks the `same`, or asks more and is no graver."""

    extra: Rule | Correlation
    other: Rule | Correlation
    same: bool


def overlaps(rules: RuleSet) -> list[Overlap]:
    """The rules and correlations of a set that another one makes superfluous, each named once."""
    running = [rule for rule in rules.rules if rule.stage != "off"]
    found = [*_duplicates(running), *_repeated(rules.correlations)]
    named = {one.extra.id for one in found}
    shown = [rule for rule in running if rule.id not in named and rule.stage == "live" and not rule.silent]
    return [*found, *_shadowed(shown)]


def _duplicates(rules: Sequence[Rule]) -> Iterator[Overlap]:
    first: dict[object, Rule] = {}
    for rule in rules:
        key = (rule.sources, normal(rule.condition))
        earlier = first.setdefault(key, rule)
        if earlier is not rule:
            yield Overlap(rule, earlier, same=True)


def _repeated(correlations: Sequence[Correlation]) -> Iterator[Overlap]:
    first: dict[str, Correlation] = {}
    for one in correlations:
        earlier = first.setdefault(one.stamp or one.id, one)
        if earlier is not one:
            yield Overlap(one, earlier, same=True)


def _shadowed(rules: Sequence[Rule]) -> Iterator[Overlap]:
    """Rules that only fire where another one fires too that is as grave or graver."""
    wanted = {rule.id: frozenset(_wanted(rule.condition)) for rule in rules}
    asked = {rule.id: frozenset(fields(rule.condition)) for rule in rules}
    often = Counter(value for values in wanted.values() for value in values)
    under: dict[object, list[Rule]] = defaultdict(list)
    for rule in rules:
        for value in _anchor(rule.condition, often):
            under[value].append(rule)
    for narrow in rules:
        near = [other for value in (None, *wanted[narrow.id]) for other in under[value]]
        for other in dict.fromkeys(near):
            if other is not narrow and asked[other.id] <= asked[narrow.id] and _covers(other, narrow):
                yield Overlap(narrow, other, same=False)
                break


def _anchor(condition: Node, often: Mapping[object, int]) -> list[object]:
    """Values of which whatever fits wants one, the least common; [None] where there are none."""
    found = [list(_wanted(part)) for part in conjuncts(condition) if _is_wanted(part)]
    return min(found, key=lambda values: sum(often[value] for value in values), default=[None])


def _is_wanted(node: Node) -> bool:
    if isinstance(node, Or):
        return all(map(_is_wanted, node.children))
    return isinstance(node, Leaf) and node.op == "equals"


def _wanted(node: Node) -> Iterator[object]:
    """The (field, value) pairs that are asked for anywhere outside a `not`."""
    return ((leaf.field, str(leaf.value).lower()) for leaf in positive(node) if leaf.op == "equals")


def _covers(other: Rule, narrow: Rule) -> bool:
    return (
        at_least(other.severity, narrow.severity)
        and (not other.sources or (bool(narrow.sources) and set(narrow.sources) <= set(other.sources)))
        and implies(narrow.condition, other.condition)
    )


def normal(node: Node) -> object:
    """A form that is the same for conditions that differ only in order, repetition and nesting."""
    match node:
        case Leaf(op=op, value=value, cased=cased):
            text = str(value)
            return (node.field, op, text if cased or op == "regex" else text.lower(), cased, node.detail)
        case Not(Not(child)):
            return normal(child)
        case Not(child):
            return ("not", normal(child))
        case And(children):
            parts = frozenset(normal(part) for child in children for part in conjuncts(child))
            return next(iter(parts)) if len(parts) == 1 else ("and", parts)
        case Or(children):
            parts = frozenset(normal(part) for child in children for part in _disjuncts(child))
            return next(iter(parts)) if len(parts) == 1 else ("or", parts)


def _disjuncts(node: Node) -> tuple[Node, ...]:
    if not isinstance(node, Or):
        return (node,)
    return tuple(part for child in node.children for part in _disjuncts(child))


def implies(narrow: Node, wide: Node) -> bool:
    """Whether whatever fits `narrow` is known to fit `wide`; False also where that is not seen from their form."""
    return _Implication().holds(narrow, wide)


class _Implication:
    """One comparison of two conditions, with a bound on its length."""

    __slots__ = ("_known", "_steps")

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], bool] = {}
        self._steps = 0

    def holds(self, narrow: Node, wide: Node) -> bool:
        """See `implies`."""
        key = (id(narrow), id(wide))
        if key not in self._known:
            self._steps += 1
            self._known[key] = self._steps < MOST_STEPS and self._holds(narrow, wide)
        return self._known[key]

    def _holds(self, narrow: Node, wide: Node) -> bool:
        if isinstance(narrow, Leaf) and isinstance(wide, Leaf):
            return _leaf_implies(narrow, wide)
        if isinstance(wide, And):
            return all(self.holds(narrow, child) for child in wide.children)
        if isinstance(narrow, Or):
            return all(self.holds(child, wide) for child in narrow.children)
        if isinstance(narrow, Not) and isinstance(wide, Not):
            return self.holds(wide.child, narrow.child)
        return (isinstance(narrow, And) and any(self.holds(child, wide) for child in narrow.children)) or (
            isinstance(wide, Or) and any(self.holds(narrow, child) for child in wide.children)
        )


def _leaf_implies(narrow: Leaf, wide: Leaf) -> bool:
    if normal(narrow) == normal(wide):
        return True
    if narrow.field != wide.field:
        return False
    if wide.op == "exists":
        return wide.value is True and narrow.op not in ("exists", "null")
    if wide.cased and not narrow.cased:
        return False
    a, b = str(narrow.value), str(wide.value)
    if not wide.cased:
        a, b = a.lower(), b.lower()
    match narrow.op, wide.op:
        case ("equals", "equals"):
            return a == b
        case ("equals" | "startswith", "startswith"):
            return a.startswith(b)
        case ("equals" | "endswith", "endswith"):
            return a.endswith(b)
        case ("equals" | "startswith" | "endswith" | "contains", "contains"):
            return b in a
    return False
