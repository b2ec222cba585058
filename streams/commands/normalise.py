"""auditwatch normalise: files as AuditEvent JSON lines."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import msgspec

from audit.context import EMPTY, load_context
from audit.event import to_line
from audit.sources import SOURCES
from audit.sources.reader import Reject, read
from streams.commands.common import problems, source_file
from streams.files import records


class RejectLine(msgspec.Struct):
    """A record nobody could read, as a line of --rejects."""

    line: int
    error: str
    raw: str


@click.command()
@click.argument("sources", metavar="SOURCE=FILE|-", nargs=-1, required=True)
@click.option("--context", type=click.Path(exists=True, path_type=Path), help="What the company declares.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Write bad records here.")
def command(sources: tuple[str, ...], context: Path | None, rejects: Path | None) -> None:
    """Print the records of files as AuditEvent JSON lines on standard output, in the files' order."""
    pairs = [source_file(each, set(SOURCES)) for each in sources]
    arrival = int(time.time() * 1e6)
    events = bad = 0
    out = sys.stdout.buffer
    with problems(), click.open_file(str(rejects) if rejects else "-", "wb", lazy=True) as refused:
        declared = load_context(context) if context else EMPTY
        try:
            for source, path in pairs:
                for line, payload in records(path):
                    for answer in read(source, payload, arrival, declared):
                        if isinstance(answer, Reject):
                            bad += 1
                            if rejects:
                                refused.write(_reject_line(line, answer))
                        else:
                            events += len(answer)
                            out.writelines(to_line(event) + b"\n" for event in answer)
        finally:
            out.flush()
            click.echo(f"{events} events, {bad} records refused" + _hint(bad, rejects), err=True)


def _reject_line(line: int, answer: Reject) -> bytes:
    raw = answer.raw.decode("utf-8", "backslashreplace")
    return msgspec.json.encode(RejectLine(line, answer.error, raw)) + b"\n"


def _hint(bad: int, rejects: Path | None) -> str:
    if not bad:
        return ""
    return f", written to {rejects}" if rejects else "; --rejects FILE keeps them with the reason"
