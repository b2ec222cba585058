"""Our matcher against the reference backend (pysigma-backend-sqlite): SigmaHQ's rules on real events."""

from __future__ import annotations

import gzip
import itertools
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sigma.collection import SigmaCollection
from sigma.modifiers import modifier_mapping

from audit.context import EMPTY
from audit.sources import SOURCES
from audit.sources.reader import Reject, read
from rules.rule import Rule
from rules.sigma import RuleErrors, load
from rules.view import View
from tests.rules.conftest import DATA, HEAD, event
from tests.rules.reference import Flat, flattened, matches, reference
from tests.rules.vectors import VECTORS

ARRIVAL = 1_900_000_000_000_000

CASES = [
    # source, folder of records, folders of rules; rules, records and matches there are at least
    ("cloudtrail", "cloudtrail", ("cloud/aws",), 57, 3_000, 340),
    ("okta", "okta", ("identity/okta",), 21, 50, 7),
    ("github", "github", ("application/github",), 15, 180, 20),
    ("kubernetes", "kubernetes", ("application/kubernetes",), 16, 120, 55),
    ("entra", "azure", ("cloud/azure",), 123, 280, 70),
    ("o365", "o365", ("cloud/m365",), 19, 3_400, 1),
    ("gcp", "gcp", ("cloud/gcp",), 26, 120, 9),
    ("google_workspace", "google_workspace", ("cloud/gcp/gworkspace",), 10, 600, 12),
    ("linux", "linux", ("linux/auditd",), 53, 2_400, 5),
    ("duo", "duo", ("identity/cisco_duo",), 1, 40, 1),
    ("onelogin", "onelogin", ("identity/onelogin",), 2, 20, 2),
    ("atlassian", "atlassian", ("application/bitbucket",), 14, 520, 6),
]


@cache
def records(source: str, folder: str) -> tuple[Flat, ...]:
    """Every real record our normaliser takes, with its event."""
    assert source in SOURCES
    found = []
    for file in sorted((DATA / folder).glob("*.jsonl.gz")):
        with gzip.open(file) as lines:
            raws = [msgspec.json.decode(line)["raw"] for line in lines]
        for raw in raws:
            payload = raw.encode() if isinstance(raw, str) else msgspec.json.encode(raw)
            for entry in read(source, payload, ARRIVAL, EMPTY):
                if not isinstance(entry, Reject):
                    found += [flattened(msgspec.json.decode(one.raw), one) for one in entry]
    return tuple(found)


@pytest.mark.parametrize(("source", "folder", "folders", "many", "least", "few"), CASES)
def test_matches_are_those_of_the_reference(
    data: Path, source: str, folder: str, folders: tuple[str, ...], many: int, least: int, few: int
) -> None:
    paths = [data / "sigma" / "rules" / folder for folder in folders]
    flat, ours = records(source, folder), load(paths)
    asked = {rule.path for rule in ours.of(source)}
    wanted = set(reference([file for path in paths for file in sorted(path.rglob("*.yml")) if file in asked], flat))
    found = {(number, rule.id) for number, one in enumerate(flat) for rule in ours.match(one.event, one.record)}
    assert found == wanted
    assert len(ours.rules) == many
    assert len(flat) >= least
    assert len(found) >= few, "too few matches to prove anything"


def test_every_cloud_rule_loads(data: Path) -> None:
    folder = data / "sigma" / "rules"
    assert len(load([folder / "cloud", folder / "identity", folder / "application" / "github"]).rules) > 250
    assert len(load([folder]).rules) == 371


def test_vectors_hold_by_the_reference_too() -> None:
    """The vectors are not only our opinion: the reference agrees with each one it can express."""
    differing = []
    for detection, record, wanted in VECTORS:
        if any(order in detection for order in ("|lt", "|gt", "|wide: ")):
            continue  # the table's columns are text, and text has its own order and no null characters
        text = HEAD + "detection:\n" + "".join(f"  {line}\n" for line in detection.splitlines())
        flat = [flattened(record, event())]
        if bool(list(matches(SigmaCollection.from_yaml(text), flat))) is not wanted:
            differing.append((detection, record))
    assert differing == []


VALUES = ("'aB -c'", "10.0.0.0/8", "5", "true", "g", "'a.*b'", "null")
RECORDS: tuple[dict[str, Any], ...] = (
    {},
    {"f": "aB -c"},
    {"f": "xab /cx"},
    {"f": "AB –C"},
    {"f": "5", "g": "5"},
    {"f": [4, 6]},
    {"f": True},
    {"f": "10.1.2.3"},
    {"f": "2026-05-05T05:05:00Z"},
    {"f": "aXXb\naB"},
    {"f": "YUI=", "g": "yui"},
    {"f": "ab", "g": "xabx"},
    {"f": "", "g": ""},
)


@pytest.mark.parametrize("first", sorted(modifier_mapping))
def test_any_two_modifiers_are_refused_with_a_place_or_mean_what_the_reference_says(tmp_path: Path, first: str) -> None:
    refused = loaded = 0
    for second, value in itertools.product(["", *sorted(modifier_mapping)], VALUES):
        modifiers = [one for one in (first, second) if one]
        text = f"{HEAD}detection:\n  s: {{f|{'|'.join(modifiers)}: {value}}}\n  condition: s\n"
        (tmp_path / "rule.yml").write_text(text)
        try:
            (ours,) = load([tmp_path]).rules
        except RuleErrors as error:
            refused += all(one.column and one.message for one in error.errors)
            continue
        loaded += 1
        if {"expand", "lt", "lte", "gt", "gte"}.isdisjoint(modifiers):
            _agrees(text, ours)
    assert refused + loaded == len(VALUES) * (len(modifier_mapping) + 1)


def _agrees(text: str, ours: Rule) -> None:
    flat = [flattened(record, event()) for record in RECORDS]
    try:
        wanted = set(matches(SigmaCollection.from_yaml(text), flat))
    except (sqlite3.Error, AttributeError):  # a null character, a field that is none
        return
    found = {number for number, record in enumerate(RECORDS) if ours.matches(View(event(), record))}
    assert found == wanted, text
