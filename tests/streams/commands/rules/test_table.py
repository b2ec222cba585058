from __future__ import annotations

import sys

import pytest

from streams.commands.rules.table import Column, echo_table, heading, mark

COLUMNS = [Column("NAME"), Column("COUNT", True), Column("EMPTY"), Column("LAST")]


def test_piped_it_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table(COLUMNS, [("a", 5, "", "x y"), ("longer", 1234, "", "")])
    assert capsys.readouterr().out == "NAME    COUNT  LAST\na           5  x y\nlonger   1234\n"


def test_on_a_terminal_it_has_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    echo_table(COLUMNS, [("a", 5, "", "[bold]x")])
    out = capsys.readouterr().out
    assert "───" in out
    assert "[bold]x" in out
    assert "EMPTY" not in out


def test_nothing_of_a_log_does_harm(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table([Column("A")], [("\x1b[31mred\u202e\nline",)])
    heading("\x1b]0;title\x07 text")
    out = capsys.readouterr().out
    assert "\u202e" not in out
    assert "red line" in out
    assert "]0;title" not in out


def test_numbers_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table([Column("A", True)], [(0.0,), (1.25,), (10,)])
    assert capsys.readouterr().out.split() == ["A", "0", "1.2", "10"]


def test_no_rows_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table([Column("A")], [])
    assert capsys.readouterr().out == ""


def test_marks_fit_the_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii:
        encoding = "ascii"

    monkeypatch.setattr("streams.commands.rules.table.sys.stdout", Ascii())
    assert "yes" in mark(True)
    assert "no" in mark(False)
