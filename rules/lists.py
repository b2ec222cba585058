"""Lists of values that rules name as placeholders: `user|expand: '%admins%'`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from rules.document import Document, Key, RuleError, did_you_mean
from rules.parsed import items

Lists = Mapping[str, Sequence[str]]

MOST_VALUES = 10_000
"""Values one item may have after its placeholders are filled in."""

_PLACEHOLDER = re.compile(r"%([^%\\]+)%")


def read_lists(document: Document, lists: dict[str, Sequence[str]], errors: list[RuleError]) -> None:
    """Adds the lists of a document to `lists`; what is wrong with them to `errors`."""
    errors += document.unknown_keys(("lists", "description"))
    given = document.data["lists"]
    if not isinstance(given, dict):
        errors.append(document.error("lists must be a mapping", "NAME: [value, value]", ["lists"]))
        return
    for name, values in given.items():
        at = ["lists", name]
        if name in lists:
            errors.append(document.error(f"the list {name!r} is written twice", "join the two", at))
        elif not isinstance(values, list) or not values or not all(type(one) in (str, int, float) for one in values):
            errors.append(document.error(f"the list {name!r} must hold values", "[text or numbers]", at))
        else:
            lists[name] = [str(value) for value in values]


def unknown_lists(document: Document, at: list[Key], lists: Lists) -> Iterator[RuleError]:
    """An error for every placeholder below a place of a document that names no list, or stands for too much."""
    for key, value in items(document.at(at)):
        place = [*at, key]
        if not expands(key):
            yield from unknown_lists(document, place, lists)
            continue
        names = [name for text in _listed(value) for name in _PLACEHOLDER.findall(str(text))]
        for name in names:
            if name not in lists:
                yield document.error(f"no list called {name!r}", _hint(name, lists), place)
        if all(name in lists for name in names) and len(filled(value, lists)) > MOST_VALUES:
            yield document.error(f"the placeholders stand for more than {MOST_VALUES:,} values", "use fewer", place)


def expands(key: Key) -> bool:
    """Whether the values of an item hold placeholders."""
    return isinstance(key, str) and "expand" in key.split("|")[1:]


def filled(value: Any, lists: Lists) -> list[Any]:
    """The values of an item with the lists' in the place of their names: every combination."""
    found: list[Any] = []
    for one in _listed(value):
        if len(found) > MOST_VALUES:
            break
        parts = _PLACEHOLDER.split(one) if isinstance(one, str) else [one]
        if len(parts) == 1:
            found.append(one)
            continue
        choices = [lists[part] if at % 2 else (part,) for at, part in enumerate(parts)]
        found += ("".join(choice) for choice, _ in zip(product(*choices), range(MOST_VALUES + 1), strict=False))
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _hint(name: str, lists: Lists) -> str:
    return did_you_mean(name, lists) if lists else f"write one beside the rules: lists: {{{name}: [value, value]}}"
