"""Parsed documents put together: rules compiled, correlations tied to the rules they count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from audit.event import MICROSECONDS
from audit.finding import RISK, Severity, stable_id
from rules.compile import RuleSet, compiled, evidence
from rules.condition import Node
from rules.correlation import Correlation, EntityKind, Kind, Operator
from rules.document import Document, RuleError, did_you_mean
from rules.extension import Extension, read_extension
from rules.fields import NORMALISED, canonical, getter
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
LARGEST_THRESHOLD = 10_000

_LEVELS: dict[str, Severity] = {
    "informational": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "critical": "critical",
}
_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)
_ENTITIES: dict[str, EntityKind] = {
    "auditwatch.source_ip": "ip",
    "sourceIPAddress": "ip",
    "client.ipAddress": "ip",
    "actor_ip": "ip",
    "sourceIPs": "ip",
    "auditwatch.session_id": "session",
    "authenticationContext.externalSessionId": "session",
    "userIdentity.accessKeyId": "session",
    "auditwatch.resource.name": "resource",
    "repo": "resource",
    "objectRef.name": "resource",
    "requestParameters.bucketName": "resource",
}
"""Whom a finding counts against when its correlation is grouped by this field first; the actor otherwise."""


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """A document that is a rule, with its condition as our tree."""

    document: Document
    product: str
    service: str
    condition: Node


@dataclass(frozen=True, slots=True)
class ParsedCorrelation:
    """A document that is a correlation over so many seconds."""

    document: Document
    seconds: int


def assemble(
    rules: Sequence[ParsedRule], correlations: Sequence[ParsedCorrelation], errors: list[RuleError]
) -> RuleSet:
    """The rule set of parsed documents; what is wrong with them is added to `errors`."""
    documents = [rule.document for rule in rules] + [one.document for one in correlations]
    errors += _used_twice(documents)
    by_name = _by_name(rules)
    tied = [_tie(parsed, by_name, errors) for parsed in correlations]
    counted = {
        rule_id
        for parsed, rule_ids in zip(correlations, tied, strict=True)
        if not _generates(parsed)
        for rule_id in rule_ids
    }
    made = [_rule(parsed, counted, errors) for parsed in rules]
    products = {_identity(parsed.document): parsed.product for parsed in rules}
    folded = [
        _correlation(parsed, rule_ids, products, errors) for parsed, rule_ids in zip(correlations, tied, strict=True)
    ]
    return RuleSet(
        [rule for rule in made if rule is not None],
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


def _tie(parsed: ParsedCorrelation, by_name: dict[str, str], errors: list[RuleError]) -> tuple[str, ...]:
    """The ids of the rules a correlation names."""
    document = parsed.document
    named = document.data["correlation"].get("rules", [])
    found: list[str] = []
    for name in [named] if isinstance(named, str) else named:
        if name in by_name:
            found.append(by_name[name])
        else:
            hint = did_you_mean(str(name), [known for known in by_name if len(known) != 36] or by_name)
            errors.append(document.error(f"no rule called {name!r}", hint, ["correlation", "rules"]))
    return tuple(found)


def _generates(parsed: ParsedCorrelation) -> bool:
    return bool(parsed.document.data["correlation"].get("generate"))


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
    document = parsed.document
    section = document.data["correlation"]
    extension, wrong = read_extension(document, "")
    wrong += _unsupported(document, section)
    fields: list[str] = []
    value: list[str] = []
    if not wrong:
        product = _shared_product(rule_ids, products)
        fields = _fields(document, ("group-by",), product, wrong)
        value = _fields(document, ("condition", "field"), product, wrong) if section["type"] == "value_count" else []
    errors += wrong
    if wrong:
        return None
    op = next(op for op in get_args(Operator) if op in section["condition"])
    return Correlation(
        **_common(document, extension),
        rule_ids=rule_ids,
        group_by=tuple(fields),
        timespan=parsed.seconds * MICROSECONDS,
        kind=section["type"],
        field=value[0] if value else "",
        op=op,
        threshold=int(section["condition"][op]),
        entity_kind=_ENTITIES.get(fields[0], "user") if fields else "user",
        groups=tuple(getter(field) for field in fields),
        value=getter(value[0]) if value else None,
    )


def _unsupported(document: Document, section: dict[str, Any]) -> list[RuleError]:
    at = "correlation"
    if section["type"] not in get_args(Kind):
        return [
            document.error(f"{section['type']} is not supported yet", "use event_count or value_count", [at, "type"])
        ]
    wrong: list[RuleError] = []
    if section.get("aliases"):
        hint = "count rules that share the field, or rules of product auditwatch"
        wrong.append(document.error("aliases are not supported yet", hint, [at, "aliases"]))
    condition = section["condition"]
    op = next((op for op in get_args(Operator) if op in condition), None)
    if op is None:
        wrong.append(
            document.error("only gte, gt and eq are supported yet", "absence needs a clock", [at, "condition"])
        )
    elif type(condition[op]) is not int or not 1 <= condition[op] <= LARGEST_THRESHOLD:
        hint = f"a whole number from 1 to {LARGEST_THRESHOLD}"
        wrong.append(document.error(f"{op}: {condition[op]} cannot be counted", hint, [at, "condition", op]))
    if not isinstance(condition.get("field", ""), str):
        wrong.append(document.error("one field is supported yet", "name one", [at, "condition", "field"]))
    return wrong


def _shared_product(rule_ids: Sequence[str], products: dict[str, str]) -> str:
    """Product auditwatch where all the rules are of it: their correlation then names normalised fields."""
    shared = {products[rule_id] for rule_id in rule_ids if rule_id in products}
    return "auditwatch" if shared == {"auditwatch"} else ""


def _fields(document: Document, at: tuple[str, ...], product: str, wrong: list[RuleError]) -> list[str]:
    """The canonical names of the fields a correlation has at a place."""
    names = document.data["correlation"]
    for key in at:
        names = names.get(key) or []
    found: list[str] = []
    for name in [names] if isinstance(names, str) else names:
        try:
            found.append(canonical(str(name), product))
        except KeyError as error:
            field = str(error.args[0])
            hint = did_you_mean(field, NORMALISED)
            wrong.append(document.error(f"no field {field!r} in the normalised event", hint, ["correlation", *at]))
    return found
