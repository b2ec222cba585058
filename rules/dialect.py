"""What Sigma has and pySigma does not read, written as it does: lists for placeholders, `2 of x*`, `utf16le`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, islice
from typing import Any

from rules.lists import Lists, expands, filled
from rules.parsed import items

MOST_CHOICES = 1000
"""Combinations `2 of x*` may stand for."""

_AT_LEAST = re.compile(r"\b([2-9]|[1-9]\d+)\s+of\s+([\w*-]+)", re.IGNORECASE)
_SPELLINGS = {"utf16le": "wide"}


class ConditionError(ValueError):
    """A condition that asks for more than there is, or for too many combinations."""


def plain(detection: Any, lists: Lists) -> Any:
    """A detection section as pySigma reads it.

    Raises:
        ConditionError: what its condition asks cannot be.
    """
    if not isinstance(detection, dict):
        return detection
    names = [name for name in detection if name not in ("condition", "rules")]
    return {
        key: _condition(value, names) if key == "condition" else value if key == "rules" else _items(value, lists)
        for key, value in detection.items()
    }


def _items(part: Any, lists: Lists) -> Any:
    if isinstance(part, list):
        return [_items(one, lists) for one in part]
    if not isinstance(part, dict):
        return part
    return {_key(key): filled(value, lists) if expands(key) else _items(value, lists) for key, value in items(part)}


def _key(key: Any) -> Any:
    if not isinstance(key, str) or "|" not in key:
        return key
    field, *modifiers = key.split("|")
    return "|".join([field, *(_SPELLINGS.get(one, one) for one in modifiers if one != "expand")])


def _condition(condition: Any, names: Sequence[str]) -> Any:
    if isinstance(condition, list):
        return [_condition(one, names) for one in condition]
    if not isinstance(condition, str):
        return condition
    return _AT_LEAST.sub(lambda found: _at_least(int(found[1]), found[2], names), condition)


def _at_least(count: int, pattern: str, names: Sequence[str]) -> str:
    """`2 of x*` as the `or` of every two of them."""
    wanted = re.compile(".*" if pattern == "them" else re.escape(pattern).replace(r"\*", ".*"))
    meant = [name for name in names if wanted.fullmatch(name) and not name.startswith("_")]
    if len(meant) < count:
        raise ConditionError(f"{count} of {pattern}: there are {len(meant)} of them")
    chosen = list(islice(combinations(meant, count), MOST_CHOICES + 1))
    if len(chosen) > MOST_CHOICES:
        raise ConditionError(f"{count} of {pattern} stands for more than {MOST_CHOICES:,} combinations")
    return "(" + " or ".join(f"({' and '.join(each)})" for each in chosen) + ")"
