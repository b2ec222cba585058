"""Parsed documents put together: rules compiled, correlations tied to the rules they count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from audit.finding import RISK, Severity, stable_id
from rules.compile import RuleSet, compiled, evidence
from rules.condition import Node
from rules.correlation import Correlation
from rules.correlation_rule import ParsedCorrelation, generates, made, tie
from rules.document import Document, RuleError
from rules.extension import Extension, read_extension
from rules.logsource import source_of
from rules.rule import Rule

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
class ParsedRule:
    """A document that is a rule, with its condition as our tree."""

    document: Document
    product: str
    service: str
    condition: Node


def assemble(
    rules: Sequence[ParsedRule], correlations: Sequence[ParsedCorrelation], errors: list[RuleError]
) -> RuleSet:
    """The rule set of parsed documents; what is wrong with them is added to `errors`."""
    documents = [rule.document for rule in rules] + [one.document for one in correlations]
    errors += _used_twice(documents)
    by_name = _by_name(rules)
    tied = [tie(parsed, by_name, errors) for parsed in correlations]
    counted = {
        rule_id
        for parsed, rule_ids in zip(correlations, tied, strict=True)
        if not generates(parsed)
        for rule_id in rule_ids
    }
    compiled_rules = [_rule(parsed, counted, errors) for parsed in rules]
    products = {_identity(parsed.document): parsed.product for parsed in rules}
    folded = [
        _correlation(parsed, rule_ids, products, errors) for parsed, rule_ids in zip(correlations, tied, strict=True)
    ]
    return RuleSet(
        [rule for rule in compiled_rules if rule is not None],
        [correlation for correlation in folded if correlation is not None],
        [document.data for document in documents],
    )


def _identity(document: Document) -> str:
    """The rule's id; one without (check asks for it) gets one from its title."""
    return str(document.data.get("id") or stable_id("rule", document.data.get("title", "")))


def _used_twice(documents: Iterable[Document]) -> list[RuleError]:
    first: dict[str, Document] = {}
    errors: list[RuleError] = []
    for document in documents:
        earlier = first.setdefault(_identity(document), document)
        if earlier is not document:
            where = f"{earlier.path}:{earlier.place(['id'])[0]}"
            errors.append(
                document.error(f"the id is used twice, first in {where}", "make another with uuidgen", ["id"])
            )
    return errors


def _by_name(rules: Iterable[ParsedRule]) -> dict[str, str]:
    names: dict[str, str] = {}
    for parsed in rules:
        identity = _identity(parsed.document)
        names[identity] = identity
        if name := parsed.document.data.get("name"):
            names[str(name)] = identity
    return names


def _rule(parsed: ParsedRule, counted: set[str], errors: list[RuleError]) -> Rule | None:
    document = parsed.document
    source = parsed.service if parsed.product == "auditwatch" else source_of(parsed.product, parsed.service)
    extension, wrong = read_extension(document, source)
    errors += wrong
    try:
        matches, speaks = compiled(parsed.condition), evidence(parsed.condition)
    except ValueError as error:
        errors.append(document.error(str(error), "", ["detection"]))
        return None
    return Rule(
        **_common(document, extension),
        product=parsed.product,
        service=parsed.service,
        silent=_identity(document) in counted,
        condition=parsed.condition,
        matches=matches,
        evidence=speaks,
    )


def _common(document: Document, extension: Extension) -> dict[str, Any]:
    data = document.data
    severity = _LEVELS[str(data.get("level") or "medium").lower()]
    return {
        "id": _identity(document),
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


def _correlation(
    parsed: ParsedCorrelation, rule_ids: tuple[str, ...], products: dict[str, str], errors: list[RuleError]
) -> Correlation | None:
    extension, wrong = read_extension(parsed.document, "")
    errors += wrong
    return None if wrong else made(parsed, _common(parsed.document, extension), rule_ids, products, errors)
