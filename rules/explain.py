"""Why a rule does, or does not, match one event: every test it makes, what it read, and how near it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from audit.redact import REDACTED, redact, redact_record
from rules.condition import And, Leaf, Node, Not, Or, called, words
from rules.exceptions import Excuse
from rules.fields import EITHER, getter
from rules.leaf import GROUPABLE, check
from rules.nearness import why_not
from rules.rule import Rule
from rules.view import MISSING, View, members

MOST_VALUES = 5
"""Values shown of a field that is a list."""
LONGEST_VALUE = 160
MOST_WANTED = 6
"""Wanted values named in one line; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place a test looks in: a path of the record ("eventName"), or a normalised field ("auditwatch.action").

    `values` are JSON texts without secrets, cut to LONGEST_VALUE.
    """

    path: str
    found: bool
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a condition: what it wants in words, whether it holds, where it looked; `why` it does not hold."""

    __test__ = False

    held: bool
    wants: str
    field: str
    places: tuple[Place, ...]
    why: str = ""

    @property
    def present(self) -> bool:
        """Whether the event has the field at all."""
        return any(place.found for place in self.places)


@dataclass(frozen=True, slots=True)
class Group:
    """Parts of a condition joined by a word; `not` has one part."""

    held: bool
    kind: Literal["all of", "one of", "not"]
    parts: tuple[Part, ...]


Part = Test | Group


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a rule makes of one event. `asked`: it is asked about events of this source at all."""

    rule: Rule
    event_id: str
    asked: bool
    tree: Part
    excuse: Excuse | None

    @property
    def matches(self) -> bool:
        """Whether the rule matches the event, whoever is excused."""
        return self.asked and self.tree.held


def explain(rule: Rule, view: View, excuse: Excuse | None = None) -> Explanation:
    """Why the rule matches the event in view or does not; nothing secret of the record is in the answer."""
    asked = rule.stage != "off" and rule.meets(view.event.source)
    return Explanation(rule, view.event.id, asked, part_of(rule.condition, view), excuse)


def part_of(node: Node, view: View) -> Part:
    """A condition as a tree of what held."""
    return _part(node, _Sight(view))


class _Sight:
    """A view, and the same without secrets."""

    __slots__ = ("shown", "view")

    def __init__(self, view: View) -> None:
        record: Any = redact_record(view.record)
        self.view = view
        self.shown = View(view.event, record, view.history, view.person, view.context)


def _part(node: Node, sight: _Sight) -> Part:
    match node:
        case Leaf():
            return _test([node], sight)
        case Not(child):
            inner = _part(child, sight)
            return Group(not inner.held, "not", (inner,))
        case And(children):
            parts = tuple(_part(child, sight) for child in children)
            return Group(all(part.held for part in parts), "all of", parts)
        case Or(children):
            return _one_of(children, sight)


def _one_of(children: Sequence[Node], sight: _Sight) -> Part:
    """Alternatives; values wanted of one field are one test."""
    groups: dict[object, list[Leaf]] = {}
    parts: list[list[Leaf] | Node] = []
    for child in children:
        if not isinstance(child, Leaf) or child.op not in GROUPABLE:
            parts.append(child)
            continue
        key = (child.field, child.op, child.cased)
        if key not in groups:
            groups[key] = []
            parts.append(groups[key])
        groups[key].append(child)
    made = tuple(_test(part, sight) if isinstance(part, list) else _part(part, sight) for part in parts)
    return made[0] if len(made) == 1 else Group(any(part.held for part in made), "one of", made)


def _test(leaves: Sequence[Leaf], sight: _Sight) -> Test:
    leaf = leaves[0]
    held = check(leaves)(sight.view)
    names = [] if leaf.field is None else leaf.field.split(EITHER)
    places = tuple(_place(name, sight) for name in names)
    field = "" if leaf.field is None else called(leaf.field)
    return Test(held, _wants(leaves), field, places, "" if held else why_not(leaves, sight.view, sight.shown))


def _wants(leaves: Sequence[Leaf]) -> str:
    first = words(leaves[0]) + (", case and all" if leaves[0].cased and leaves[0].op != "regex" else "")
    if len(leaves) == 1:
        return first
    others = [str(leaf.value) for leaf in leaves[1:]]
    more = f" or {len(others) - MOST_WANTED + 1} more" if len(others) >= MOST_WANTED else ""
    return f"{first}, {', '.join(others[: MOST_WANTED - 1])}{more}"


def _place(name: str, sight: _Sight) -> Place:
    read = getter(name)
    if read(sight.view) is MISSING:
        return Place(name, found=False)
    value = read(sight.shown)
    values = members(value) if value.__class__ is list else [value]
    shown = tuple(_shown(one) for one in values[:MOST_VALUES])
    return Place(name, True, shown + (("...",) if len(values) > MOST_VALUES else ()))


def _shown(value: Any) -> str:
    if value is MISSING:  # under a name that is itself a secret
        return REDACTED
    text = redact(value) if isinstance(value, str) else value
    try:
        written = msgspec.json.encode(text).decode()
    except (UnicodeEncodeError, RecursionError):
        written = ascii(text)
    return written if len(written) <= LONGEST_VALUE else written[: LONGEST_VALUE - 3] + "..."
