"""auditwatch replay: files through the worker's own processor, in event time."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec
from rich.console import Console

from alerting.alert import EXPLAINED, Alert, finding_line, to_line
from alerting.console import render
from audit.event import AuditEvent
from audit.event import to_line as event_line
from audit.sources import SOURCES
from streams.commands.common import config_option, problems, settings_of, source_file, sources_line
from streams.commands.out import counting, out_path, output, write_lines
from streams.feature_file import FeatureFile
from streams.load import load_detections
from streams.replay import EVENTS, Replay, Source, replay
from streams.shadow import compared

_folder = click.Path(exists=True, path_type=Path)
_file = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog=sources_line)
@click.argument("sources", metavar="SOURCE=FILE|-...", nargs=-1, required=True)
@config_option
@click.option("--context", type=_folder, help="What the company declares (default: AUDITWATCH_CONTEXT).")
@click.option("--rules", type=_folder, multiple=True, help="Rules to apply instead of the library; may be repeated.")
@click.option("--models", type=_folder, help="Model registry (default: AUDITWATCH_MODELS, else the shipped model).")
@click.option("--alerts", type=out_path, help="Write alerts, one JSON object a line, in their last revision.")
@click.option("--findings", type=out_path, help="Write findings, one JSON object a line.")
@click.option("--scores", type=out_path, help='Write {"event_id", "score"} a line; higher is stranger.')
@click.option("--events", type=out_path, help="Write AuditEvents, one JSON object a line.")
@click.option("--features", type=_file, help="Write each event's features, as they were then, as Parquet.")
@click.option(
    "--snapshots",
    default="daily",
    show_default=True,
    type=click.Choice(["daily", "off"]),
    help="When what teams share is gathered anew, with the bar of the budget.",
)
@click.option(
    "--budget", type=click.IntRange(1), help="Anomalies a day at most (default: AUDITWATCH_ALERT_BUDGET, 10)."
)
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
    features: Path | None,
    snapshots: str,
    budget: int | None,
    batch: int,
) -> None:
    """Replay files as if they arrived now: the same findings and alerts as the worker, no broker, no Redis, no network.

    SOURCE names whose logs they are, or is `events` for AuditEvent lines or the trail's Parquet (a file or the
    folder). One file keeps its order; several are merged by time. Without --alerts the alerts are shown here,
    except those that declared paper explains.

    \b
    Examples:
      auditwatch replay cloudtrail=trail.jsonl.gz
      auditwatch replay okta=okta.jsonl github=audit.jsonl --context company.yml --alerts alerts.jsonl
      auditwatch replay events=.auditwatch/trail --rules our-rules --findings findings.jsonl --scores scores.jsonl
    """
    pairs = [Source(*source_file(each, set(SOURCES) | {EVENTS})) for each in sources]
    settings = settings_of(config)
    with problems(), ExitStack() as stack:
        detections = load_detections(context or settings.context, rules or settings.rules, models or settings.models)
        outs = {
            path: stack.enter_context(output(path)) for path in (alerts, findings, scores, events) if path is not None
        }
        table = FeatureFile(features) if features else None
        with counting("replaying") as tick:

            def seen(chunk: Sequence[AuditEvent]) -> None:
                tick(len(chunk))
                if events:
                    write_lines(outs[events], map(event_line, chunk))

            result = replay(
                pairs,
                detections,
                arrival=time.time_ns() // 1000,
                batch=batch,
                on_events=seen,
                witness=table.take if table else None,
                snapshots=snapshots == "daily",
                budget=settings.alert_budget if budget is None else budget,
            )
        if table:
            table.close()
        said = (*result.alerts.values(), *result.summaries.values())
        told = sorted(said, key=lambda alert: (alert.time, alert.id))
        if alerts:
            write_lines(outs[alerts], map(to_line, told))
        else:
            _show(told)
        if findings:
            ordered = sorted(result.findings.values(), key=lambda finding: (finding.time, finding.id))
            write_lines(outs[findings], map(finding_line, ordered))
        if scores:
            lines = (msgspec.json.encode({"event_id": name, "score": score}) for name, score in result.scores)
            write_lines(outs[scores], lines)
    click.echo(_summary(result), err=True)
    if detections.shadow:
        report = result.comparison.report(detections.model.hash, detections.shadow.hash)
        click.echo("\n".join(compared(report)), err=True)


def _show(alerts: Sequence[Alert]) -> None:
    """What people would be told."""
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    for alert in alerts:
        if alert.resolution != EXPLAINED:
            console.print(render(alert), soft_wrap=True)


def _summary(result: Replay) -> str:
    closed = sum(alert.resolution == EXPLAINED for alert in result.alerts.values())
    text = f"{result.events} events, {len(result.findings)} findings, {len(result.alerts) - closed} alerts"
    if closed:
        text += f", {closed} more closed as explained"
    if result.quiet:
        text += f", {len(result.quiet)} more that only hold changes without paper (people may be asked for a reason)"
    if result.summaries:
        number = len(result.summaries)
        text += f", {number} {'summary' if number == 1 else 'summaries'} of temporary access"
    if result.repeats:
        text += f", {result.repeats} events delivered twice and counted once"
    if result.observed:
        text += f", {result.observed.total()} uses of access only observed (auditwatch access report shows them)"
    if result.faults:
        text += f", {len(result.faults)} faults (first: {result.faults[0].error})"
    if result.rejects:
        first = result.rejects[0]
        text += f", {len(result.rejects)} records refused (first: {first.source} line {first.line}: {first.error})"
    return text
