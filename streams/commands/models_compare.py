"""auditwatch models compare: what the model in the shadow would have told, live or over files."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from audit.sources import SOURCES
from streams.commands.common import Unusable, config_option, problems, settings_of, source_file, sources_line
from streams.commands.models import registry_of, registry_option
from streams.commands.out import counting, echo_json, json_option
from streams.laptop import found
from streams.load import load_detections
from streams.replay import EVENTS, Source, replay
from streams.settings import Settings
from streams.shadow import Report, compared, published
from streams.store import connect


@click.command("compare", epilog=sources_line)
@click.argument("sources", metavar="[SOURCE=FILE]...", nargs=-1)
@registry_option
@config_option
@click.option("--context", type=click.Path(exists=True, path_type=Path), help="What the company declares.")
@json_option
def command(
    sources: tuple[str, ...], registry: Path | None, config: Path | None, context: Path | None, as_json: bool
) -> None:
    """Tell what the model in the shadow would have told and the current one did not, and the other way round.

    Without files: what the workers have counted since it was put into the shadow. With files: both models over them.

    \b
    Examples:
      auditwatch models compare
      auditwatch models compare events=.auditwatch/trail --registry models
    """
    settings = settings_of(config)
    with problems():
        chosen = registry_of(registry, config)
        current, shadow = chosen.current(), chosen.shadowed()
        if current is None or shadow is None:
            missing = (
                "current (auditwatch models promote ID)" if current is None else "in the shadow (models shadow ID)"
            )
            raise Unusable(f"{chosen.path}: no model is {missing}")
        if sources:
            report = _over_files(sources, settings, chosen.path, context)
        else:
            report = asyncio.run(_live(settings, current, shadow))
    if as_json:
        echo_json(report)
    elif report.events:
        click.echo("\n".join(compared(report)))
    else:
        click.echo("no worker has scored an event with this pair yet", err=True)


def _over_files(sources: tuple[str, ...], settings: Settings, registry: Path, context: Path | None) -> Report:
    pairs = [Source(*source_file(each, set(SOURCES) | {EVENTS})) for each in sources]
    detections = load_detections(context or settings.context, settings.rules, registry)
    assert detections.shadow is not None
    with counting("replaying") as tick:
        result = replay(pairs, detections, arrival=time.time_ns() // 1000, on_events=lambda events: tick(len(events)))
    return result.comparison.report(detections.model.hash, detections.shadow.hash)


async def _live(settings: Settings, current: str, shadow: str) -> Report:
    redis = connect(found(settings, "redis"))
    try:
        return await published(redis, current, shadow)
    finally:
        await redis.aclose()
