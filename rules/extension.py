"""What auditwatch adds to a Sigma rule, under its key `auditwatch`: runbook, risk, stage, tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from rules.correlation_section import EXTENSION_KEYS
from rules.document import Document, RuleError, did_you_mean
from rules.fields import FIRST_SEEN, History
from rules.rule import RuleTest, Stage

KEYS = ("runbook", "risk", "stage", "tests")
STAGES: tuple[Stage, ...] = get_args(Stage)
RETIRED = ("deprecated", "unsupported")
"""Sigma's statuses of rules that are off unless they say otherwise."""
TEST_KEYS = ("name", "match", "near_miss", "source", "event", "events", "first_seen", "history_days")


@dataclass(frozen=True, slots=True)
class Extension:
    """The section as read. `risk` is None where the severity decides it."""

    runbook: tuple[str, ...] = ()
    risk: int | None = None
    stage: Stage = "live"
    tests: tuple[RuleTest, ...] = ()


def read_extension(document: Document, source: str) -> tuple[Extension, list[RuleError]]:
    """The section of a document, and what is wrong in it. `source` is what a test's record is unless it says so."""
    section = document.data.get("auditwatch", {})
    if not isinstance(section, dict):
        return Extension(), [
            document.error("auditwatch must be a mapping", "write runbook:, risk:, stage:, tests:", ["auditwatch"])
        ]
    known = (*KEYS, *EXTENSION_KEYS) if "correlation" in document.data else KEYS
    errors = document.unknown_keys(known, ["auditwatch"])
    runbook = section.get("runbook", [])
    if not (isinstance(runbook, list) and all(isinstance(step, str) for step in runbook)):
        errors.append(
            document.error("runbook must be a list of sentences", "one step a line", ["auditwatch", "runbook"])
        )
        runbook = []
    risk = section.get("risk")
    if risk is not None and not (type(risk) is int and 0 <= risk <= 100):
        errors.append(document.error("risk must be a whole number", "write 0 to 100", ["auditwatch", "risk"]))
        risk = None
    tests, wrong = _tests(document, section.get("tests", []), source)
    return Extension(tuple(runbook), risk, _stage(document, section, errors), tests), errors + wrong


def _stage(document: Document, section: Mapping[str, Any], errors: list[RuleError]) -> Stage:
    retired = str(document.data.get("status")).lower() in RETIRED
    given = section.get("stage", "off" if retired else "live")
    for stage in STAGES:
        if given == stage or (stage == "off" and given is False):  # YAML reads off as false
            return stage
    errors.append(document.error(f"no stage {given!r}", did_you_mean(str(given), STAGES), ["auditwatch", "stage"]))
    return "live"


def _tests(document: Document, tests: Any, source: str) -> tuple[tuple[RuleTest, ...], list[RuleError]]:
    if not isinstance(tests, list):
        return (), [document.error("tests must be a list", "begin each with - name:", ["auditwatch", "tests"])]
    read: list[RuleTest] = []
    errors: list[RuleError] = []
    for position, test in enumerate(tests):
        at = ("auditwatch", "tests", position)
        wrong = document.unknown_keys(TEST_KEYS, at) + _wrong(document, test, at, source)
        errors += wrong
        if not wrong:
            read.append(_test(test, source, document.place(at)[0]))
    return tuple(read), errors


def _wrong(document: Document, test: Any, at: tuple[str | int, ...], source: str) -> list[RuleError]:
    if not isinstance(test, dict):
        return [document.error("a test must be a mapping", "write name:, match:, event:", at)]
    wrong: list[RuleError] = []
    if not isinstance(test.get("name"), str):
        wrong.append(document.error("a test needs a name", "say what happens in it", at))
    if not isinstance(test.get("match"), bool):
        wrong.append(document.error("a test needs match: true or match: false", "", (*at, "match")))
    if test.get("match") is True and test.get("near_miss"):
        wrong.append(document.error("a near miss does not match", "write match: false", (*at, "near_miss")))
    records = _records(test)
    if not records or not all(isinstance(record, dict) for record in records):
        wrong.append(
            document.error("a test needs event: with a raw record as the vendor sends it", "or events: [..]", at)
        )
    new = test.get("first_seen", [])
    if not isinstance(new, list) or not set(map(str, new)) <= set(FIRST_SEEN):
        wrong.append(document.error("first_seen must list what is new", ", ".join(FIRST_SEEN), (*at, "first_seen")))
    if type(test.get("history_days", 0)) is not int:
        wrong.append(document.error("history_days must be a whole number", "days", (*at, "history_days")))
    if not (test.get("source") or source):
        wrong.append(
            document.error("a test of this rule needs a source", "write source: okta, or whose record it is", at)
        )
    return wrong


def _records(test: Mapping[str, Any]) -> list[Any]:
    if "event" in test:
        return [test["event"]]
    events = test.get("events", [])
    return events if isinstance(events, list) else []


def _test(test: Mapping[str, Any], source: str, line: int) -> RuleTest:
    return RuleTest(
        name=test["name"],
        match=test["match"],
        events=tuple(_records(test)),
        source=test.get("source") or source,
        near_miss=bool(test.get("near_miss")),
        line=line,
        history=History(
            sum(1 << FIRST_SEEN.index(kind) for kind in set(test.get("first_seen", []))), test.get("history_days", 90)
        ),
    )
