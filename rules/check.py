"""Everything wrong with rules: what keeps them from loading, what is missing in them, what says the same twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rules.compile import RuleSet
from rules.correlation import Correlation
from rules.document import Document, RuleError, RuleErrors, documents_of
from rules.exceptions import expired
from rules.lint import lint
from rules.overlap import overlaps
from rules.parsed import identity
from rules.sigma import load
from rules.tests import far_misses

By = Mapping[str, Document]
"""The documents of rules and correlations by id."""


def check(paths: Sequence[Path], now: int | None = None) -> list[RuleError]:
    """Everything wrong with the rules of files and folders, by place: errors that keep them from loading, and lint.

    Exceptions that have ended at `now` (microseconds) are among it; None leaves them out.
    """
    errors: list[RuleError] = []
    documents, _ = documents_of(paths)
    try:
        rules = load(paths)
    except RuleErrors as found:
        errors += found.errors
    else:
        errors += _together(rules, by_id(documents))
        errors += expired(rules.exceptions, now) if now is not None else []
    for document in documents:
        errors += lint(document)
    errors += _same_titles(documents)
    return sorted(set(errors))


def by_id(documents: Sequence[Document]) -> dict[str, Document]:
    """The documents of rules and correlations by their id."""
    return {identity(one): one for one in documents if "detection" in one.data or "correlation" in one.data}


def _together(rules: RuleSet, documents: By) -> Iterator[RuleError]:
    """What shows only once all rules are loaded."""
    for one in overlaps(rules):
        document, other = documents[one.extra.id], documents[one.other.id]
        part = "correlation" if isinstance(one.extra, Correlation) else "detection"
        where = f"{other.path}:{other.place([])[0]} ({one.other.title})"
        if one.same:
            yield document.error(f"the same logic as {where}", "delete one of the two", [part])
        else:
            hint = "delete it, make it graver, or narrow the other"
            yield document.error(f"it fires only where {where} fires too, which is no less grave", hint, [part])
    for rule in rules.rules:
        for test in far_misses(rule):
            yield RuleError(
                rule.path, test.line, 1, f"the near miss {test.name!r} is far: it has nothing of the rule", _NEAR
            )


_NEAR = "take the event that must match and change the one thing that makes the difference"


def _same_titles(documents: Sequence[Document]) -> Iterator[RuleError]:
    first: dict[str, Document] = {}
    for document in documents:
        title = document.data.get("title")
        if not isinstance(title, str):
            continue
        earlier = first.setdefault(title.lower(), document)
        if earlier is not document:
            where = f"{earlier.path}:{earlier.place(['title'])[0]}"
            yield document.error(f"the title is used twice, first in {where}", "say what sets the two apart", ["title"])
