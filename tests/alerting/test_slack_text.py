from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.slack_text import code, fitted, indented, safe, trusted, units
from tests.alerting.hostile import hostile


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("a<b", 20, "a&lt;b"), ("a<b", 5, "a…"), ("🔥🔥🔥", 5, "🔥🔥…"), ("", 5, "-"), ("hTTps://x", 20, "hxxps://x")],
)
def test_safe_counts_what_slack_counts(text: str, limit: int, expected: str) -> None:
    assert safe(text, limit) == expected


@given(hostile, st.integers(2, 300))
def test_any_text_is_safe_within_its_limit(text: str, limit: int) -> None:
    shown = safe(text, limit)
    assert 1 <= units(shown) <= limit
    assert "<" not in shown
    assert ">" not in shown
    assert "http://" not in shown.lower()
    assert "https://" not in shown.lower()


def test_only_what_stands_between_backticks_is_taken_for_log_text() -> None:
    assert trusted("ours `a<b*c*` ours") == "ours `a&lt;b*c*` ours"
    assert code("x`y", 10) == "x'y"


def test_indented_keeps_what_orders_the_lines() -> None:
    assert indented("   now █ 3", 50) == "   now █ 3"
    assert indented(" " * 500 + "x", 50) == " " * 12 + "x"


@given(st.lists(st.text("ab🔥", max_size=40), max_size=60), st.integers(60, 400))
def test_lines_fit_or_are_counted(lines: list[str], limit: int) -> None:
    shown = fitted(lines, limit)
    assert units(shown) <= limit
    kept = shown.split("\n")
    if shown != "\n".join(lines):
        assert kept[-1] == f"and {len(lines) - len(kept) + 1} more lines"
