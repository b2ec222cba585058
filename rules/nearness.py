"""Why a test does not hold, and how near the value came: what somebody who tunes a rule wants to know first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any

from rules.condition import Leaf, called
from rules.fields import EITHER, FROM_CONTEXT, FROM_HISTORY, getter
from rules.leaf import check
from rules.reach import seen_fields
from rules.view import MISSING, View, members, texts

LONGEST = 500
"""Characters of a value that are compared for nearness."""
SHORTEST = 4
"""Characters below which one other letter is another word."""
MOST_VALUES = 50
ALIKE = 0.8
"""Share of two field names that must agree for one to be named for the other (difflib's ratio)."""

_HOLDS: dict[str, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "contains": str.__contains__,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def why_not(leaves: Sequence[Leaf], view: View, shown: View) -> str:
    """Why none of the leaves (one field, op and case) holds. `shown` is the view without secrets.

    Of a value that holds a secret it only says that it differs.
    """
    leaf = leaves[0]
    if leaf.field is None:
        return "nowhere in the record"
    value = getter(leaf.field)(view)
    if leaf.op == "null":
        return "it has a value"
    if value is MISSING:
        return _missing(leaf.field, view)
    if leaf.op == "exists":
        return "it is there"
    if value is None:
        return "it is null"
    if value != getter(leaf.field)(shown):
        return "its value, which is secret, is another"
    return _differs(leaves, value, view)


def _missing(field: str, view: View) -> str:
    names = field.split(EITHER)
    if field.startswith("auditwatch.team_share.") and view.history is not None:
        return "missing: no group of peers with a history is known"
    if field.removeprefix("auditwatch.") in FROM_HISTORY:
        return "missing: only the worker and replay know the actor's past"
    if field.removeprefix("auditwatch.") in FROM_CONTEXT:
        return "missing: the context declares nothing of it, or nobody reads it here"
    if all(name.startswith("auditwatch.") for name in names):
        return "missing: the normalised event has none"
    seen: set[str] = set()
    seen_fields(view.record, seen)
    hint = next((hint for name in names for hint in _alike(name, seen)), "")
    return f"missing{hint}"


def _alike(name: str, seen: set[str]) -> Iterator[str]:
    """Hints at fields of the record that may be meant."""
    lower, last = name.lower(), name.rpartition(".")[2].lower()
    for path in sorted(seen):
        if path.lower() == lower:
            yield f": the record has {path}, and case counts in names"
    for path in sorted(seen, key=len):
        if path.rpartition(".")[2].lower() == last:
            yield f": the record has {path}"
    for path in get_close_matches(name, sorted(seen), n=1, cutoff=ALIKE):
        yield f": the record has {path}"


def _differs(leaves: Sequence[Leaf], value: Any, view: View) -> str:
    leaf = leaves[0]
    values = members(value) if value.__class__ is list else [value]
    match leaf.op:
        case "lt" | "lte" | "gt" | "gte":
            bound = {"lt": "below", "lte": "at most", "gt": "above", "gte": "at least"}[leaf.op]
            return f"it is not {bound} {leaf.value}" if any(map(_is_number, values)) else "it is no number"
        case "cidr":
            return "it is outside" if any(map(_is_address, values)) else "it is no address"
        case "part":
            return f"it is another {leaf.detail}, or no time"
        case "fieldref":
            other = getter(str(leaf.value))(view)
            return f"{called(str(leaf.value))} is missing" if other is MISSING else "the two differ"
        case "regex" | "glob":
            return _pattern(leaf, view)
    if not texts(value) or all(isinstance(one, dict) for one in values):
        return "it is an object: name a field in it" if values else "it is an empty list"
    return _nearest(leaves, texts(value)[:MOST_VALUES])


def _pattern(leaf: Leaf, view: View) -> str:
    if leaf.op == "regex" and check([Leaf(leaf.field, "regex", f"(?i){leaf.value}", True)])(view):
        return "it differs only by case: |re|i does not mind"
    if leaf.op == "glob" and leaf.cased and check([Leaf(leaf.field, "glob", leaf.value)])(view):
        return "it differs only by case: leave |cased out"
    return "it does not fit the pattern"


def _nearest(leaves: Sequence[Leaf], found: Sequence[str]) -> str:
    """The best that can be said of any value and any wanted text."""
    pairs = [(text[:LONGEST], str(leaf.value)[:LONGEST], leaf) for text in found for leaf in leaves[:MOST_VALUES]]
    said = [hint for text, wanted, leaf in pairs if (hint := _near(leaf.op, text, wanted, leaf.cased))]
    return min(said, key=lambda hint: hint[0])[1] if said else "its value is another"


def _near(op: str, text: str, wanted: str, cased: bool) -> tuple[int, str] | None:
    """How near, the smaller the nearer, and what to say; None where it is not near."""
    holds = _HOLDS[op]
    if cased and holds(text.lower(), wanted.lower()):
        return 0, "it differs only by case: leave |cased out"
    a, b = text.lower(), wanted.lower()
    for rank, made, how in ((1, _unspaced, "white space"), (2, _bare, "punctuation")):
        if made(b) and holds(made(a), made(b)):
            return rank, f"it differs only by {how} from {wanted!r}"
    if not b or not a:
        return None
    if b in a:
        return 3, _holds_it(op, a, b, wanted)
    if a in b:
        return 4, f"it is only a part of {wanted!r}"
    if op == "equals" and min(len(a), len(b)) >= SHORTEST and _nearly(a, b):
        return 5, f"it is nearly {wanted!r}: compare letter by letter"
    return None


def _nearly(text: str, wanted: str) -> bool:
    """Whether one letter is too many, too few or another one, or two neighbours have changed places."""
    while text and wanted and text[0] == wanted[0]:
        text, wanted = text[1:], wanted[1:]
    while text and wanted and text[-1] == wanted[-1]:
        text, wanted = text[:-1], wanted[:-1]
    return max(len(text), len(wanted)) <= 1 or (len(text) == 2 and text == wanted[::-1])


def _holds_it(op: str, text: str, wanted: str, written: str) -> str:
    if op == "startswith":
        return f"{written!r} is in it, but not at its beginning"
    if op == "endswith":
        return f"{written!r} is in it, but not at its end"
    if text.startswith(wanted):
        return f"it begins with {written!r} and goes on: |startswith does not mind"
    if text.endswith(wanted):
        return f"it ends with {written!r}, with something before: |endswith does not mind"
    return f"{written!r} is in it, with something around: |contains does not mind"


def _unspaced(text: str) -> str:
    return "".join(text.split())


def _bare(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _is_number(value: Any) -> bool:
    if isinstance(value, int | float):
        return True
    try:
        return isinstance(value, str) and len(value) <= 64 and float(value) is not None
    except ValueError:
        return False


def _is_address(value: Any) -> bool:
    try:
        return ip_address(str(value)) is not None
    except ValueError:
        return False
