"""auditwatch alerts labels: what people said alerts were, as a table."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import click
import duckdb

from alerting.label import Label
from alerting.plain import plain
from audit.event import rfc3339
from streams.commands.common import Unusable, config_option, problems, settings_of
from streams.commands.out import echo_columns, json_option, out_path, output, write_lines
from streams.commands.rules.given import Moment
from streams.labels import fetch, to_lines, write_parquet

_SHOWN = 50


@click.command("labels", short_help="what people said alerts were")
@config_option
@click.option("--since", type=Moment(), default=0, help="Only verdicts from then on: 2026-03-02, or 90d ago.")
@click.option(
    "--out", type=out_path, help="Write FILE.parquet, or JSON lines to any other name ('-': standard output)."
)
@json_option
def labels_command(config: Path | None, since: int, out: Path | None, as_json: bool) -> None:
    """The verdict on each alert somebody judged: who, when, how, which detections, events and versions.

    They are what notebooks, `rules health --verdicts` and training work with (docs/training.md). A label stays for 400
    days, longer than its alert.

    \b
    Examples:
      auditwatch alerts labels
      auditwatch alerts labels --since 90d --out labels.parquet
      auditwatch alerts labels --json | jq -r 'select(.verdict == "false_positive") | .detections[]' | sort | uniq -c
    """
    with problems():
        labels = asyncio.run(fetch(settings_of(config), since))
    if out is not None:
        _write(labels, out)
        click.echo(f"{len(labels)} labels to {out}: {_summary(labels)}", err=True)
    elif as_json:
        for line in to_lines(labels):
            click.echo(line)
    else:
        _show(labels)


def _write(labels: list[Label], out: Path) -> None:
    if out.suffix != ".parquet":
        with output(out) as stream:
            write_lines(stream, to_lines(labels))
        return
    part = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        write_parquet(labels, part)
        part.replace(out)
    except (duckdb.Error, OSError) as error:
        raise Unusable(f"{out}: cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _show(labels: list[Label]) -> None:
    if labels:
        echo_columns([("ALERT", "AT", "VERDICT", "BY", "HOW", "WHO", "TITLE"), *map(_row, labels[-_SHOWN:])])
    hidden = f"; the newest {_SHOWN} are shown" if len(labels) > _SHOWN else ""
    click.echo(f"{len(labels)} labels{hidden}: {_summary(labels)}" if labels else "no labels", err=True)


def _row(label: Label) -> tuple[str, ...]:
    who, title = plain(label.principal, 40), plain(label.title, 80)
    by = plain(label.by or "-", 40)
    return plain(label.alert_id, 40), rfc3339(label.at)[:19], label.verdict, by, label.how, who, title


def _summary(labels: list[Label]) -> str:
    counted = Counter(label.verdict for label in labels)
    return ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common()) or "none"
