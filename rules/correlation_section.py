"""The `correlation:` section of a document, read: what it counts, over what, and when that is enough.

Ours, not pySigma's, so that every error has its place and what pySigma does not read (ranges, 1h30m, rules named with
dashes in a condition) is read. What is wrong is added to `errors`; a section with errors is None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from audit.event import MICROSECONDS
from rules.correlation_expression import Clause, clauses
from rules.document import Document, Key, RuleError, did_you_mean

Kind = Literal[
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
    "temporal",
    "temporal_ordered",
]
Operator = Literal["gte", "gt", "lte", "lt", "eq", "neq"]

KINDS: tuple[Kind, ...] = get_args(Kind)
OPERATORS: tuple[Operator, ...] = get_args(Operator)
COUNTS = ("event_count", "value_count", "temporal", "temporal_ordered")
MEASURES = ("value_sum", "value_avg", "value_percentile", "value_median")
TEMPORAL = ("temporal", "temporal_ordered")

PARTS = ("type", "rules", "generate", "group-by", "timespan", "aliases", "condition")
EXTENSION_KEYS = ("absent", "within", "lateness")
"""What a correlation's `auditwatch:` section may hold beside what every rule's may."""

LARGEST_THRESHOLD = 10_000
LARGEST_NUMBER = 1e12
MOST_RULES = 12
LONGEST = 90 * 86_400 * MICROSECONDS
"""The longest timespan: windows are state, and state is kept no longer."""
LATENESS = 300 * MICROSECONDS
"""How late a match may come and still be counted as if it had come in order, where the rule does not say."""
MOST_LATENESS = 6 * 3600 * MICROSECONDS

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_629_746, "y": 31_556_952}
_TIMESPAN = re.compile(r"(?:[0-9]{1,9}[smhdwMy])+")
_TIMESPAN_PART = re.compile(r"([0-9]+)([smhdwMy])")
_SPAN_HINT = "numbers with s, m, h, d, w or M: 10m, 1h30m"


@dataclass(frozen=True, slots=True)
class Section:
    """What a correlation document says. Times in microseconds; `rules` and `absent` are names or ids as written.

    `bounds` are (operator, number) pairs that must all hold; `clauses` are the ways a temporal condition can be met,
    by position in `rules` (none: by the count in `bounds`).
    """

    kind: Kind
    rules: tuple[str, ...]
    timespan: int
    bounds: tuple[tuple[Operator, float], ...]
    fields: tuple[str, ...]
    percentile: int
    clauses: tuple[Clause, ...]
    group_by: tuple[str, ...]
    aliases: Mapping[str, Mapping[str, str]]
    generate: bool
    absent: str
    within: int
    lateness: int


def read_section(document: Document, errors: list[RuleError]) -> Section | None:
    """The section of a correlation document, or None with what is wrong added to `errors`."""
    return _Reader(document, errors).read()


def span_of(text: Any) -> int | None:
    """Microseconds of a time span such as 90s, 15m or 1h30m; None when it is none."""
    if not isinstance(text, str) or not _TIMESPAN.fullmatch(text):
        return None
    parts = _TIMESPAN_PART.findall(text)
    if len({unit for _, unit in parts}) != len(parts):
        return None
    return sum(int(count) * _UNITS[unit] for count, unit in parts) * MICROSECONDS


class _Reader:
    """Reads one section; each method reads one part and says what is wrong with it."""

    def __init__(self, document: Document, errors: list[RuleError]) -> None:
        self._document = document
        self._errors = errors
        self._wrong = False
        section = document.data["correlation"]
        self._section: dict[str, Any] = section if isinstance(section, dict) else {}
        extension = document.data.get("auditwatch")
        self._extension: dict[str, Any] = extension if isinstance(extension, dict) else {}

    def read(self) -> Section | None:
        if not self._section:
            self._error("correlation must be a mapping", f"with {', '.join(PARTS)}")
            return None
        for error in self._document.unknown_keys(PARTS, ["correlation"]):
            self._add(error)
        kind = self._kind()
        if kind is None:
            return None
        rules = self._rules(kind)
        generate = self._section.get("generate", False)
        if not isinstance(generate, bool):
            self._error("generate must be true or false", "", "generate")
        fields, percentile = self._fields(kind)
        ways = self._clauses(kind, rules)
        if not rules:
            rules = tuple(dict.fromkeys(name for clause in ways for name in clause.names))
        bounds = () if ways else self._bounds(kind, len(rules))
        timespan = self._span(("correlation", "timespan"), self._section.get("timespan"), 1, LONGEST)
        absent, within = self._absent(timespan)
        section = Section(
            kind=kind,
            rules=rules,
            timespan=timespan,
            bounds=bounds,
            fields=fields,
            percentile=percentile,
            clauses=tuple(clause.placed(rules) for clause in ways),
            group_by=self._names("group-by", self._section.get("group-by")),
            aliases=self._aliases((*rules, absent) if absent else rules),
            generate=generate is True,
            absent=absent,
            within=within,
            lateness=self._lateness(),
        )
        return None if self._wrong else section

    def _add(self, error: RuleError) -> None:
        self._errors.append(error)
        self._wrong = True

    def _error(self, message: str, hint: str = "", *at: Key) -> None:
        self._add(self._document.error(message, hint, ("correlation", *at)))

    def _kind(self) -> Kind | None:
        kind = self._section.get("type")
        if kind is None:
            self._error("correlation has no type", f"one of {', '.join(KINDS)}")
        elif kind not in KINDS:
            self._error(f"{kind!r} is no type of correlation", did_you_mean(str(kind), KINDS), "type")
        else:
            return kind  # type: ignore[no-any-return]
        return None

    def _names(self, key: str, value: Any) -> tuple[str, ...]:
        """A name or a list of names."""
        if value is None:
            return ()
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            self._error(f"{key} must be a name or a list of names", "", key)
            return ()
        if len(set(names)) != len(names):
            self._error(f"{key} names one twice", "delete one of them", key)
        return tuple(names)

    def _rules(self, kind: Kind) -> tuple[str, ...]:
        rules = self._names("rules", self._section.get("rules"))
        if not rules and not (kind in TEMPORAL and isinstance(self._section.get("condition"), str)):
            self._error("correlation names no rules", "rules: [name or id of a rule]")
        if len(rules) > MOST_RULES:
            self._error(f"more than {MOST_RULES} rules in one correlation", "count one rule that says it all", "rules")
        return rules

    def _span(self, at: tuple[Key, ...], value: Any, least: int, most: int) -> int:
        span = span_of(value)
        name = str(at[-1])
        if value is None:
            self._add(self._document.error(f"correlation has no {name}", _SPAN_HINT, at[:-1]))
        elif span is None:
            self._add(self._document.error(f"{value!r} is no {name}", _SPAN_HINT, at))
        elif not least <= span <= most:
            bounds = f"between {least // MICROSECONDS} s and {most // MICROSECONDS // 3600} h"
            self._add(self._document.error(f"{name} {value} is out of bounds", bounds, at))
        else:
            return span
        return MICROSECONDS

    def _fields(self, kind: Kind) -> tuple[tuple[str, ...], int]:
        """The field or fields that are counted or measured, and the percentile asked for (50: the median)."""
        condition = self._section.get("condition")
        if not isinstance(condition, dict):
            condition = {}
        fields = self._names("condition", condition.get("field"))
        measured = kind in MEASURES or kind == "value_count"
        if measured and not fields:
            self._error(f"{kind} needs a field", "field: what to count or measure", "condition")
        if not measured and fields:
            self._error(f"{kind} counts no field", "use value_count, or delete it", "condition", "field")
        if kind in MEASURES and len(fields) > 1:
            self._error(f"{kind} measures one field", "name one", "condition", "field")
        percentile = condition.get("percentile", 50)
        if kind != "value_percentile" and "percentile" in condition:
            self._error(f"{kind} has no percentile", "use value_percentile, or delete it", "condition", "percentile")
        elif kind == "value_percentile" and "percentile" not in condition:
            self._error("value_percentile needs a percentile", "percentile: 95", "condition")
        elif type(percentile) is not int or not 0 <= percentile <= 100:
            self._error(f"{percentile!r} is no percentile", "a whole number from 0 to 100", "condition", "percentile")
            percentile = 50
        return fields, percentile

    def _clauses(self, kind: Kind, rules: tuple[str, ...]) -> tuple[Clause, ...]:
        condition = self._section.get("condition")
        if not isinstance(condition, str):
            return ()
        if kind not in TEMPORAL:
            self._error(f"{kind} needs a number to compare with", "condition: {gte: 5}", "condition")
            return ()
        try:
            ways = clauses(condition)
        except ValueError as error:
            self._error(str(error), "names of rules with and, or, not and parentheses", "condition")
            return ()
        named = {name for clause in ways for name in clause.names}
        for name in sorted(named.difference(rules)) if rules else ():
            self._error(f"the condition names {name!r}, rules does not", did_you_mean(name, rules), "condition")
        for name in sorted(set(rules).difference(named)):
            self._error(f"the condition does not name {name!r}", "use it or delete it", "rules")
        return ways

    def _bounds(self, kind: Kind, rules: int) -> tuple[tuple[Operator, float], ...]:
        condition = self._section.get("condition")
        if condition is None and kind in TEMPORAL:
            return (("gte", float(rules)),)
        if not isinstance(condition, dict):
            if not isinstance(condition, str):
                self._error(f"{kind} needs a condition", "condition: {gte: 5}")
            return ()
        known = (*OPERATORS, "field", "percentile")
        for error in self._document.unknown_keys(known, ["correlation", "condition"]):
            self._add(error)
        bounds = tuple((op, self._number(kind, op, condition[op])) for op in OPERATORS if op in condition)
        if not bounds:
            self._error("the condition compares with nothing", f"one or two of {', '.join(OPERATORS)}", "condition")
        elif not self._wrong:
            self._check_bounds(kind, rules, bounds)
        return bounds

    def _number(self, kind: Kind, op: Operator, value: Any) -> float:
        number = value if type(value) in (int, float) else None
        if kind in COUNTS:
            if type(number) is not int or not 0 <= number <= LARGEST_THRESHOLD:
                hint = f"a whole number from 0 to {LARGEST_THRESHOLD}"
                self._error(f"{op}: {value} cannot be counted", hint, "condition", op)
                return 1.0
        elif number is None or not math.isfinite(number) or abs(number) > LARGEST_NUMBER:
            self._error(f"{op}: {value!r} is no number", f"at most {LARGEST_NUMBER:.0e}", "condition", op)
            return 1.0
        return float(number)

    def _check_bounds(self, kind: Kind, rules: int, bounds: tuple[tuple[Operator, float], ...]) -> None:
        """A count starts at one: there is no window without a match."""
        if kind not in COUNTS:
            return
        most = rules if kind in TEMPORAL else 2 * LARGEST_THRESHOLD
        near = {1, most, *(int(number) + step for _, number in bounds for step in (-1, 0, 1))}
        possible = [count for count in near if 1 <= count <= most]
        holding = sum(all(COMPARE[op](count, number) for op, number in bounds) for count in possible)
        if not holding:
            hint = (
                f"at most {rules} rules can match" if kind in TEMPORAL else "nothing at all: auditwatch: {absent: RULE}"
            )
            self._error("the condition can never hold", hint, "condition")
        elif holding == len(possible) and kind not in TEMPORAL and bounds[0][1] < 1:
            self._error("the condition always holds", "one match is always there: ask for more", "condition")

    def _aliases(self, rules: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
        aliases = self._section.get("aliases")
        if aliases is None:
            return {}
        if not isinstance(aliases, dict):
            self._error("aliases must be a mapping", "alias: {rule: field}", "aliases")
            return {}
        for alias, fields in aliases.items():
            if not isinstance(fields, dict) or not all(isinstance(field, str) for field in fields.values()):
                self._error(f"alias {alias!r} must be a mapping", "of a rule's name to its field", "aliases", alias)
                return {}
            for name in fields:
                if name not in rules:
                    hint = did_you_mean(str(name), rules)
                    self._error(f"the correlation counts no rule {name!r}", hint, "aliases", alias, name)
        return aliases

    def _absent(self, timespan: int) -> tuple[str, int]:
        """The rule that must not match, and for how long; `within` is the timespan where nothing else is said."""
        absent = self._extension.get("absent", "")
        if not isinstance(absent, str) or ("absent" in self._extension and not absent):
            self._add(self._document.error("absent must name a rule", "", ("auditwatch", "absent")))
            return "", 0
        if not absent:
            if "within" in self._extension:
                hint = "absent: RULE says what must not follow"
                self._add(self._document.error("within without absent", hint, ("auditwatch", "within")))
            return "", 0
        if "within" not in self._extension:
            return absent, timespan
        return absent, self._span(("auditwatch", "within"), self._extension["within"], MICROSECONDS, LONGEST)

    def _lateness(self) -> int:
        if "lateness" not in self._extension:
            return LATENESS
        if self._extension["lateness"] == "0s":
            return 0
        return self._span(("auditwatch", "lateness"), self._extension["lateness"], 0, MOST_LATENESS)


COMPARE: Mapping[Operator, Any] = {
    "gte": lambda count, number: count >= number,
    "gt": lambda count, number: count > number,
    "lte": lambda count, number: count <= number,
    "lt": lambda count, number: count < number,
    "eq": lambda count, number: count == number,
    "neq": lambda count, number: count != number,
}
