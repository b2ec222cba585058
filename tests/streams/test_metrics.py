from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import generate_latest

from streams import metrics
from streams.metrics import REGISTRY, CounterName, GaugeName, count, counted, gauge


@pytest.mark.parametrize("name", get_args(CounterName))
def test_every_counter_counts_by_label(name: CounterName) -> None:
    before = counted(name, "here")
    count(name, "here")
    count(name, "here", 4)
    count(name, "elsewhere", 100)
    count(name, "here", 0)
    assert counted(name, "here") == before + 5


@pytest.mark.parametrize("name", get_args(GaugeName))
def test_every_gauge_shows_what_was_set_last(name: GaugeName) -> None:
    gauge(name, 7, "here")
    gauge(name, 2.5, "here")
    assert f'auditwatch_{name}{{label="here"}} 2.5' in generate_latest(REGISTRY).decode()


def test_counting_nothing_makes_no_label() -> None:
    count("records", "never seen", 0)
    assert "never seen" not in generate_latest(REGISTRY).decode()


def test_no_number_is_listed_that_nobody_sets() -> None:
    """Any string in a first argument counts as used: `count(why if why == "shadow" else "excused", rule_id)`."""
    trees = [ast.parse(path.read_bytes()) for path in Path(metrics.__file__).parent.rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    named = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("count", "gauge")]
    leaves = [leaf.value for name in named for leaf in ast.walk(name) if isinstance(leaf, ast.Constant)]
    used = {leaf for leaf in leaves if isinstance(leaf, str)}
    assert set(get_args(CounterName)) | set(get_args(GaugeName)) == used
