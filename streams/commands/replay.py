"""auditwatch replay: files through the worker's own processor, in event time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import click
import msgspec
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from alerting.alert import Alert, finding_line, to_line
from alerting.console import render
from audit.event import AuditEvent
from audit.event import to_line as event_line
from audit.sources import SOURCES
from streams.commands.common import config_option, problems, settings_of, source_file
from streams.load import load_detections
from streams.replay import EVENTS, Replay, Source, replay

_folder = click.Path(exists=True, path_type=Path)
_out = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("sources", metavar="SOURCE=FILE...", nargs=-1, required=True)
@config_option
@click.option("--context", type=_folder, help="What the company declares (default: AUDITWATCH_CONTEXT).")
@click.option("--rules", type=_folder, multiple=True, help="Rules to apply instead of the library; may be repeated.")
@click.option("--models", type=_folder, help="Model registry (default: AUDITWATCH_MODELS, else the shipped model).")
@click.option("--alerts", type=_out, help="Write alerts, one JSON object a line, in their last revision.")
@click.option("--findings", type=_out, help="Write findings, one JSON object a line.")
@click.option("--scores", type=_out, help='Write {"event_id", "score"} a line; higher is stranger.')
@click.option("--events", type=_out, help="Write AuditEvents, one JSON object a line.")
@click.option("--batch", default=1000, show_default=True, type=click.IntRange(1), help="Events folded at once.")
def command(
    sources: tuple[str, ...],
    config: Path | None,
    context: Path | None,
    rules: tuple[Path, ...],
    models: Path | None,
    alerts: Path | None,
    findings: Path | None,
    scores: Path | None,
    events: Path | None,
    batch: int,
) -> None:
    """Replay files as if they arrived now: the same findings and alerts as the worker, no broker, no Redis, no network.

    SOURCE is cloudtrail, okta, github, kubernetes, or `events` for AuditEvent lines or the trail's Parquet (a file or
    the folder). One file keeps its order; several are merged by time. Without --alerts the alerts are shown here.
    """
    pairs = [Source(*source_file(each, set(SOURCES) | {EVENTS})) for each in sources]
    settings = settings_of(config)
    with problems(), ExitStack() as stack:
        detections = load_detections(context or settings.context, rules or settings.rules, models or settings.models)
        keep = _lines_to(stack.enter_context(events.open("wb"))) if events else None
        tick = stack.enter_context(_progress())

        def seen(chunk: Sequence[AuditEvent]) -> None:
            tick(len(chunk))
            if keep:
                keep(event_line(event) for event in chunk)

        result = replay(pairs, detections, arrival=int(time.time() * 1e6), batch=batch, on_events=seen)
    ordered = sorted(result.alerts.values(), key=lambda alert: (alert.time, alert.id))
    if alerts:
        _write(alerts, (to_line(alert) for alert in ordered))
    else:
        _show(ordered)
    if findings:
        told = sorted(result.findings.values(), key=lambda finding: (finding.time, finding.id))
        _write(findings, (finding_line(finding) for finding in told))
    if scores:
        _write(scores, (msgspec.json.encode({"event_id": name, "score": score}) for name, score in result.scores))
    click.echo(_summary(result), err=True)


def _lines_to(file: IO[bytes]) -> Callable[[Iterable[bytes]], None]:
    return lambda lines: file.writelines(line + b"\n" for line in lines)


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        _lines_to(file)(lines)


def _show(alerts: Sequence[Alert]) -> None:
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    for alert in alerts:
        console.print(render(alert), soft_wrap=True)


def _summary(result: Replay) -> str:
    text = f"{result.events} events, {len(result.findings)} findings, {len(result.alerts)} alerts"
    if result.repeats:
        text += f", {result.repeats} events delivered twice and counted once"
    if result.faults:
        text += f", {len(result.faults)} faults (first: {result.faults[0].error})"
    if result.rejects:
        first = result.rejects[0]
        text += f", {len(result.rejects)} records refused (first: {first.source} line {first.line}: {first.error})"
    return text


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("replaying"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("events", total=None)
        yield lambda count: progress.advance(task, count)
