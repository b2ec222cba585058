"""Which rule somebody means who names it at a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rules.compile import RuleSet
from rules.correlation import Correlation, feeds_of
from rules.document import did_you_mean
from rules.rule import Rule

SHORTEST_ID = 4
"""Characters of an id that may stand for the whole."""


class NoSuchRule(LookupError):
    """Nothing, or too much, is called so; the text says what there is instead."""


def everything(rules: RuleSet) -> list[Rule | Correlation]:
    """The rules and correlations of a set."""
    return [*rules.rules, *rules.correlations]


def find(rules: RuleSet, text: str) -> Rule | Correlation:
    """The one rule or correlation of this id, name, file or title; the beginning of an id or a part of a title will do.

    Raises:
        NoSuchRule: none is called so, or several are.
    """
    found = find_all(rules, text)
    if len(found) > 1:
        shown = "\n".join(f"  {one.id}  {one.title}" for one in found[:10])
        raise NoSuchRule(f"{len(found)} rules are called {text!r}; give the id of one:\n{shown}")
    return found[0]


def find_all(rules: RuleSet, text: str) -> list[Rule | Correlation]:
    """All that a word may stand for, by the first way of naming that fits: id, name, file, start of an id, title.

    Raises:
        NoSuchRule: none is called so.
    """
    known = everything(rules)
    lower = text.lower()
    ways: tuple[Callable[[Rule | Correlation], bool], ...] = (
        lambda one: lower in (one.id.lower(), one.name.lower()),
        lambda one: _is_file(one, text),
        lambda one: len(text) >= SHORTEST_ID and one.id.lower().startswith(lower),
        lambda one: one.title.lower() == lower,
        lambda one: lower in one.title.lower(),
    )
    for way in ways:
        if text and (found := [one for one in known if way(one)]):
            return found
    raise NoSuchRule(f"no rule is called {text!r}: {_hint(text, known)}")


def closure(wanted: Iterable[Rule | Correlation]) -> set[str]:
    """The ids of these rules and correlations, and of the rules the correlations count."""
    chosen = list(wanted)
    counted = {feed.rule_id for one in chosen if isinstance(one, Correlation) for feed in feeds_of(one)}
    return {one.id for one in chosen} | counted


def _is_file(one: Rule | Correlation, text: str) -> bool:
    path = Path(text)
    return text in (str(one.path), one.path.name, one.path.stem) or (
        path.suffix in (".yml", ".yaml") and path.resolve() == one.path.resolve()
    )


def _hint(text: str, known: Sequence[Rule | Correlation]) -> str:
    if not known:
        return "there are no rules here"
    hint = did_you_mean(text, [name for one in known for name in (one.title, one.path.stem, one.name) if name])
    return hint if hint.startswith("did you mean") else "auditwatch rules list shows what there is"
