"""What auditwatch adds to a Sigma rule, under its key `auditwatch`: runbook, risk, stage, tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from audit.context import EMPTY, Context
from audit.context_schema import Declared, decode_moment
from rules.correlation_section import EXTENSION_KEYS
from rules.document import Document, RuleError, did_you_mean
from rules.rule import RuleTest, Stage
from rules.view import FIRST_SEEN, History

KEYS = ("runbook", "risk", "stage", "tests")
STAGES: tuple[Stage, ...] = get_args(Stage)
RETIRED = ("deprecated", "unsupported")
"""Sigma's statuses of rules that are off unless they say otherwise."""
_PAST = ("first_seen", "history_days", "last_seen_days", "team_share", "context")
TEST_KEYS = ("name", "match", "near_miss", "source", "event", "events", *_PAST)


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
    if not _are_shares(test.get("team_share", {})):
        said = "team_share must say of each thing how many peers know it, 0 to 1"
        wrong.append(document.error(said, "team_share: {action: 0.4}", (*at, "team_share")))
    numbers = [key for key in ("history_days", "last_seen_days") if type(test.get(key, 0)) is not int]
    wrong += [document.error(f"{key} must be a whole number", "days", (*at, key)) for key in numbers]
    try:
        _context(test)
    except msgspec.ValidationError as error:
        wrong.append(document.error(f"context: {error}", "write it as in the context file", (*at, "context")))
    sources = _sources(test, source)
    if not all(sources):
        wrong.append(
            document.error("a test of this rule needs a source", "write source: okta, or whose record it is", at)
        )
    if len(sources) != len(records) or not all(isinstance(one, str) for one in sources):
        wrong.append(
            document.error("a list of sources has one for each event", "source: [okta, github]", (*at, "source"))
        )
    return wrong


def _sources(test: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Whose records the test's are: one name for all, or a list of one for each."""
    given = test.get("source") or source
    return tuple(given) if isinstance(given, list) else (given,) * len(_records(test))


def _are_shares(given: Any) -> bool:
    if not isinstance(given, dict) or not set(map(str, given)) <= set(FIRST_SEEN):
        return False
    return all(type(share) in (int, float) and 0 <= share <= 1 for share in given.values())


def _records(test: Mapping[str, Any]) -> list[Any]:
    if "event" in test:
        return [test["event"]]
    events = test.get("events", [])
    return events if isinstance(events, list) else []


def _test(test: Mapping[str, Any], source: str, line: int) -> RuleTest:
    history = History(
        sum(1 << FIRST_SEEN.index(kind) for kind in set(test.get("first_seen", []))),
        test.get("history_days", 90),
        test.get("last_seen_days", 0 if test.get("history_days", 90) else None),
    )
    if shares := test.get("team_share"):
        history = history._replace(team={FIRST_SEEN.index(kind): share for kind, share in shares.items()}.get)
    return RuleTest(
        name=test["name"],
        match=test["match"],
        events=tuple(_records(test)),
        sources=_sources(test, source),
        near_miss=bool(test.get("near_miss")),
        line=line,
        history=history,
        context=_context(test),
    )


def _context(test: Mapping[str, Any]) -> Context:
    """What the company declares in a test, in the words of the context file.

    Raises:
        msgspec.ValidationError: there are others.
    """
    if "context" not in test:
        return EMPTY
    return Context(msgspec.convert(test["context"], Declared, strict=False, dec_hook=decode_moment))
