"""Rules that could fire on some logs but for a field these never hold: misspelt, renamed, or not logged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from rules.closure import compiled
from rules.compile import RuleSet
from rules.condition import And, Leaf, Node, Not, Or, called
from rules.document import Document, Key, RuleError, documents_of
from rules.parsed import identity, items
from rules.reach import Dead, Seen, never_fires
from rules.rule import Rule
from rules.view import View

MOST_NAMED = 4


class Blocked(NamedTuple):
    """A rule that cannot fire, and how many events fit but for the fields that are missing: none, and all is well."""

    dead: Dead
    fit: int


def unreachable(rules: RuleSet, paths: Sequence[Path], seen: Seen, views: Iterable[View]) -> list[RuleError]:
    """What to say of rules that cannot fire on these events although the events they are about are there.

    A rule about something that never happened is not named: that its fields never occur means nothing.

    Args:
        rules: the rules of `paths`, which tell the places.
        paths: files and folders of rules.
        seen: the fields each source's records held.
        views: the same records.
    """
    documents = {identity(document): document for document in documents_of(paths)[0]}
    found = blocked(rules, seen, views)
    named = [one for one in found if one.fit and one.dead.rule.id in documents]
    return sorted(_error(documents[one.dead.rule.id], one, seen) for one in named)


def blocked(rules: RuleSet, seen: Seen, views: Iterable[View]) -> list[Blocked]:
    """The rules that cannot fire on these events, each with how many of them lack nothing but its missing fields."""
    dead = [one for one in never_fires(rules, seen) if one.fields]
    lenient = RuleSet([_lenient(one) for one in dead])
    fit = Counter(rule.id for view in views for rule in lenient.matching(view)) if dead else Counter[str]()
    return [Blocked(one, fit[one.rule.id]) for one in dead]


def _lenient(dead: Dead) -> Rule:
    condition = _granted(dead.rule.condition, frozenset(dead.fields), True)
    return replace(dead.rule, condition=condition, matches=compiled(condition), evidence=())


def _granted(node: Node, missing: Set[str], wanted: bool) -> Node:
    """The condition as if every test of a missing field came out as it should."""
    match node:
        case Leaf(field=field, op=op, value=value):
            asked = [name for name in (field, str(value) if op == "fieldref" else None) if name is not None]
            if not any(called(name) in missing for name in asked):
                return node
            return And(()) if wanted else Or(())
        case Not(child):
            return Not(_granted(child, missing, not wanted))
        case And(children):
            return And(tuple(_granted(child, missing, wanted) for child in children))
        case Or(children):
            return Or(tuple(_granted(child, missing, wanted) for child in children))


def _error(document: Document, found: Blocked, seen: Seen) -> RuleError:
    dead, fit = found
    named = ", ".join(dead.fields[:MOST_NAMED]) + (", ..." if len(dead.fields) > MOST_NAMED else "")
    what = f"it can never fire on these logs: {fit} events fit but for {named}, which no record of them has"
    there = sorted({path for source in dead.sources for path in seen[source]})
    near = get_close_matches(dead.fields[0], there, n=1, cutoff=0.75)
    hint = f"did you mean {near[0]!r}?" if near else _HINT
    return document.error(what, hint, _place(document, dead.fields))


_HINT = "mend its name or write a mapping, unless the source sends it only now and then"


def _place(document: Document, fields: Sequence[str]) -> list[Key]:
    """The first line of the detection that speaks of one of the fields."""
    stack: list[tuple[list[Key], object]] = [(["detection"], document.at(["detection"]))]
    while stack:
        at, value = stack.pop()
        for key, inner in items(value):
            if str(key).partition("|")[0].removeprefix("auditwatch.").removeprefix("raw.") in fields:
                return [*at, key]
            stack.append(([*at, key], inner))
    return ["detection"]
