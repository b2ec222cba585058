"""Correlation documents made into correlations: tied to the rules they count, their fields and bounds checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from audit.event import MICROSECONDS
from rules.correlation import Correlation, EntityKind, Kind, Operator
from rules.document import Document, RuleError, did_you_mean
from rules.fields import NORMALISED, canonical, getter

LARGEST_THRESHOLD = 10_000

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
class ParsedCorrelation:
    """A document that is a correlation over so many seconds."""

    document: Document
    seconds: int


def tie(parsed: ParsedCorrelation, by_name: dict[str, str], errors: list[RuleError]) -> tuple[str, ...]:
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


def generates(parsed: ParsedCorrelation) -> bool:
    """Whether the rules it counts go on speaking for themselves."""
    return bool(parsed.document.data["correlation"].get("generate"))


def made(
    parsed: ParsedCorrelation,
    common: dict[str, Any],
    rule_ids: tuple[str, ...],
    products: dict[str, str],
    errors: list[RuleError],
) -> Correlation | None:
    """The correlation of a document; `common` is what it shares with rules, `products` those of the rules by id."""
    document = parsed.document
    section = document.data["correlation"]
    wrong = _unsupported(document, section)
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
        **common,
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
