"""auditwatch normalise: files as AuditEvent JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from audit.context import Context
from audit.event import AuditEvent, to_line
from audit.sources import SOURCES
from audit.sources.reader import Reject, read
from streams.commands.common import problems, source_file, sources_line
from streams.commands.out import counting, out_path, output
from streams.files import records
from streams.load import declared


class RejectLine(msgspec.Struct):
    """A record nobody could read, as a line of --rejects."""

    line: int
    error: str
    raw: str


@click.command(epilog=sources_line)
@click.argument("sources", metavar="SOURCE=FILE|-...", nargs=-1, required=True)
@click.option("--context", type=click.Path(exists=True, path_type=Path), help="What the company declares.")
@click.option("--rejects", type=out_path, help='Write bad records here, {"line", "error", "raw"} a line.')
def command(sources: tuple[str, ...], context: Path | None, rejects: Path | None) -> None:
    """Print the records of files as AuditEvent JSON lines on standard output, in the files' order.

    FILE may be JSON lines, .gz, a list, {"Records": []}, an EventList, or - for standard input. How many records were
    refused is said at the end.

    \b
    Examples:
      auditwatch normalise cloudtrail=trail.json.gz | jq -r .action
      zcat okta.jsonl.gz | auditwatch normalise okta=- --rejects bad.jsonl > events.jsonl
    """
    pairs = [source_file(each, set(SOURCES)) for each in sources]
    events = bad = 0
    out = sys.stdout.buffer
    with problems(), ExitStack() as stack:
        company = declared(context)
        refused = stack.enter_context(output(rejects)) if rejects else None
        tick = stack.enter_context(counting("normalising"))
        try:
            for line, answer in _answers(pairs, company):
                if isinstance(answer, Reject):
                    bad += 1
                    if refused:
                        refused.write(_reject_line(line, answer))
                else:
                    events += len(answer)
                    tick(len(answer))
                    out.writelines(to_line(event) + b"\n" for event in answer)
        finally:
            click.echo(f"{events} events, {bad} records refused" + _hint(bad, rejects), err=True)


def _answers(pairs: list[tuple[str, str]], company: Context) -> Iterator[tuple[int, list[AuditEvent] | Reject]]:
    arrival = time.time_ns() // 1000
    for source, path in pairs:
        for line, payload in records(path):
            for answer in read(source, payload, arrival, company):
                yield line, answer


def _reject_line(line: int, answer: Reject) -> bytes:
    raw = answer.raw.decode("utf-8", "backslashreplace")
    return msgspec.json.encode(RejectLine(line, answer.error, raw)) + b"\n"


def _hint(bad: int, rejects: Path | None) -> str:
    if not bad:
        return ""
    return f", written to {rejects}" if rejects else "; --rejects FILE keeps them with the reason"
