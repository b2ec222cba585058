"""What is missing or doubtful in one rule document, beyond what keeps it from loading.

Of pySigma's validators (https://github.com/SigmaHQ/pySigma) these have their counterpart here: dangling detections,
`them` for a single selection, `all of them`, tag format and namespaces, ATT&CK and CVE tags, duplicate tags and
references, double and escaped wildcards, wildcards instead of modifiers, control characters, lists with one value
twice. Its rules about file names, Windows log sources and numbers written as text make no sense here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rules.attack import TACTICS
from rules.document import Document, Key, RuleError, did_you_mean
from rules.filters import keeps_only

NEEDED = {
    "id": "make one with uuidgen",
    "level": "informational, low, medium, high or critical",
    "description": "say what happened and why it matters",
    "falsepositives": "say when it fires although nothing is wrong",
}
NAMESPACES = ("attack", "car", "cve", "d3fend", "detection", "stp", "tlp")

_SELECTOR = re.compile(r"\b(?:\d+|any|all)\s+of\s+([\w*]+)")
_TECHNIQUE = re.compile(r"attack\.[ts]\d")
_ATTACK = re.compile(r"[tT]\d{4}(\.\d{3})?|[gGsS]\d{4}")
_TAG = re.compile(r"[a-z0-9_-]+\.[a-z0-9._-]+", re.IGNORECASE)
_CVE = re.compile(r"\d{4}[.-]\d+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WILD = re.compile(r"(?<!\\)\*")
_SEARCHES = ("contains", "startswith", "endswith", "re", "cidr", "expand", "base64", "base64offset")
_VALUES = ("detection", "filter")


def lint(document: Document) -> Iterator[RuleError]:
    """What is missing or doubtful in a rule, a correlation or a filter; nothing of any other document."""
    data = document.data
    if "filter" in data:
        yield from keeps_only(document)
    elif "detection" in data or "correlation" in data:
        yield from _needed(document)
        yield from _tests(document)
    for part in _VALUES:
        section = data.get(part)
        if isinstance(section, dict):
            yield from _unused(document, part, section)
            yield from _them(document, part, section)
            yield from _doubtful(document, section, [part])
    yield from _tags(document)
    yield from _twice(document, data.get("references"), ["references"], "reference")


def _needed(document: Document) -> Iterator[RuleError]:
    data = document.data
    for key, hint in NEEDED.items():
        if not data.get(key):
            yield document.error(f"the rule has no {key}", hint, [key])
    tags = data.get("tags")
    if not any(_TECHNIQUE.match(str(tag)) for tag in tags if isinstance(tags, list)) if tags else True:
        yield document.error("the rule names no ATT&CK technique", "add a tag such as attack.t1098", ["tags"])
    section = data.get("auditwatch")
    if not (isinstance(section, dict) and section.get("runbook")):
        hint = "add the steps for whoever gets the alert, under auditwatch: runbook:"
        yield document.error("the rule has no runbook", hint, ["auditwatch"])


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
            hint = "add one under auditwatch: tests:"
            yield document.error(f"the rule has no test {kind}", hint, ["auditwatch", "tests"])


def _condition(section: dict[str, Any]) -> str:
    conditions = section.get("condition", "")
    return " ".join(map(str, conditions)) if isinstance(conditions, list) else str(conditions)


def _selections(section: dict[str, Any]) -> list[str]:
    return [name for name in section if name not in ("condition", "rules", "timeframe")]


def _unused(document: Document, part: str, section: dict[str, Any]) -> Iterator[RuleError]:
    """Selections the condition never speaks of: most often a slip of the pen."""
    text = _condition(section)
    patterns = [re.compile(name.replace("*", ".*")) for name in _SELECTOR.findall(text)]
    named = set(re.findall(r"[\w-]+", text))
    if "them" in named:
        return
    for name in _selections(section):
        if name not in named and not any(pattern.fullmatch(name) for pattern in patterns):
            yield document.error(f"{name!r} is not used in the condition", "use it or delete it", [part, name])


def _them(document: Document, part: str, section: dict[str, Any]) -> Iterator[RuleError]:
    text, names = _condition(section).lower(), _selections(section)
    if re.search(r"\bthem\b", text) and len(names) == 1:
        yield document.error("'them' is a single selection", f"write condition: {names[0]}", [part, "condition"])
    elif re.search(r"\ball\s+of\s+them\b", text):
        what = "'all of them' also takes in selections that are added later"
        yield document.error(what, "name them: all of selection_*", [part, "condition"])


def _doubtful(document: Document, part: Any, at: list[Key]) -> Iterator[RuleError]:
    """What Sigma engines read differently, or what most often is meant otherwise."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        place = [*at, key]
        if place[1:] in (["condition"], ["rules"], ["timeframe"]):
            continue
        values = value if isinstance(value, list) else [value]
        modifiers = key.split("|")[1:] if isinstance(key, str) else []
        if "all" in modifiers and len(values) == 1:
            yield document.error("'all' of one value", "leave |all out", place)
        if len(values) > 1 and None in values:
            yield document.error("null in a list of values", "make it a selection of its own", place)
        if isinstance(value, list):
            yield from _twice(document, value, place, "value")
        if isinstance(key, str):
            yield from _texts(document, modifiers, values, place)
        yield from _doubtful(document, value, place)


def _texts(document: Document, modifiers: Sequence[str], values: list[Any], at: list[Key]) -> Iterator[RuleError]:
    """Doubtful spellings of a field's values."""
    for position, text in enumerate(values):
        place: list[Key] = [*at, position] if len(values) > 1 else at
        if not isinstance(text, str):
            continue
        if _CONTROL.search(text):
            hint = "a backslash inside double quotes? use single quotes"
            yield document.error("a control character in the value", hint, place)
        if "re" in modifiers:
            continue
        if "**" in text:
            yield document.error("two wildcards in a row", "one * says the same", place)
        better = _modifier(text)
        if better and not any(name in modifiers for name in _SEARCHES):
            yield document.error(f"wildcards at the ends of {text!r}", f"write |{better} and leave them out", place)


def _modifier(text: str) -> str:
    """What to write instead of wildcards at the ends, "" where there is more to the pattern, or no other text."""
    inner = text.strip("*")
    starts, ends = text.startswith("*"), text.endswith("*") and not text.endswith("\\*")
    if not inner or inner.endswith("\\") or _WILD.search(inner) or "?" in inner:
        return ""
    return "contains" if starts and ends else "endswith" if starts else "startswith" if ends else ""


def _twice(document: Document, values: Any, at: list[Key], what: str) -> Iterator[RuleError]:
    """Values written twice in a list; case does not count in what rules compare."""
    seen: set[str] = set()
    for position, value in enumerate(values if isinstance(values, list) else []):
        if isinstance(value, dict | list):
            continue
        cased = any("cased" in str(key).split("|") or "re" in str(key).split("|") for key in at)
        text = str(value) if cased else str(value).lower()
        if text in seen:
            yield document.error(f"the {what} {value!r} is there twice", "delete one", [*at, position])
        seen.add(text)


def _tags(document: Document) -> Iterator[RuleError]:
    tags = document.data.get("tags")
    if not isinstance(tags, list):
        return
    yield from _twice(document, tags, ["tags"], "tag")
    for position, tag in enumerate(map(str, tags)):
        error = _wrong_tag(tag)
        if error:
            yield document.error(*error, ["tags", position])


def _wrong_tag(tag: str) -> tuple[str, str] | None:
    namespace, _, name = tag.partition(".")
    lower = name.lower()
    if not _TAG.fullmatch(tag):
        return f"{tag!r} is no tag", "write NAMESPACE.NAME such as attack.persistence"
    if namespace not in NAMESPACES:
        return f"no tag namespace {namespace!r}", did_you_mean(namespace, NAMESPACES)
    if namespace == "attack" and not _ATTACK.fullmatch(name) and lower.replace("_", "-") not in TACTICS:
        return f"ATT&CK has no tactic {name!r}", did_you_mean(lower, TACTICS)
    if namespace == "attack" and "_" in name:
        return f"{tag!r} is written with dashes today", f"write attack.{lower.replace('_', '-')}"
    if namespace == "cve" and not _CVE.fullmatch(name):
        return f"{tag!r} is no CVE", "write cve.2024.12345"
    return None
