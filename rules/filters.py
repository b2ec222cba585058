"""Sigma filters: conditions that are added to the rules they name, as written.

`condition: selection` keeps only what the selection describes; `condition: not selection` leaves it out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rules.condition import And
from rules.document import Document, RuleError
from rules.parsed import ParsedFilter, ParsedRule, named, seen


def filtered(rules: Sequence[ParsedRule], filters: Sequence[ParsedFilter], errors: list[RuleError]) -> list[ParsedRule]:
    """The rules with their filters; a filter that fits no rule it names is an error."""
    known = {name: rule for rule in rules for name in rule.names}
    added = {rule.id: [rule.condition] for rule in rules}
    for one in filters:
        for rule in _spoken_of(one, known, errors):
            if seen(rule.lens, one.condition, one.document, ["filter"], errors) is not None:
                added[rule.id].append(one.condition)
    return [rule if len(added[rule.id]) == 1 else replace(rule, condition=And(tuple(added[rule.id]))) for rule in rules]


def _spoken_of(one: ParsedFilter, known: Mapping[str, ParsedRule], errors: list[RuleError]) -> list[ParsedRule]:
    document, at = one.document, ["filter", "rules"]
    if one.rules is None:
        return [rule for rule in {rule.id: rule for rule in known.values()}.values() if _fits(one, rule)]
    found = named(one.rules, known, lambda what, hint: document.error(what, hint, at), errors)
    for rule in found:
        if not _fits(one, rule):
            what = f"the rule {rule.names[0]!r} has another log source ({rule.logsource})"
            errors.append(document.error(what, f"the filter's is {one.logsource}", ["logsource"]))
    return [rule for rule in found if _fits(one, rule)]


def _fits(one: ParsedFilter, rule: ParsedRule) -> bool:
    return one.logsource.covers(rule.logsource)


def keeps_only(document: Document) -> list[RuleError]:
    """A hint for a filter that may be meant the other way round: nothing in its condition says `not`."""
    section = document.data.get("filter")
    condition = section.get("condition", "") if isinstance(section, dict) else ""
    if re.search(r"\bnot\b", str(condition), re.IGNORECASE):
        return []
    what = "the filter keeps only the events its condition describes"
    hint = f"to leave them out write condition: not {condition}"
    return [document.error(what, hint, ["filter", "condition"])]
