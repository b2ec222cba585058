"""Sigma YAML to rules that run. The only module that knows pySigma: it parses, everything after is ours.

Whatever is not supported is an error with its place; nothing is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
    SigmaCondition,
)
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaDetection, SigmaRule
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from rules.assemble import COMMON_KEYS, ParsedRule, assemble
from rules.compile import RuleSet
from rules.condition import And, Leaf, Node, Not, Op, Or
from rules.correlation_rule import ParsedCorrelation
from rules.document import Document, Key, RuleError, RuleErrors, did_you_mean, documents_of
from rules.fields import NORMALISED, canonical

__all__ = ["RuleError", "RuleErrors", "library", "load"]

_RULE_KEYS = frozenset({*COMMON_KEYS, "logsource", "detection", "fields", "simulation", "regression_tests_path"})
_CORRELATION_KEYS = frozenset({*COMMON_KEYS, "correlation"})
_LOGSOURCE_KEYS = ("category", "product", "service", "definition")
_CORRELATION_PARTS = ("type", "rules", "generate", "group-by", "timespan", "aliases", "condition")

_PLACES: dict[str, tuple[str, ...]] = {
    "SigmaIdentifierError": ("id",),
    "SigmaTagError": ("tags",),
    "SigmaConditionError": ("detection", "condition"),
    "SigmaCorrelationRuleError": ("correlation",),
    "SigmaCorrelationTypeError": ("correlation", "type"),
    "SigmaCorrelationConditionError": ("correlation", "condition"),
    "SigmaTimespanError": ("correlation", "timespan"),
}
"""Where the errors of pySigma belong that do not carry their key in their name."""

_HINTS: dict[str, str] = {
    "must have exactly one condition item": "write two correlations for a range",
    "Timespan": "one number and one unit of s, m, h, d, w, M, y: 90m for an hour and a half",
    "Regular expression": "RE2 syntax: no lookaround, no backreference",
    "condition cannot be read": "not, and, or, parentheses, 1 of NAME*, all of NAME*, all of them",
    "must be an UUID": "make one with uuidgen",
    "not a valid Sigma rule level": "informational, low, medium, high or critical",
    "not a valid Sigma rule status": "stable, test, experimental, deprecated or unsupported",
    "must have a log source": "logsource: with product: and service:",
    "no valid Sigma correlation type": "use event_count or value_count",
    "pipe syntax": "write a correlation",
}

_PARSING = re.compile(r"^Expected .*(found .*?)\s+\(at char (\d+)\)")
"""How pyparsing says where it gave up."""


def library() -> Path:
    """The folder of the rules that come with auditwatch."""
    return Path(__file__).resolve().parent / "library"


def load(paths: Sequence[Path]) -> RuleSet:
    """The rules and correlations of files and folders (*.yml, *.yaml below them).

    Raises:
        RuleErrors: with every error of every file.
    """
    rules: list[ParsedRule] = []
    correlations: list[ParsedCorrelation] = []
    documents, errors = documents_of(paths)
    for document in documents:
        data = document.data
        if "filter" in data:
            errors.append(
                document.error("filters are not supported yet", "put the exclusion into the rule", ["filter"])
            )
        elif "action" in data:
            errors.append(document.error("actions are not supported", "write each rule out in full", ["action"]))
        elif "correlation" in data:
            correlations += _correlation(document, errors)
        else:
            rules += _rule(document, errors)
    loaded = assemble(rules, correlations, errors)
    if errors:
        raise RuleErrors(errors)
    return loaded


def _rule(document: Document, errors: list[RuleError]) -> list[ParsedRule]:
    """The rule of a document, if nothing is wrong with it."""
    wrong = document.unknown_keys(_RULE_KEYS)
    wrong += document.unknown_keys(_LOGSOURCE_KEYS, ["logsource"])
    rule = _parsed(lambda: SigmaRule.from_dict(document.data, collect_errors=True), document, wrong)
    if rule is not None and not wrong and not rule.logsource.product:
        wrong.append(document.error("logsource has no product", "name one: product: aws", ["logsource"]))
    if rule is None or wrong:
        errors += wrong
        return []
    product, service = rule.logsource.product or "", rule.logsource.service or ""
    nodes = [_condition(document, condition, product, wrong) for condition in rule.detection.parsed_condition]
    errors += wrong
    if wrong:
        return []
    return [ParsedRule(document, product, service, nodes[0] if len(nodes) == 1 else Or(tuple(nodes)))]


def _correlation(document: Document, errors: list[RuleError]) -> list[ParsedCorrelation]:
    wrong = document.unknown_keys(_CORRELATION_KEYS) + document.unknown_keys(_CORRELATION_PARTS, ["correlation"])
    rule = _parsed(lambda: SigmaCorrelationRule.from_dict(document.data, collect_errors=True), document, wrong)
    errors += wrong
    return [] if rule is None or wrong else [ParsedCorrelation(document, rule.timespan.seconds)]


def _parsed(make: Callable[[], Any], document: Document, wrong: list[RuleError]) -> Any:
    """What pySigma makes of a document; its errors, with places, are added to `wrong`."""
    try:
        rule = make()
    except (SigmaError, AttributeError, KeyError, TypeError, ValueError) as error:
        wrong += _explained(document, error)
        return None
    for collected in rule.errors:
        wrong += _explained(document, collected)
    return rule


def _explained(document: Document, error: Exception) -> list[RuleError]:
    kind = type(error).__name__
    if kind in _PLACES:
        return [_error(document, error, _PLACES[kind])]
    if str(error).startswith("Sigma tag"):
        return [_error(document, error, ["tags"])]
    key = kind.removeprefix("Sigma").removesuffix("Error").lower()
    if key in COMMON_KEYS or key in ("logsource", "fields"):
        return [_error(document, error, [key])]
    return list(_wrong_items(document, document.data.get("detection"), ["detection"])) or [
        _error(document, error, ["detection"])
    ]


def _wrong_items(document: Document, part: Any, at: list[Key]) -> Iterable[RuleError]:
    """Parses the items of a detection one by one: pySigma says what is wrong with one, not where it is."""
    for key, value in _items(part):
        place = [*at, key]
        if place == ["detection", "condition"]:
            continue
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            yield from _wrong_items(document, value, place)
            continue
        try:
            SigmaDetection.from_definition({str(key): value} if isinstance(part, dict) and len(at) > 1 else value)
        except (SigmaError, AttributeError, KeyError, TypeError, ValueError) as error:
            yield _error(document, error, place)


def _error(document: Document, error: Exception, at: Sequence[Key]) -> RuleError:
    message = str(error).strip().partition("\n")[0]
    if not isinstance(error, SigmaError):
        return document.error(f"cannot be read as Sigma: {message}", "compare it with a rule of the library", at)
    if message.startswith("Unknown modifier"):
        name = message.split("'")[1]
        return document.error(f"unknown modifier {name!r}", did_you_mean(name, modifier_mapping), at)
    if found := _PARSING.search(message):
        message = f"the condition cannot be read: {found[1]} at character {int(found[2]) + 1} of it"
    hint = next((hint for part, hint in _HINTS.items() if part in message), "")
    return document.error(message, hint, at)


def _condition(document: Document, condition: SigmaCondition, product: str, wrong: list[RuleError]) -> Node:
    """The condition as our tree; what cannot be one is added to `wrong`."""
    try:
        tree = condition.parsed
        if tree is None:
            raise ValueError("the condition asks nothing")
        return _node(tree, product)
    except SigmaError as error:
        wrong.append(_error(document, error, ["detection", "condition"]))
    except KeyError as error:
        name = str(error.args[0])
        wrong.append(
            document.error(
                f"no field {name!r} in the normalised event", did_you_mean(name, NORMALISED), _where(document, name)
            )
        )
    except ValueError as error:
        wrong.append(document.error(str(error), "", ["detection"]))
    return Or(())


def _where(document: Document, field: str) -> list[Key]:
    """The place of the first item of the detection about a field."""
    stack: list[tuple[list[Key], Any]] = [(["detection"], document.data["detection"])]
    while stack:
        at, part = stack.pop()
        for key, value in _items(part):
            if str(key).partition("|")[0].removeprefix("auditwatch.") == field:
                return [*at, key]
            stack.append(([*at, key], value))
    return ["detection"]


def _items(part: Any) -> list[tuple[Key, Any]]:
    if isinstance(part, dict):
        return list(part.items())
    return list(enumerate(part)) if isinstance(part, list) else []


def _node(tree: Any, product: str) -> Node:
    match tree:
        case ConditionAND():
            return And(tuple(_node(child, product) for child in tree.args))
        case ConditionOR():
            return Or(tuple(_node(child, product) for child in tree.args))
        case ConditionNOT():
            return Not(_node(tree.args[0], product))
        case ConditionFieldEqualsValueExpression():
            return _leaf(canonical(tree.field, product), tree.value, product)
        case ConditionValueExpression():
            return _keyword(tree.value, product)
    raise ValueError(f"{type(tree).__name__} in a condition is not supported")


def _keyword(value: Any, product: str) -> Node:
    """A keyword is looked for inside the event's values, so that equality becomes containment."""
    leaf = _leaf(None, value, product)
    if isinstance(leaf, Or):
        return Or(tuple(_contained(child) for child in leaf.children))
    return _contained(leaf)


def _contained(node: Node) -> Node:
    match node:
        case Leaf(None, "equals" | "startswith" | "endswith", value, cased):
            return Leaf(None, "contains", value, cased)
        case Leaf(None, "glob", value, cased):
            return Leaf(None, "glob", f"*{value}*", cased)
        case Leaf(None, "contains" | "regex"):
            return node
    raise ValueError("a keyword must be text, a number or a pattern: name a field for any other test")


def _leaf(field: str | None, value: Any, product: str) -> Node:
    match value:
        case SigmaString():
            return _text(field, value)
        case SigmaTimestampPart():
            return Leaf(field, "part", value.number, detail=value.timestamp_part.name.lower())
        case SigmaNumber():
            return Leaf(field, "equals", str(value.number))
        case SigmaBool():
            return Leaf(field, "equals", "true" if value.boolean else "false")
        case SigmaNull():
            return Leaf(field, "null", None)
        case SigmaExists():
            return Leaf(field, "exists", value.exists)
        case SigmaRegularExpression():
            return Leaf(field, "regex", _pattern(value), cased=True)
        case SigmaCompareExpression():
            return Leaf(field, _ORDER[value.op.name], value.number.number)
        case SigmaCIDRExpression():
            return Leaf(field, "cidr", value.cidr)
        case SigmaFieldReference():
            ends = (value.starts_with, value.ends_with)
            return Leaf(field, "fieldref", canonical(value.field, product), detail=_FIELDREF[ends])
        case SigmaExpansion():
            return Or(tuple(_leaf(field, one, product) for one in value.values))
    raise ValueError(f"a value of type {type(value).__name__} is not supported")


_ORDER: dict[str, Op] = {"LT": "lt", "LTE": "lte", "GT": "gt", "GTE": "gte"}
_FIELDREF: dict[tuple[bool, bool], str] = {
    (False, False): "equals",
    (True, False): "startswith",
    (False, True): "endswith",
    (True, True): "contains",
}
_FLAGS: dict[SigmaRegularExpressionFlag, str] = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}
_ANY = SpecialChars.WILDCARD_MULTI


def _pattern(value: SigmaRegularExpression) -> str:
    if value.contains_placeholder():
        raise ValueError("placeholders (expand) are not supported: write the values out")
    flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    return (f"(?{flags})" if flags else "") + str(value.regexp)


def _text(field: str | None, value: SigmaString) -> Leaf:
    """Wildcards at the ends become prefix, suffix and substring tests; any others a glob."""
    if value.contains_placeholder():
        raise ValueError("placeholders (expand) are not supported: write the values out")
    cased = isinstance(value, SigmaCasedString)
    parts = list(value.s)
    starts, ends = parts[:1] == [_ANY], len(parts) > 1 and parts[-1] is _ANY
    inner = parts[1 if starts else 0 : -1 if ends else None]
    if not all(isinstance(part, str) for part in inner):
        return Leaf(field, "glob", value.to_plain(escape_backslash=True), cased)
    op: Op = "contains" if starts and ends else "startswith" if ends else "endswith" if starts else "equals"
    return Leaf(field, op, "".join(map(str, inner)), cased)
