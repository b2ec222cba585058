from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.plain import plain


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x9b2Jgone\x1bc", "gone"),
        ("line\r\nforged: ok\ttab", "line forged: ok tab"),
        ("abc\u202egpj.exe", "abcgpj.exe"),
        ("zero\u200bwidth\ufeff\u2066iso", "zerowidthiso"),
        ("nul\x00bell\x07", "nulbell"),
        ("half\ud800surrogate", "halfsurrogate"),
        ("no\u00a0break\u2028line", "no break line"),
        ("Zoë 東京 🔥", "Zoë 東京 🔥"),
    ],
)
def test_what_acts_on_a_terminal_or_hides_is_gone(hostile: str, harmless: str) -> None:
    assert plain(hostile, 100) == harmless


@given(st.text(st.characters(), max_size=300), st.integers(2, 50))
def test_the_result_is_one_printable_line_within_the_limit(text: str, limit: int) -> None:
    result = plain(text, limit)
    assert result.isprintable()
    assert len(result) <= limit
    assert plain(result, limit) == result


def test_what_was_cut_shows() -> None:
    assert plain("x" * 11, 10) == "x" * 9 + "…"
    assert plain(" " * 10_000_000 + "end", 10) == "…"
    assert plain("x" * 10, 10) == "x" * 10
