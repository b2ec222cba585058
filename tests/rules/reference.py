"""What the reference backend (pysigma-backend-sqlite) says about rules and records, for comparing with ours.

A table for each rule: a column for each field as the rule calls it, a row for each combination of list members. Field
mappings are read here once more, in another way: a column also holds what the mapped paths have.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

import rules
from audit.event import AuditEvent
from rules.fields import NORMALISED

Row = tuple[str | None, ...]
MOST_ROWS = 5_000


class Flat(NamedTuple):
    """A record: the texts at each dotted path, and the record itself for paths that select members of lists."""

    texts: dict[str, list[str]]
    record: Mapping[str, Any]
    event: AuditEvent


def reference(files: Iterable[Path], flat: Sequence[Flat]) -> Iterator[tuple[int, str]]:
    """(record number, rule id) of every match."""
    for file in files:
        collection = SigmaCollection.from_dicts(list(yaml.safe_load_all(file.read_text())))
        for number in matches(collection, flat):
            yield number, str(collection.rules[0].id)


def matches(collection: SigmaCollection, flat: Sequence[Flat]) -> Iterator[int]:
    """The numbers of the records that match."""
    backend = sqliteBackend(table="logs", fulltext_field="everything", collate_nocase=True)
    rule = collection.rules[0]
    columns = sorted({*backend.required_fields(rule), "everything"})
    known = mapped(rule.logsource.product, rule.logsource.service)
    connection = _table(columns, [[_values(one, column, known) for column in columns] for one in flat])
    for query in backend.convert(collection):
        for (number,) in connection.execute(query.replace("SELECT *", "SELECT DISTINCT number", 1)):
            yield number
    connection.close()


def _table(columns: list[str], values: list[list[list[str]]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.create_function("REGEXP", 2, lambda pattern, text: text is not None and bool(re.search(pattern, text)))
    declared = ", ".join(f'"{column}" TEXT COLLATE NOCASE' for column in columns)
    connection.execute(f"CREATE TABLE logs (number INTEGER, {declared})")
    marks = ", ".join("?" * (len(columns) + 1))
    rows = (
        (number, *row)
        for number, each in enumerate(values)
        for row in itertools.islice(itertools.product(*(found or [None] for found in each)), MOST_ROWS)
    )
    connection.executemany(f"INSERT INTO logs VALUES ({marks})", rows)
    return connection


@cache
def mapped(product: str | None, service: str | None) -> dict[str, dict[str, Any]]:
    """Field in lower case -> {paths, values} of the shipped mappings."""
    found: dict[str, dict[str, Any]] = {}
    folder = Path(rules.__file__).parent / "mappings"
    documents = [one for file in folder.glob("*.yml") for one in yaml.safe_load_all(file.read_text())]
    for document in sorted(documents, key=lambda one: len(one["logsource"])):
        named = document["logsource"]
        if named.get("product") == product and named.get("service") in (None, service):
            for name, written in document.get("fields", {}).items():
                given = written if isinstance(written, dict) else {"paths": written}
                paths = given["paths"] if isinstance(given["paths"], list) else [given["paths"]]
                found[name.lower()] = {"paths": paths, "values": given.get("values", {})}
    return found


def _values(one: Flat, column: str, known: dict[str, dict[str, Any]]) -> list[str]:
    found = list(one.texts.get(column, []))
    mapping = known.get(column.lower()) or _above(column, known)
    if mapping is None:
        return found
    for path in mapping["paths"]:
        found += _at(one, path)
    for name, called in mapping["values"].items():
        patterns = called if isinstance(called, list) else [called]
        if any(fnmatch.fnmatchcase(text.lower(), pattern.lower()) for text in found for pattern in patterns):
            found.append(name)
    return list(dict.fromkeys(found))


def _above(column: str, known: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    parts = column.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = known.get(".".join(parts[:length]).lower() + ".*")
        if above:
            rest = ".".join(parts[length:])
            return {"paths": [path[:-1] + rest for path in above["paths"]], "values": {}}
    return None


def _at(one: Flat, path: str) -> list[str]:
    if path.startswith("auditwatch."):
        value = NORMALISED[path.removeprefix("auditwatch.")](one.event)
        return [] if value is None else [str(value)]
    if "[" not in path:
        return one.texts.get(path, [])
    head, key, value, rest = re.match(r"(.*)\[(.*)=(.*)\]\.(.*)", path).groups()
    found: list[str] = []
    for member in _members(one.record, head.split(".")):
        if isinstance(member, dict) and str(member.get(key)).lower() == value.lower():
            found += flattened(member, one.event).texts.get(rest, [])
    return found


def _members(value: Any, parts: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for member in value:
            yield from _members(member, parts)
    elif not parts:
        yield value
    elif isinstance(value, Mapping) and parts[0] in value:
        yield from _members(value[parts[0]], parts[1:])


def flattened(record: Mapping[str, Any], event: AuditEvent) -> Flat:
    """Dotted path -> texts at it. A dict is its JSON text too; list members share their list's path."""
    found: dict[str, list[str]] = {}
    everything: list[str] = []

    def walk(path: str, value: Any) -> None:
        if isinstance(value, list):
            for member in value:
                walk(path, member)
        elif isinstance(value, dict):
            found.setdefault(path, []).append(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
            for key, inner in value.items():
                walk(f"{path}.{key}", inner)
        elif value is not None:
            text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
            found.setdefault(path, []).append(text)
            everything.append(text)

    for key, value in record.items():
        walk(key, value)
    found["everything"] = ["\n".join(everything)]
    return Flat(found, record, event)
