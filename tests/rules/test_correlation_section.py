from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sigma.correlations import SigmaCorrelationRule

from audit.event import MICROSECONDS
from rules.correlation_section import LATENESS, Section, read_section, span_of
from rules.document import read

MINUTE = 60 * MICROSECONDS

BASE = """title: Many
correlation:
  type: event_count
  rules: [failed]
  group-by: [source_ip]
  timespan: 10m
  condition: {gte: 2}
"""
Write = Callable[[str], tuple[Section | None, list[str]]]


@pytest.fixture
def section_of(tmp_path: Path) -> Write:
    def write(text: str) -> tuple[Section | None, list[str]]:
        path = tmp_path / "c.yml"
        path.write_text(text)
        (document,), _ = read(path)
        errors: list[Any] = []
        found = read_section(document, errors)
        return found, [str(error).removeprefix(f"{path}:") for error in errors]

    return write


def test_a_section_is_read_as_written(section_of: Write) -> None:
    text = BASE.replace("timespan: 10m", "timespan: 1h30m\n  generate: true\n  aliases: {ip: {failed: a.b}}")
    found, errors = section_of(text + "auditwatch: {absent: healed, within: 20m, lateness: 1m}\n")
    assert not errors
    assert found == Section(
        kind="event_count",
        rules=("failed",),
        timespan=90 * MINUTE,
        bounds=(("gte", 2.0),),
        fields=(),
        percentile=50,
        clauses=(),
        group_by=("source_ip",),
        aliases={"ip": {"failed": "a.b"}},
        generate=True,
        absent="healed",
        within=20 * MINUTE,
        lateness=MINUTE,
    )


def test_what_is_not_said_has_its_usual_value(section_of: Write) -> None:
    found, _ = section_of(BASE)
    assert found is not None
    assert (found.generate, found.absent, found.within, found.lateness) == (False, "", 0, LATENESS)
    found, _ = section_of(BASE + "auditwatch: {absent: healed, lateness: 0s}\n")
    assert found is not None
    assert (found.within, found.lateness) == (10 * MINUTE, 0)


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        ("1s", 1),
        ("90m", 5400),
        ("1h30m", 5400),
        ("2d12h", 216_000),
        ("1w", 604_800),
        ("1M", 2_629_746),
        ("", None),
        ("10", None),
        ("m", None),
        ("1m1m", None),
        ("-1m", None),
        ("1 m", None),
        ("1h30", None),
        (10, None),
        (None, None),
    ],
)
def test_spans(span: Any, seconds: int | None) -> None:
    assert span_of(span) == (None if seconds is None else seconds * MICROSECONDS)


@given(st.text(max_size=20))
def test_no_text_breaks_the_reading_of_spans(text: str) -> None:
    found = span_of(text)
    assert found is None or found >= 0


GOOD: list[tuple[str, Mapping[str, Any]]] = [
    ("{gt: 2, lte: 5}", {"bounds": (("gt", 2.0), ("lte", 5.0))}),
    ("{lt: 5}", {"bounds": (("lt", 5.0),)}),
    ("{neq: 3}", {"bounds": (("neq", 3.0),)}),
]


@pytest.mark.parametrize(("condition", "wanted"), GOOD)
def test_conditions_that_can_be_read(section_of: Write, condition: str, wanted: Mapping[str, Any]) -> None:
    found, errors = section_of(BASE.replace("{gte: 2}", condition))
    assert not errors
    assert {name: getattr(found, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("value_count", "{field: user, gte: 3}"),
        ("value_count", "{field: [user, host], gte: 3}"),
        ("value_sum", "{field: bytes, gt: 1.5}"),
        ("value_avg", "{field: bytes, lt: -2}"),
        ("value_percentile", "{field: bytes, percentile: 95, gte: 10}"),
        ("value_median", "{field: bytes, eq: 0}"),
    ],
)
def test_what_pysigma_reads_is_read(section_of: Write, kind: str, condition: str) -> None:
    text = BASE.replace("event_count", kind).replace("{gte: 2}", condition)
    found, errors = section_of(text)
    assert not errors
    theirs = SigmaCorrelationRule.from_dict(yaml.safe_load(text))
    assert found is not None
    assert found.kind == theirs.type.name.lower()
    assert found.bounds == ((theirs.condition.op.name.lower(), theirs.condition.count),)
    fields = theirs.condition.fieldref
    assert found.fields == ((fields,) if isinstance(fields, str) else tuple(fields))
    assert found.timespan == theirs.timespan.seconds * MICROSECONDS


def test_a_temporal_correlation_needs_no_condition(section_of: Write) -> None:
    text = (
        BASE.replace("event_count", "temporal").replace("[failed]", "[a, b, c]").replace("  condition: {gte: 2}\n", "")
    )
    found, errors = section_of(text)
    assert not errors
    assert found is not None
    assert found.bounds == (("gte", 3.0),)


def test_an_extended_condition_becomes_clauses(section_of: Write) -> None:
    text = BASE.replace("event_count", "temporal").replace("[failed]", "[a, b, c]")
    found, errors = section_of(text.replace("{gte: 2}", "a and (c or not b)"))
    assert not errors
    assert found is not None
    assert [(one.present, one.missing) for one in found.clauses] == [((0, 2), ()), ((0,), (1,))]
    found, errors = section_of(text.replace("{gte: 2}", "c and a").replace("  rules: [a, b, c]\n", ""))
    assert not errors
    assert found is not None
    assert found.rules == ("c", "a")


T = "type: event_count"
C = "condition: {gte: 2}"
WRONG = [
    (T, "type: event_cuont", "3:3: 'event_cuont' is no type of correlation: did you mean 'event_count'?"),
    (T, "kind: event_count", "3:3: unknown key 'kind' in correlation"),
    (T, "generate: true", "2:1: correlation has no type: one of event_count, "),
    (T, "type: value_count", "7:3: value_count needs a field: field: what to count or measure"),
    (T, "type: value_avg", "7:3: value_avg needs a field"),
    (T, "type: temporal", "7:3: the condition can never hold: at most 1 rules can match"),
    ("rules: [failed]", "rules: 5", "4:3: rules must be a name or a list of names"),
    ("rules: [failed]", "rules: [failed, failed]", "4:3: rules names one twice: delete one of them"),
    ("rules: [failed]", "generate: false", "2:1: correlation names no rules"),
    ("rules: [failed]", f"rules: [{', '.join(f'r{n}' for n in range(13))}]", "4:3: more than 12 rules"),
    ("timespan: 10m", "timespan: 1x", "6:3: '1x' is no timespan: numbers with s, m, h, d, w or M: 10m, 1h30m"),
    ("timespan: 10m", "timespan: 10", "6:3: 10 is no timespan"),
    ("timespan: 10m", "timespan: 0s", "6:3: timespan 0s is out of bounds: between 0 s and 2160 h"),
    ("timespan: 10m", "timespan: 1y", "6:3: timespan 1y is out of bounds"),
    ("timespan: 10m", "timespam: 10m", "6:3: unknown key 'timespam' in correlation: did you mean 'timespan'?"),
    ("timespan: 10m", "generate: false", "2:1: correlation has no timespan"),
    ("timespan: 10m", "timespan: 10m\n  generate: 1", "7:3: generate must be true or false"),
    (C, "condition: {gte: 2.5}", "7:15: gte: 2.5 cannot be counted: a whole number from 0 to 10000"),
    (C, "condition: {gte: -1}", "7:15: gte: -1 cannot be counted"),
    (C, "condition: {gte: 10001}", "7:15: gte: 10001 cannot be counted"),
    (C, "condition: {gte: true}", "7:15: gte: True cannot be counted"),
    (C, "condition: {gte: 0}", "7:3: the condition always holds: one match is always there: ask for more"),
    (C, "condition: {lt: 1}", "7:3: the condition can never hold: nothing at all: auditwatch: {absent: RULE}"),
    (C, "condition: {gt: 3, lt: 4}", "7:3: the condition can never hold"),
    (C, "condition: {get: 2}", "7:15: unknown key 'get' in correlation.condition: did you mean 'gt'?"),
    (C, "condition: {}", "7:3: the condition compares with nothing: one or two of gte, gt,"),
    (C, "condition: {field: a, gte: 2}", "7:15: event_count counts no field: use value_count, or delete it"),
    (C, "condition: {percentile: 9, gte: 2}", "7:15: event_count has no percentile: use value_percentile"),
    (C, "condition: a and b", "7:3: event_count needs a number to compare with: condition: {gte: 5}"),
    (C, "generate: false", "2:1: event_count needs a condition: condition: {gte: 5}"),
    (C, "condition: [5]", "2:1: event_count needs a condition"),
    (C, C + "\n  aliases: 5", "8:3: aliases must be a mapping: alias: {rule: field}"),
    (C, C + "\n  aliases: {a: b}", "8:13: alias 'a' must be a mapping"),
    (C, C + "\n  aliases: {a: {faild: b}}", "8:17: the correlation counts no rule 'faild': did you mean 'failed'?"),
    (C, C + "\nauditwatch: {absent: 5}", "8:14: absent must name a rule"),
    (C, C + "\nauditwatch: {within: 5m}", "8:14: within without absent: absent: RULE says what must not follow"),
    (C, C + "\nauditwatch: {absent: a, within: 5}", "8:25: 5 is no within"),
    (C, C + "\nauditwatch: {lateness: 7h}", "8:14: lateness 7h is out of bounds: between 0 s and 6 h"),
]


@pytest.mark.parametrize(("old", "new", "error"), WRONG)
def test_what_cannot_be_understood_is_an_error_with_its_place(
    section_of: Write, old: str, new: str, error: str
) -> None:
    assert old in BASE
    found, errors = section_of(BASE.replace(old, new, 1))
    assert found is None
    assert any(one.startswith(error) for one in errors), errors


MEASURED = [
    ("{gte: 2}", "{field: [a, b], gte: 2}", "value_sum", "7:15: value_sum measures one field: name one"),
    ("{gte: 2}", "{field: a, gte: x}", "value_sum", "7:25: gte: 'x' is no number: at most 1e+12"),
    ("{gte: 2}", "{field: a, gte: .nan}", "value_avg", "7:25: gte: nan is no number"),
    ("{gte: 2}", "{field: a, gte: 2}", "value_percentile", "7:3: value_percentile needs a percentile: percentile: 95"),
    ("{gte: 2}", "{field: a, percentile: 101, gte: 2}", "value_percentile", "7:25: 101 is no percentile"),
    ("{gte: 2}", "failed and", "temporal", "7:3: the condition cannot be read: a name is missing at its end"),
    ("{gte: 2}", "failed and other", "temporal", "7:3: the condition names 'other', rules does not"),
    ("{gte: 2}", "not failed", "temporal", "7:3: the condition could be met by nothing happening"),
]


@pytest.mark.parametrize(("old", "new", "kind", "error"), MEASURED)
def test_wrong_conditions_of_other_types(section_of: Write, old: str, new: str, kind: str, error: str) -> None:
    found, errors = section_of(BASE.replace(old, new, 1).replace("event_count", kind))
    assert found is None
    assert any(one.startswith(error) for one in errors), errors


def test_a_section_that_is_no_mapping(section_of: Write) -> None:
    found, errors = section_of("title: a\ncorrelation: 5\n")
    assert found is None
    assert errors == [
        "2:1: correlation must be a mapping: with "
        + ", ".join(("type", "rules", "generate", "group-by", "timespan", "aliases", "condition"))
    ]
