"""One test of one field as a closure. Every test is linear in the length of the value it reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import islice, product
from math import isfinite
from operator import ge, gt, le, lt
from typing import Any

import re2  # type: ignore[import-untyped]

from rules.condition import Leaf, split_glob
from rules.fields import Getter, getter
from rules.view import MISSING, View, everything, lowered, members, texts

Check = Callable[[View], bool]
Holds = Callable[[str], bool]

GROUPABLE = ("equals", "contains", "startswith", "endswith")
"""Tests that several values of one field share: the field is read once."""

_ORDER: dict[str, Callable[[Any, Any], bool]] = {"lt": lt, "lte": le, "gt": gt, "gte": ge}
_LONGEST_NUMBER = 64
_LONGEST_TIME = 40
_MOST_PATTERN_BYTES = 64 << 20
_MOST_PAIRS = 10_000
"""Pairs of list members a fieldref compares: both lists are as long as the sender likes."""


def check(leaves: Sequence[Leaf]) -> Check:
    """The closure for one leaf, or for several of one field, groupable op and case: any of them.

    Raises:
        ValueError: when the leaf's own value cannot be compiled (a bad pattern or network).
    """
    leaf = leaves[0]
    if leaf.field is None:
        return _keyword(leaf, [_text(leaf) for leaf in leaves])
    get = getter(leaf.field)
    match leaf.op:
        case "exists":
            return _exists(get, bool(leaf.value))
        case "null":
            return _null(get)
        case "fieldref":
            return _fieldref(get, getter(str(leaf.value)), leaf.detail)
        case "equals" if not leaf.cased:
            return _equals(get, frozenset(_text(leaf) for leaf in leaves))
        case "lt" | "lte" | "gt" | "gte":
            return _ordered(get, _ORDER[leaf.op], float(leaf.value or 0))
        case "part":
            return _part(get, leaf.detail, int(leaf.value or 0))
        case _:
            return _on_text(get, _holds(leaf.op, [_text(leaf) for leaf in leaves], leaf.cased))


def _text(leaf: Leaf) -> str:
    text = str(leaf.value)
    return text if leaf.cased or leaf.op == "regex" else text.lower()


def _equals(get: Getter, targets: frozenset[str]) -> Check:
    def equals(view: View) -> bool:
        value = get(view)
        if value.__class__ is str:
            return value.lower() in targets
        return value is not MISSING and any(text.lower() in targets for text in texts(value))

    return equals


def _on_text(get: Getter, holds: Holds) -> Check:
    def on_text(view: View) -> bool:
        value = get(view)
        if value.__class__ is str:
            return holds(value)
        return value is not MISSING and any(map(holds, texts(value)))

    return on_text


def _keyword(leaf: Leaf, values: list[str]) -> Check:
    holds = _holds(leaf.op, values, cased=True)
    return (lambda view: holds(everything(view))) if leaf.cased else (lambda view: holds(lowered(view)))


def _holds(op: str, values: list[str], cased: bool) -> Holds:
    match op:
        case "equals":
            return frozenset(values).__contains__
        case "contains":
            return _contains(values, cased)
        case "startswith":
            starts = tuple(values)
            return (lambda text: text.startswith(starts)) if cased else (lambda text: text.lower().startswith(starts))
        case "endswith":
            ends = tuple(values)
            return (lambda text: text.endswith(ends)) if cased else (lambda text: text.lower().endswith(ends))
        case "glob":
            return search(_glob_pattern(values[0]), lower=not cased)
        case "regex":
            return search(values[0], lower=False)
        case "cidr":
            return _in_network(values[0])
    raise ValueError(f"no test called {op}")


def _contains(needles: list[str], cased: bool) -> Holds:
    if len(needles) == 1:
        needle = needles[0]
        return (lambda text: needle in text) if cased else (lambda text: needle in text.lower())

    def contains(text: str) -> bool:
        text = text if cased else text.lower()
        return any(needle in text for needle in needles)

    return contains


def _glob_pattern(glob: str) -> str:
    pieces = split_glob(glob)
    body = "".join({"*": ".*", "?": "."}[text] if wild else re.escape(text) for wild, text in pieces)
    return rf"(?s)\A{body}\z"


def search(pattern: str, lower: bool = False) -> Holds:
    """Whether an RE2 pattern is found in a text: time linear in the text, whatever the pattern and whoever wrote it.

    Raises:
        ValueError: when it is no valid pattern.
    """
    options = re2.Options()
    options.max_mem = _MOST_PATTERN_BYTES
    options.never_capture = True
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        raise ValueError(f"no valid RE2 pattern: {error}") from error
    if lower:
        return lambda text: search(text.lower().encode("utf-8", "replace")) is not None
    return lambda text: search(text.encode("utf-8", "replace")) is not None


def _in_network(cidr: str) -> Holds:
    network = ip_network(cidr)

    def inside(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address) in network

    return inside


def _exists(get: Getter, wanted: bool) -> Check:
    return lambda view: (get(view) is not MISSING) is wanted


def _null(get: Getter) -> Check:
    def null(view: View) -> bool:
        value = get(view)
        if value is None or value is MISSING:
            return True
        return value.__class__ is list and None in value

    return null


def _fieldref(get: Getter, other: Getter, how: str) -> Check:
    compare: dict[str, Callable[[str, str], bool]] = {
        "equals": str.__eq__,
        "contains": str.__contains__,
        "startswith": str.startswith,
        "endswith": str.endswith,
    }
    holds = compare[how]

    def fieldref(view: View) -> bool:
        ours = [text.lower() for text in texts(get(view))]
        theirs = [text.lower() for text in texts(other(view))] if ours else []
        if how == "equals":
            return not set(ours).isdisjoint(theirs)
        return any(holds(mine, text) for mine, text in islice(product(ours, theirs), _MOST_PAIRS))

    return fieldref


def _ordered(get: Getter, compare: Callable[[Any, Any], bool], bound: float) -> Check:
    def ordered(view: View) -> bool:
        value = get(view)
        values = members(value) if value.__class__ is list else [value]
        return any(number is not None and compare(number, bound) for number in map(_number, values))

    return ordered


def _number(value: Any) -> float | None:
    """The value as a number; text only where it is one (RFC 8259's forms and surrounding space)."""
    if value.__class__ is int or value.__class__ is float:
        return float(value) if abs(value) < 1e300 else None
    if value.__class__ is not str or len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
        return None
    number = float(value)
    return number if isfinite(number) else None


_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII)


def _part(get: Getter, part: str, wanted: int) -> Check:
    def holds(view: View) -> bool:
        value = get(view)
        values = members(value) if value.__class__ is list else [value]
        return any(moment is not None and _PARTS[part](moment) == wanted for moment in map(_moment, values))

    return holds


_PARTS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day": lambda moment: moment.day,
    "week": lambda moment: int(moment.strftime("%W")),  # as the reference backend counts
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
}


def _moment(value: Any) -> datetime | None:
    """RFC 3339 text, or seconds, milliseconds or microseconds since the epoch by their size; in UTC."""
    try:
        if value.__class__ is str and len(value) <= _LONGEST_TIME:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if value.__class__ is int or value.__class__ is float:
            scale = 1_000_000 if abs(value) > 1e14 else 1_000 if abs(value) > 1e11 else 1
            return datetime.fromtimestamp(value / scale, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
