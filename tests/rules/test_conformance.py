"""Our matcher against the reference backend (pysigma-backend-sqlite), SigmaHQ's rules on real events."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

from rules.sigma import load
from tests.rules.conftest import HEAD, event, raw_records
from tests.rules.vectors import VECTORS

CASES = [
    ("cloudtrail", ("cloud/aws",), 350, 57, 200),
    ("okta", ("identity/okta",), 60, 21, 5),
    ("github", ("application/github",), 60, 15, 10),
    ("kubernetes", ("application/kubernetes",), 100, 16, 40),
]
Row = tuple[str | None, ...]


@pytest.mark.parametrize(("source", "folders", "events", "rules", "matches"), CASES)
def test_matches_are_those_of_the_reference(
    data: Path, source: str, folders: tuple[str, ...], events: int, rules: int, matches: int
) -> None:
    paths = [data / "sigma" / "rules" / folder for folder in folders]
    records = list(raw_records(data / source))
    ours = load(paths)
    wanted = set(_reference(paths, records))
    found = {
        (number, rule.id) for number, record in enumerate(records) for rule in ours.match(event(source=source), record)
    }
    assert len(records) >= events
    assert len(ours.rules) == rules
    assert found == wanted
    assert len(wanted) >= matches, "too few matches to prove anything"


def test_every_cloud_rule_loads(data: Path) -> None:
    folder = data / "sigma" / "rules"
    assert len(load([folder / "cloud", folder / "identity", folder / "application" / "github"]).rules) > 250
    assert len(load([folder]).rules) == 371


def test_vectors_hold_by_the_reference_too() -> None:
    """The vectors are not only our opinion: the reference agrees with each one it can express."""
    differing = []
    for detection, record, wanted in VECTORS:
        if any(order in detection for order in ("|lt", "|gt")):
            continue  # the table's columns are text, and text has its own order
        text = HEAD + "detection:\n" + "".join(f"  {line}\n" for line in detection.splitlines())
        if bool(list(_matches(SigmaCollection.from_yaml(text), [_flattened(record)]))) is not wanted:
            differing.append((detection, record))
    assert differing == []


def _reference(paths: list[Path], records: list[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """(record number, rule id) of every match."""
    flat = [_flattened(record) for record in records]
    for file in sorted(file for path in paths for file in path.rglob("*.yml")):
        collection = SigmaCollection.from_dicts(list(yaml.safe_load_all(file.read_text())))
        for number in _matches(collection, flat):
            yield number, str(collection.rules[0].id)


def _matches(collection: SigmaCollection, flat: list[dict[str, list[str]]]) -> Iterator[int]:
    """Each record is one row, or one for every combination of list members."""
    backend = sqliteBackend(table="logs", fulltext_field="everything", collate_nocase=True)
    columns = sorted({*backend.required_fields(collection.rules[0]), "everything"})
    connection = _table(columns, flat)
    for query in backend.convert(collection):
        for (number,) in connection.execute(query.replace("SELECT *", "SELECT DISTINCT number", 1)):
            yield number
    connection.close()


def _table(columns: list[str], flat: list[dict[str, list[str]]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.create_function("REGEXP", 2, lambda pattern, text: text is not None and bool(re.search(pattern, text)))
    declared = ", ".join(f'"{column}" TEXT COLLATE NOCASE' for column in columns)
    connection.execute(f"CREATE TABLE logs (number INTEGER, {declared})")
    marks = ", ".join("?" * (len(columns) + 1))
    rows = ((number, *row) for number, values in enumerate(flat) for row in _rows(columns, values))
    connection.executemany(f"INSERT INTO logs VALUES ({marks})", rows)
    return connection


def _rows(columns: list[str], values: dict[str, list[str]]) -> Iterator[Row]:
    return itertools.product(*(values.get(column) or [None] for column in columns))


def _flattened(record: Mapping[str, Any]) -> dict[str, list[str]]:
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
    return found
