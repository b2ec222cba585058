"""Which rules can never fire on the records a source really sends, and the fields they miss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from rules.compile import RuleSet
from rules.condition import And, Leaf, Node, Not, Or, called, fields
from rules.fields import EITHER
from rules.rule import Rule

MOST_DEPTH = 16
"""Levels of a record whose fields are noted."""

_SELECTOR = re.compile(r"\[[^\]]*\]")

Seen = Mapping[str, Set[str]]
"""Source -> the dotted paths its records have been seen to hold, as `seen_fields` notes them."""


@dataclass(frozen=True, slots=True)
class Dead:
    """A rule that cannot fire on the records seen of its sources: what it needs of `fields` they never hold."""

    rule: Rule
    sources: tuple[str, ...]
    fields: tuple[str, ...]


def seen_fields(record: Mapping[str, Any], seen: set[str]) -> None:
    """Adds the dotted path of everything a record holds to `seen`; members of a list share its path."""
    stack: list[tuple[str, Any, int]] = [(str(key), value, 1) for key, value in record.items()]
    while stack:
        path, value, depth = stack.pop()
        seen.add(path)
        if depth == MOST_DEPTH:
            continue
        if isinstance(value, dict):
            stack += [(f"{path}.{key}", inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            stack += [(path, inner, depth + 1) for inner in value if isinstance(inner, dict | list)]


def never_fires(rules: RuleSet, seen: Seen) -> list[Dead]:
    """The rules whose condition cannot hold on any record with no other fields than those seen of its sources.

    Rules of sources of which nothing was seen are left out; so are rules that are off.
    """
    found: list[Dead] = []
    for rule in rules.rules:
        sources = [source for source in rule.sources or seen if source in seen]
        if rule.stage == "off" or not sources:
            continue
        if not any(_can(rule.condition, True, seen[source]) for source in sources):
            there = frozenset[str]().union(*(seen[source] for source in sources))
            found.append(Dead(rule, tuple(sources), tuple(_missing(rule, there))))
    return found


def _missing(rule: Rule, there: Set[str]) -> Iterable[str]:
    return dict.fromkeys(called(field) for field in fields(rule.condition) if not _is_there(field, there))


def _can(node: Node, wanted: bool, there: Set[str]) -> bool:
    """Whether a condition can come out as wanted, a field that is not there being missing from every record."""
    match node:
        case Leaf(field=field, op=op, value=value):
            if field is None:
                return True
            if _is_there(field, there) and (op != "fieldref" or _is_there(str(value), there)):
                return True
            return wanted == (op == "null" or (op == "exists" and not value))
        case Not(child):
            return _can(child, not wanted, there)
        case And(children):
            return (all if wanted else any)(_can(child, wanted, there) for child in children)
        case Or(children):
            return (any if wanted else all)(_can(child, wanted, there) for child in children)


def _is_there(field: str, there: Set[str]) -> bool:
    return any(name.startswith("auditwatch.") or _SELECTOR.sub("", name) in there for name in field.split(EITHER))
