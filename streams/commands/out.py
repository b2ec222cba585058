"""How commands write: files that appear whole, aligned columns, JSON lines, a count on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
import msgspec
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from audit.event import AuditEvent
from streams.commands.common import Unusable

out_path = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")


@contextmanager
def output(path: Path) -> Iterator[IO[bytes]]:
    """A file to write: it gets its name when the block ends well and is gone when it does not. "-": standard output.

    Raises:
        Unusable: it cannot be written.
    """
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if path.exists() and not path.is_file():  # /dev/null, a named pipe
            with path.open("wb") as stream:
                yield stream
            return
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with partial.open("wb") as stream:
                yield stream
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unusable(f"{path}: cannot be written: {error.strerror or error}") from error


def write_lines(stream: IO[bytes], lines: Iterator[bytes]) -> None:
    """Each line with its newline."""
    stream.writelines(line + b"\n" for line in lines)


def echo_json(line: Any) -> None:
    """A struct, dataclass or dictionary as one JSON line on standard output; paths as text."""
    click.echo(msgspec.json.encode(line, enc_hook=str))


def echo_columns(rows: Sequence[Sequence[object]]) -> None:
    """Rows with their columns below each other; the last column may be of any length."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def counted(events: Iterable[AuditEvent], tick: Callable[[int], None]) -> Iterator[AuditEvent]:
    """The events, each of them counted by what `counting` gave."""
    for event in events:
        tick(1)
        yield event


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A function to tell how many more are done: shown on a terminal (standard error), nothing when piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn(what), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.advance(task, count)
