"""auditwatch models train: logs -> model. Nothing else of the command line loads scikit-learn."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

from audit.sources import SOURCES
from detectors.model import Model
from detectors.registry import CARD, FOREST, write_model
from streams.commands.common import Unusable, config_option, problems, settings_of, source_file, sources_line
from streams.commands.models import registry_of, registry_option
from streams.commands.out import counted, counting
from streams.load import declared
from streams.replay import EVENTS, Rejected, Source, events_of

try:
    from detectors.train import train
except ModuleNotFoundError as absent:
    if absent.name != "sklearn":
        raise
    train = None  # type: ignore[assignment]


@click.command("train", epilog=sources_line)
@click.argument("sources", metavar="SOURCE=FILE...", nargs=-1, required=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write card.json and forest.bin here.")
@registry_option
@config_option
@click.option("--context", type=click.Path(exists=True, path_type=Path), help="What the company declares.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and logs give the same model.")
@click.option("--alerts-per-day", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
def command(
    sources: tuple[str, ...],
    out: Path | None,
    registry: Path | None,
    config: Path | None,
    context: Path | None,
    seed: int,
    alerts_per_day: float,
) -> None:
    """Train a model on logs and print its id; with --registry it is published there, not promoted.

    SOURCE names whose logs they are, or is `events` for AuditEvent lines or the trail's Parquet. Some weeks
    of everybody's ordinary work make a good model.

    \b
    Examples:
      auditwatch models train events=.auditwatch/trail --registry models
      auditwatch models train okta=okta.jsonl.gz cloudtrail=trail.jsonl.gz --context company.yml --out ./trained
    """
    if train is None:
        raise Unusable("training needs scikit-learn: pip install 'auditwatch[training]'")
    if out and registry:
        raise click.UsageError("give either --out or --registry")
    pairs = [Source(*source_file(each, set(SOURCES) | {EVENTS})) for each in sources]
    keep = _keeper(out, registry, config)
    rejects: list[Rejected] = []
    with problems(), counting("reading") as tick:
        company = declared(context or settings_of(config).context)
        events = events_of(pairs, company, time.time_ns() // 1000, rejects)
        try:
            model, card = train(counted(events, tick), company, seed=seed, alerts_per_day=alerts_per_day)
        except ValueError as error:
            raise Unusable(str(error)) from error
        keep(model)
    click.echo(model.hash)
    refused = f", {len(rejects)} records refused" if rejects else ""
    click.echo(
        f"{card.events} events of {card.principals} principals, threshold {card.threshold:.2f}{refused}", err=True
    )


def _keeper(out: Path | None, registry: Path | None, config: Path | None) -> Callable[[Model], object]:
    """Where the model goes, checked before the long work."""
    if out is None:
        return registry_of(registry, config).publish
    foreign = {each.name for each in out.iterdir()} - {CARD, FOREST} if out.exists() else set()
    if foreign:
        raise Unusable(f"{out}: holds other files ({min(foreign)}); choose a new folder")

    def write(model: Model) -> None:
        out.mkdir(parents=True, exist_ok=True)
        write_model(out, model)

    return write
