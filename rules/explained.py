"""pySigma's errors in our words: where they belong, and what to do about them."""

from __future__ import annotations

import re

_PLACES: dict[str, tuple[str, ...]] = {
    "SigmaIdentifierError": ("id",),
    "SigmaTagError": ("tags",),
    "SigmaConditionError": ("detection", "condition"),
    "SigmaFilterConditionError": ("filter", "condition"),
    "SigmaFilterRuleReferenceError": ("filter", "rules"),
    "SigmaFilterError": ("filter",),
}
"""Where the errors of pySigma belong that do not carry their key in their name."""

_HINTS: dict[str, str] = {
    "Regular expression": "RE2 syntax: no lookaround, no backreference",
    "condition cannot be read": "not, and, or (in lower case), parentheses, 1 of NAME*, 2 of NAME*, all of them",
    "must be an UUID": "make one with uuidgen",
    "not a valid Sigma rule level": "informational, low, medium, high or critical",
    "not a valid Sigma rule status": "stable, test, experimental, deprecated or unsupported",
    "must have a log source": "logsource: with product: and service:",
    "pipe syntax": "write a correlation",
    "Filter must have": "rules: any, or the names or ids of rules",
    "filter must have a 'rules' field": "rules: any, or the names or ids of rules",
    "not defined in detections": "write it under detection:, or mend its name",
    "Wide modifier only": "use the characters of ASCII, or utf16",
    "CIDR expression modifier only": "use cidr alone",
}

_PARSING = re.compile(r"^Expected .*(found .*?)\s+\(at char (\d+)\)")
"""How pyparsing says where it gave up."""


def place_of(kind: str, message: str, keys: frozenset[str]) -> list[str] | None:
    """The place in a document an error of this class belongs to; None where it is about one of the selections."""
    if kind in _PLACES:
        return list(_PLACES[kind])
    if message.startswith("Sigma tag"):
        return ["tags"]
    key = kind.removeprefix("Sigma").removesuffix("Error").lower()
    return [key] if key in keys else None


def in_words(message: str) -> tuple[str, str]:
    """What is wrong in one line, and what to do; "" where nobody knows."""
    line = message.strip().partition("\n")[0]
    if found := _PARSING.search(line):
        line = f"the condition cannot be read: {found[1]} at character {int(found[2]) + 1} of it"
    return line, next((hint for part, hint in _HINTS.items() if part in line), "")
