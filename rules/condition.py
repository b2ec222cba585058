"""What a rule asks of an event, as data: tests of fields, joined by and, or, not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Op = Literal[
    "equals",  # value: text
    "contains",  # value: text
    "startswith",  # value: text
    "endswith",  # value: text
    "glob",  # value: text with * and ?, a backslash before a literal one
    "regex",  # value: RE2 pattern, searched
    "lt",  # value: number
    "lte",
    "gt",
    "gte",
    "cidr",  # value: network
    "exists",  # value: bool
    "null",  # missing or null
    "fieldref",  # value: other field; detail: equals, startswith, endswith, contains
    "part",  # value: number; detail: minute, hour, day, week, month, year (UTC)
]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One test of one field; `field` None asks for the value anywhere in the event (a keyword).

    Fields of the normalised event begin with "auditwatch."; all others are paths into the vendor's record.
    """

    field: str | None
    op: Op
    value: str | int | float | bool | None
    cased: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class And:
    """All children hold."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one child holds."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The child does not hold."""

    child: Node


Node = Leaf | And | Or | Not

_VERBS: dict[str, str] = {
    "equals": "is",
    "contains": "contains",
    "startswith": "begins with",
    "endswith": "ends with",
    "glob": "looks like",
    "regex": "matches",
    "lt": "is below",
    "lte": "is at most",
    "gt": "is above",
    "gte": "is at least",
    "cidr": "is in",
}


def words(leaf: Leaf) -> str:
    """The test in plain words. Only the rule's own text appears, never the record's: it may hold a secret."""
    field = "the event" if leaf.field is None else called(leaf.field)
    if leaf.op == "exists":
        return f"{field} is {'present' if leaf.value else 'absent'}"
    if leaf.op == "null":
        return f"{field} is empty"
    if leaf.op == "fieldref":
        return f"{field} {_VERBS[leaf.detail]} the value of {called(str(leaf.value))}"
    if leaf.op == "part":
        return f"the {leaf.detail} of {field} is {leaf.value}"
    return f"{field} {_VERBS[leaf.op]} {_shown(leaf)}"


def called(field: str) -> str:
    """A canonical field as its rule calls it."""
    return field.partition("|")[0].removeprefix("auditwatch.")


def _shown(leaf: Leaf) -> str:
    text = str(leaf.value)
    return text if len(text) <= 120 else text[:117] + "..."


def positive(node: Node) -> Iterator[Leaf]:
    """The tests that speak for the rule: those under no `not`."""
    match node:
        case Leaf():
            yield node
        case And(children) | Or(children):
            for child in children:
                yield from positive(child)
        case Not():
            return


def conjuncts(node: Node) -> tuple[Node, ...]:
    """All of what must hold for the node to hold, each part once."""
    if not isinstance(node, And):
        return (node,)
    return tuple(dict.fromkeys(part for child in node.children for part in conjuncts(child)))


def fields(node: Node) -> Iterator[str]:
    """Every field the condition reads, keywords excepted."""
    match node:
        case Leaf(field=field, op=op, value=value):
            if field is not None:
                yield field
            if op == "fieldref":
                yield str(value)
        case And(children) | Or(children):
            for child in children:
                yield from fields(child)
        case Not(child):
            yield from fields(child)


def split_glob(pattern: str) -> list[tuple[bool, str]]:
    """A glob as (wildcard?, text) pieces: wildcards are "*" or "?", everything else is literal text."""
    pieces: list[tuple[bool, str]] = []
    literal: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and pattern[position + 1 : position + 2] in ("*", "?", "\\"):
            position += 1
            literal.append(pattern[position])
        elif char in "*?":
            if literal:
                pieces.append((False, "".join(literal)))
                literal = []
            pieces.append((True, char))
        else:
            literal.append(char)
        position += 1
    if literal:
        pieces.append((False, "".join(literal)))
    return pieces
