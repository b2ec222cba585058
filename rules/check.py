"""What is missing in rule files, beyond what keeps them from loading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rules.document import Document, RuleError, RuleErrors, documents_of
from rules.sigma import load

_NEEDED = {
    "id": "make one with uuidgen",
    "level": "informational, low, medium, high or critical",
    "description": "say what happened and why it matters",
    "falsepositives": "say when it fires although nothing is wrong",
}
_SELECTOR = re.compile(r"\b(?:1|any|all)\s+of\s+([\w*]+)")


def check(paths: Sequence[Path]) -> list[RuleError]:
    """Everything wrong with the rules of files and folders, by place: errors that keep them from loading, and lint."""
    errors: list[RuleError] = []
    try:
        load(paths)
    except RuleErrors as found:
        errors += found.errors
    documents, _ = documents_of(paths)
    for document in documents:
        errors += _lint(document)
    return sorted(set(errors))


def _lint(document: Document) -> Iterator[RuleError]:
    data = document.data
    for key, hint in _NEEDED.items():
        if not data.get(key):
            yield document.error(f"the rule has no {key}", hint, [key])
    tags = data.get("tags")
    if not any(re.match(r"attack\.[ts]\d", str(tag)) for tag in tags if isinstance(tags, list)) if tags else True:
        yield document.error("the rule names no ATT&CK technique", "add a tag such as attack.t1098", ["tags"])
    yield from _tests(document)
    detection = data.get("detection")
    if isinstance(detection, dict):
        yield from _unused(document, detection)
        yield from _doubtful(document, detection, ["detection"])


def _tests(document: Document) -> Iterator[RuleError]:
    section = document.data.get("auditwatch")
    tests = section.get("tests") if isinstance(section, dict) else None
    cases = [test for test in tests if isinstance(test, dict)] if isinstance(tests, list) else []
    kinds = {
        "that must match": any(test.get("match") is True for test in cases),
        "that must not match": any(test.get("match") is False and not test.get("near_miss") for test in cases),
        "that only just does not match (near_miss: true)": any(test.get("near_miss") is True for test in cases),
    }
    for kind, there in kinds.items():
        if not there:
            yield document.error(
                f"the rule has no test {kind}", "add one under auditwatch: tests:", ["auditwatch", "tests"]
            )


def _unused(document: Document, detection: dict[str, Any]) -> Iterator[RuleError]:
    """Selections the condition never speaks of: most often a slip of the pen."""
    conditions = detection.get("condition", "")
    text = " ".join(map(str, conditions)) if isinstance(conditions, list) else str(conditions)
    patterns = [re.compile(name.replace("*", ".*")) for name in _SELECTOR.findall(text)]
    named = set(re.findall(r"[\w-]+", text))
    if "them" in named:
        return
    for name in detection:
        if name != "condition" and name not in named and not any(pattern.fullmatch(name) for pattern in patterns):
            yield document.error(f"{name!r} is not used in the condition", "use it or delete it", ["detection", name])


def _doubtful(document: Document, part: Any, at: list[str | int]) -> Iterator[RuleError]:
    """What Sigma engines read differently: `all` of one value, null among others."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        place = [*at, key]
        values = value if isinstance(value, list) else [value]
        if isinstance(key, str) and "all" in key.split("|")[1:] and len(values) == 1:
            yield document.error("'all' of one value", "leave |all out", place)
        if len(values) > 1 and None in values:
            yield document.error("null in a list of values", "make it a selection of its own", place)
        yield from _doubtful(document, value, place)
