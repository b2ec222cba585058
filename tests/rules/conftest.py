from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.event import AuditEvent, Principal, Resource
from rules.compile import RuleSet
from rules.rule import Rule
from rules.sigma import load
from rules.view import View

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

HEAD = """title: A rule
id: 11111111-1111-4111-8111-111111111111
logsource: {product: aws, service: cloudtrail}
"""


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data beside the checkout")
    return DATA


def raw_records(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Every raw record (an object) of a folder of shared data."""
    for file in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(file) as lines:
            for line in lines:
                raw = msgspec.json.decode(line)["raw"]
                if isinstance(raw, dict):
                    yield raw


def event(**fields: Any) -> AuditEvent:
    given: dict[str, Any] = {
        "id": "e1",
        "time": 1_772_442_847_000_000,  # 2026-03-02T09:14:07Z, a Monday
        "source": "cloudtrail",
        "action": "CreateUser",
        "outcome": "success",
        "actor": Principal("alice", "alice@example.com", "human", "verified"),
        "resource": Resource("user", "bob"),
        "source_ip": "198.51.100.7",
    }
    return AuditEvent(**{**given, **fields})


def view(record: Mapping[str, Any], **fields: Any) -> View:
    return View(event(**fields), record)


@pytest.fixture
def rule_set(tmp_path: Path) -> Callable[..., RuleSet]:
    """A rule set made of YAML documents, one file each."""

    def make(*texts: str) -> RuleSet:
        for position, text in enumerate(texts):
            (tmp_path / f"rule{position}.yml").write_text(text)
        return load([tmp_path])

    return make


@pytest.fixture
def rule(rule_set: Callable[..., RuleSet]) -> Callable[[str], Rule]:
    """The rule of a detection section."""

    def make(detection: str) -> Rule:
        indented = "".join(f"  {line}\n" for line in detection.strip("\n").splitlines())
        return rule_set(f"{HEAD}detection:\n{indented}").rules[0]

    return make
