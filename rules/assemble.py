"""Parsed documents put together: rules compiled, correlations tied to the rules they count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from audit.finding import RISK, Severity
from rules.closure import compiled, evidence
from rules.compile import RuleSet
from rules.correlation import Correlation, feeds_of
from rules.correlation_rule import Known, ParsedCorrelation, correlated, counted
from rules.document import Document, RuleError
from rules.exceptions import Excused, excuses
from rules.extension import Extension, read_extension
from rules.filters import filtered
from rules.parsed import ParsedExcuse, ParsedFilter, ParsedRule, identity, seen
from rules.rule import Rule, Stage

COMMON_KEYS = frozenset(
    {
        "title",
        "id",
        "name",
        "taxonomy",
        "related",
        "status",
        "description",
        "license",
        "references",
        "tags",
        "author",
        "date",
        "modified",
        "falsepositives",
        "level",
        "scope",
        "auditwatch",
    }
)
_LEVELS: dict[str, Severity] = {
    "informational": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "critical": "critical",
}
_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Everything parsing has found. `documents` are all that were read: their content makes the hash."""

    rules: Sequence[ParsedRule]
    filters: Sequence[ParsedFilter]
    excuses: Sequence[ParsedExcuse]
    correlations: Sequence[ParsedCorrelation]
    documents: Sequence[Document]


def assemble(parsed: Parsed, errors: list[RuleError]) -> RuleSet:
    """The rule set of what was parsed; what is wrong with it is added to `errors`."""
    errors += _used_twice([*(rule.document for rule in parsed.rules), *(one.document for one in parsed.correlations)])
    known = Known(
        {name: rule.id for rule in parsed.rules for name in rule.names}
        | {name: one.id for one in parsed.correlations for name in one.names},
        {rule.id: rule.lens for rule in parsed.rules},
    )
    humble = {rule.id for rule in parsed.rules if rule.document.data.get("level") == "informational"}
    silent = counted(parsed.correlations, known.ids, humble)
    rules = [_rule(one, silent, errors) for one in filtered(parsed.rules, parsed.filters, errors)]
    correlations = correlated({one.id: one for one in parsed.correlations}, known, partial(_shared, errors), errors)
    return RuleSet(
        [rule for rule in rules if rule is not None],
        correlations,
        [document.data for document in parsed.documents],
        excuses(parsed.excuses, _excusable(parsed, correlations), errors),
    )


def _excusable(parsed: Parsed, correlations: Sequence[Correlation]) -> dict[str, Excused]:
    """Rules and correlations by name and by id; the fields of a correlation are those of the first rule it counts."""
    lenses = {rule.id: rule.lens for rule in parsed.rules}
    known: dict[str, Excused] = {name: (rule.id, rule.lens) for rule in parsed.rules for name in rule.names}
    for one in correlations:
        first = next(iter(feeds_of(one)))
        known |= dict.fromkeys(filter(None, (one.name, one.id)), (one.id, lenses[first.rule_id]))
    return known


def _used_twice(documents: Iterable[Document]) -> list[RuleError]:
    first: dict[str, Document] = {}
    errors: list[RuleError] = []
    for document in documents:
        earlier = first.setdefault(identity(document), document)
        if earlier is not document:
            where = f"{earlier.path}:{earlier.place(['id'])[0]}"
            errors.append(
                document.error(f"the id is used twice, first in {where}", "make another with uuidgen", ["id"])
            )
    return errors


def _rule(parsed: ParsedRule, counted: set[str], errors: list[RuleError]) -> Rule | None:
    document, lens = parsed.document, parsed.lens
    extension, wrong = read_extension(document, lens.sources[0] if lens.sources else "")
    errors += wrong
    condition = seen(lens, parsed.condition, document, ["detection"], errors)
    if condition is None:
        return None
    try:
        matches, speaks = compiled(condition), evidence(condition)
    except ValueError as error:
        errors.append(document.error(str(error), "", ["detection"]))
        return None
    return Rule(
        **_common(document, extension),
        product=parsed.logsource.product,
        service=parsed.logsource.service,
        sources=lens.sources,
        stage=extension.stage,
        silent=parsed.id in counted,
        condition=condition,
        matches=matches,
        evidence=speaks,
    )


def _common(document: Document, extension: Extension) -> dict[str, Any]:
    data = document.data
    severity = _LEVELS[str(data.get("level") or "medium").lower()]
    return {
        "id": identity(document),
        "name": str(data.get("name") or ""),
        "title": data["title"],
        "severity": severity,
        "risk": RISK[severity] if extension.risk is None else extension.risk,
        "attack": _techniques(data.get("tags") or []),
        "author": data.get("author") or "",
        "path": document.path,
        "status": str(data.get("status") or ""),
        "description": data.get("description") or "",
        "falsepositives": tuple(map(str, data.get("falsepositives") or [])),
        "runbook": extension.runbook,
        "tests": extension.tests,
    }


def _techniques(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(found[1].upper() for tag in tags if (found := _TECHNIQUE.fullmatch(tag)))


def _shared(errors: list[RuleError], document: Document) -> tuple[dict[str, Any], Stage] | None:
    """What a correlation shares with rules."""
    extension, wrong = read_extension(document, "")
    errors += wrong
    return None if wrong else (_common(document, extension), extension.stage)
