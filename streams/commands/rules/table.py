"""Tables: with colour and rules on a terminal, aligned text when piped. What comes from a log can do no harm here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple, TextIO

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerting.plain import plain

LONGEST = 300
_GOOD, _BAD = "✓", "✗"


class Column(NamedTuple):
    """A column's heading, and whether it holds numbers."""

    name: str
    number: bool = False


def echo_table(columns: Sequence[Column], rows: Sequence[Sequence[object]], err: bool = False) -> None:
    """The rows below their headings; columns in which nothing stands are left out. `err`: to standard error."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    kept = [place for place in range(len(columns)) if any(row[place] for row in texts)]
    shown = [columns[place] for place in kept]
    cells = [[row[place] for place in kept] for row in texts]
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        _rich(shown, cells, stream)
    elif shown:
        _plain(shown, cells, err)


def _rich(columns: Sequence[Column], rows: Sequence[Sequence[str]], stream: TextIO) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.name, justify="right" if column.number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=stream, highlight=False).print(table)


def _plain(columns: Sequence[Column], rows: Sequence[Sequence[str]], err: bool) -> None:
    names = [column.name for column in columns]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    for row in (names, *rows):
        cells = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip(), err=err)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if value else "0"
    return plain(str(value), LONGEST)


def heading(text: str, err: bool = False) -> None:
    """A line above a table, set off from what is before."""
    click.echo("\n" + click.style(plain(text, LONGEST), bold=True), err=err)


def mark(held: bool) -> str:
    """A tick or a cross; words where the output's encoding has neither."""
    sign = _GOOD if held else _BAD
    try:
        sign.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        sign = "yes" if held else "no "
    return click.style(sign, fg="green" if held else "red")
