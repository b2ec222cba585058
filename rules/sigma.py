"""Sigma YAML to rules that run. The only module that knows pySigma: it parses, everything after is ours.

Whatever is not supported is an error with its place; nothing is skipped.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaDetection, SigmaDetections, SigmaRule
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

from rules.assemble import COMMON_KEYS, Parsed, assemble
from rules.compile import RuleSet
from rules.condition import And, Leaf, Node, Not, Op, Or
from rules.correlation_rule import ParsedCorrelation
from rules.correlation_section import read_section
from rules.dialect import ConditionError, plain
from rules.document import Document, Key, RuleError, RuleErrors, did_you_mean, documents_of
from rules.exceptions import read_exceptions
from rules.explained import in_words, place_of
from rules.lists import Lists, read_lists, unknown_lists
from rules.logsource import log_source_of
from rules.mapping import LOGSOURCE_KEYS, FieldMapping, lens, read_mapping, shipped
from rules.parsed import ParsedExcuse, ParsedFilter, ParsedRule, items

__all__ = ["RuleError", "RuleErrors", "library", "load"]

_RULE_KEYS = frozenset({*COMMON_KEYS, "logsource", "detection", "fields", "simulation", "regression_tests_path"})
_FILTER_KEYS = frozenset({*COMMON_KEYS, "logsource", "filter"})
_CORRELATION_KEYS = frozenset({*COMMON_KEYS, "correlation"})
_SOME_CORRELATION = {"type": "temporal", "rules": ["a", "b"], "timespan": "1m"}
_KINDS = ("lists", "mapping", "filter", "exceptions", "correlation", "action")
"""The keys that tell what a document is; one without is a rule."""

_PYSIGMA = (SigmaError, AttributeError, KeyError, TypeError, ValueError)
"""What pySigma raises at a document that is none."""


def library() -> Path:
    """The folder of the rules that come with auditwatch."""
    return Path(__file__).resolve().parent / "library"


def load(paths: Sequence[Path]) -> RuleSet:
    """The rules of files and folders (*.yml, *.yaml below them), and what else is there to go with them.

    Raises:
        RuleErrors: with every error of every file.
    """
    collecting = gc.isenabled()
    gc.disable()  # many small objects that all live on: the collector would take a third of the time for nothing
    try:
        return _load(paths)
    finally:
        if collecting:
            gc.enable()


def _load(paths: Sequence[Path]) -> RuleSet:
    documents, errors = documents_of(paths)
    of: dict[str, list[Document]] = {kind: [] for kind in (*_KINDS, "rule")}
    for document in documents:
        of[next((kind for kind in _KINDS if kind in document.data), "rule")].append(document)
    lists: dict[str, Sequence[str]] = {}
    for document in of["lists"]:
        read_lists(document, lists, errors)
    mappings = [*shipped(), *(one for document in of["mapping"] for one in read_mapping(document, errors))]
    errors += [
        document.error("actions are not supported", "write each rule out in full", ["action"])
        for document in of["action"]
    ]
    loaded = assemble(
        Parsed(
            rules=[one for document in of["rule"] for one in _rule(document, lists, mappings, errors)],
            filters=[one for document in of["filter"] for one in _filter(document, lists, errors)],
            excuses=[one for document in of["exceptions"] for one in _excuses(document, lists, errors)],
            correlations=[one for document in of["correlation"] for one in _correlation(document, errors)],
            documents=documents,
        ),
        errors,
    )
    if errors:
        raise RuleErrors(errors)
    return loaded


def _rule(
    document: Document, lists: Lists, mappings: Sequence[FieldMapping], errors: list[RuleError]
) -> list[ParsedRule]:
    """The rule of a document, if nothing is wrong with it."""
    wrong = document.unknown_keys(_RULE_KEYS, more=_KINDS)
    wrong += document.unknown_keys(LOGSOURCE_KEYS, ["logsource"])
    make = partial(SigmaRule.from_dict, collect_errors=True)
    rule = _parsed(make, document, "detection", lists, wrong)
    logsource = log_source_of(document.data.get("logsource"))
    sight = lens(mappings, logsource)
    if rule is not None and not wrong and sight is None:
        hint = "name a product, or write a mapping with its sources"
        wrong.append(document.error(f"no source has the events of {logsource}", hint, ["logsource"]))
    node = None if rule is None or wrong else _condition(document, rule.detection, ["detection"], wrong)
    errors += wrong
    return [] if node is None or sight is None else [ParsedRule(document, logsource, sight, node)]


def _filter(document: Document, lists: Lists, errors: list[RuleError]) -> list[ParsedFilter]:
    """The filter of a document, if nothing is wrong with it."""
    wrong = document.unknown_keys(_FILTER_KEYS) + document.unknown_keys(LOGSOURCE_KEYS, ["logsource"])
    found = _parsed(partial(SigmaFilter.from_dict, collect_errors=True), document, "filter", lists, wrong)
    node = None if found is None or wrong else _condition(document, found.filter, ["filter"], wrong)
    errors += wrong
    if node is None or found is None:
        return []
    rules = found.filter.rules
    named = None if isinstance(rules, str) else tuple(str(reference.reference) for reference in rules)
    return [ParsedFilter(document, log_source_of(document.data["logsource"]), named, node)]


def _excuses(document: Document, lists: Lists, errors: list[RuleError]) -> Iterator[ParsedExcuse]:
    """The exceptions of a document with which nothing is wrong."""
    for position in read_exceptions(document, errors):
        at: list[Key] = ["exceptions", position, "selection"]
        wrong = list(unknown_lists(document, at, lists))
        selection = document.at(at)
        try:
            section = plain({"selection": selection, "condition": "selection"}, {} if wrong else lists)
            detection = None if wrong else SigmaDetections.from_dict(section)
        except _PYSIGMA as error:
            wrong += _wrong_items(document, at, lists) or [_error(document, error, at)]
        node = None if wrong else _condition(document, detection, at, wrong)
        errors += wrong
        if node is not None:
            yield ParsedExcuse(document, position, node)


def _correlation(document: Document, errors: list[RuleError]) -> list[ParsedCorrelation]:
    """The correlation of a document, if nothing is wrong: pySigma reads what rules have too, we read its section."""
    wrong = document.unknown_keys(_CORRELATION_KEYS)
    section = read_section(document, wrong)
    make = partial(SigmaCorrelationRule.from_dict, collect_errors=True)
    _parsed(lambda data: make({**data, "correlation": _SOME_CORRELATION}), document, "", {}, wrong)
    errors += wrong
    return [] if section is None or wrong else [ParsedCorrelation(document, section)]


def _parsed(
    make: Callable[[dict[str, Any]], Any], document: Document, part: str, lists: Lists, wrong: list[RuleError]
) -> Any:
    """What pySigma makes of a document whose selections are in `part`; its errors, with places, go to `wrong`."""
    unknown = list(unknown_lists(document, [part], lists))
    wrong += unknown
    if unknown:
        return None
    data = document.data
    try:
        rule = make({**data, part: plain(data[part], lists)} if part in data else data)
    except _PYSIGMA as error:
        wrong += _explained(document, error, part, lists)
        return None
    for collected in rule.errors:
        wrong += _explained(document, collected, part, lists)
    return rule


def _explained(document: Document, error: Exception, part: str, lists: Lists) -> list[RuleError]:
    if isinstance(error, ConditionError):
        return [_error(document, error, [part, "condition"])]
    at = place_of(type(error).__name__, str(error), COMMON_KEYS | {"logsource", "fields"})
    if at is not None:
        return [_error(document, error, at)]
    return _wrong_items(document, [part], lists) or [_error(document, error, [part])]


def _wrong_items(document: Document, at: list[Key], lists: Lists) -> list[RuleError]:
    """Parses the items of a detection one by one: pySigma says what is wrong with one, not where it is."""
    part = document.at(at)
    wrong: list[RuleError] = []
    for key, value in items(part):
        place = [*at, key]
        if place in (["detection", "condition"], ["filter", "condition"], ["filter", "rules"]):
            continue
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            wrong += _wrong_items(document, place, lists)
            continue
        one = {str(key): value} if isinstance(part, dict) and len(at) > 1 else value
        try:
            SigmaDetection.from_definition(plain({"s": one}, lists)["s"])
        except _PYSIGMA as error:
            wrong.append(_error(document, error, place))
    return wrong


def _error(document: Document, error: Exception, at: Sequence[Key]) -> RuleError:
    message, hint = in_words(str(error))
    if not isinstance(error, SigmaError | ConditionError):
        modified = "|" in str(at[-1])
        hint = "its value or its modifiers do not go together" if modified else "compare it with a rule that loads"
        return document.error(f"cannot be read as Sigma: {message}", hint, at)
    if message.startswith("Unknown modifier"):
        name = message.split("'")[1]
        return document.error(f"unknown modifier {name!r}", did_you_mean(name, [*modifier_mapping, "utf16le"]), at)
    return document.error(message, hint, at)


def _condition(document: Document, detections: Any, at: list[Key], wrong: list[RuleError]) -> Node | None:
    """The condition of a section as our tree, of several the `or`; what cannot be one is added to `wrong`."""
    nodes: list[Node] = []
    for condition in detections.parsed_condition:
        try:
            tree = condition.parsed
            if tree is None:
                raise ValueError("the condition asks nothing")
            nodes.append(_node(tree))
        except SigmaError as error:
            wrong.append(_error(document, error, [*at, "condition"]))
        except ValueError as error:
            wrong.append(document.error(str(error), "", at))
    if wrong:
        return None
    return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))


def _node(tree: Any) -> Node:
    match tree:
        case ConditionAND():
            return And(tuple(_node(child) for child in tree.args))
        case ConditionOR():
            return Or(tuple(_node(child) for child in tree.args))
        case ConditionNOT():
            return Not(_node(tree.args[0]))
        case ConditionFieldEqualsValueExpression():
            return _leaf(tree.field, tree.value)
        case ConditionValueExpression():
            return _keyword(tree.value)
    raise ValueError(f"{type(tree).__name__} in a condition is not supported")


def _keyword(value: Any) -> Node:
    """A keyword is looked for inside the event's values, so that equality becomes containment."""
    leaf = _leaf(None, value)
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


def _leaf(field: str | None, value: Any) -> Node:
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
            return Leaf(field, "fieldref", value.field, detail=_FIELDREF[ends])
        case SigmaExpansion():
            return Or(tuple(_leaf(field, one) for one in value.values))
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
    flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    return (f"(?{flags})" if flags else "") + str(value.regexp)


def _text(field: str | None, value: SigmaString) -> Leaf:
    """Wildcards at the ends become prefix, suffix and substring tests; any others a glob."""
    cased = isinstance(value, SigmaCasedString)
    parts = list(value.s)
    starts, ends = parts[:1] == [_ANY], len(parts) > 1 and parts[-1] is _ANY
    inner = parts[1 if starts else 0 : -1 if ends else None]
    if not all(isinstance(part, str) for part in inner):
        return Leaf(field, "glob", value.to_plain(escape_backslash=True), cased)
    op: Op = "contains" if starts and ends else "startswith" if ends else "endswith" if starts else "equals"
    return Leaf(field, op, "".join(map(str, inner)), cased)
